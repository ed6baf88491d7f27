// SPDX-License-Identifier: Apache-2.0
// Runs many seeds in several processes: a run that ends in a failed check takes only its own
// process down, and is reported like any other failure.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/run.h"

namespace lariat::sim {

struct Summary {
  uint64_t runs = 0;
  uint64_t failed = 0;
  uint64_t events = 0;
  double virtual_s = 0;
  double cpu_s = 0;
  Tally tally;

  void Add(const RunResult& result);
  void Join(const Summary& other);
  std::string Text() const;
  // As bytes between processes.
  std::string Encode() const;
  static std::optional<Summary> Decode(std::string_view text);
};

struct Batch {
  std::vector<const Scenario*> scenarios;
  uint64_t first_seed = 0;
  uint64_t last_seed = 0;  // this one too
  int jobs = 1;
  Bug bug = Bug::kNone;
  std::string commit;  // for failure reports
  size_t trace_lines_max = 150;
  bool show_progress = false;  // on stderr
};
// Failures are printed to stdout as they happen.
Summary RunBatch(const Batch& batch);

// Runs one seed; on failure once more with the trace, and prints it.
RunResult RunAndExplain(const RunRequest& request, const Batch& batch);

}  // namespace lariat::sim

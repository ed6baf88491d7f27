// SPDX-License-Identifier: Apache-2.0
// What a run has to say: failures, and how much it did.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/time.h"
#include "sim/world/trace.h"

namespace lariat::sim {

struct Failure {
  std::string checker;  // short name, as in docs/simulation.md
  std::string key;      // empty: the whole cluster
  std::string text;
  base::Instant at{};
};

// Numbers by name: faults injected, checks made, requests by outcome. Add up over runs.
using Tally = std::map<std::string, uint64_t>;

class Report {
 public:
  void Fail(std::string checker, std::string key, std::string text, base::Instant at);
  void Count(const std::string& what, uint64_t n = 1) { tally_[what] += n; }
  bool failed() const { return !failures_.empty(); }
  const std::vector<Failure>& failures() const { return failures_; }
  const Tally& tally() const { return tally_; }

 private:
  std::vector<Failure> failures_;
  Tally tally_;
};

struct RunResult {
  std::string scenario;
  uint64_t seed = 0;
  std::string options;
  std::vector<Failure> failures;
  Tally tally;
  uint64_t trace_hash = 0;
  uint64_t events = 0;
  base::Duration virtual_time{};
  std::vector<Trace::Entry> trace;  // if it was recorded
};

// For people: seed, options, failures, the last `lines_max` trace lines about the first failure's
// key (all lines if there is none), and how to run it again.
std::string Explain(const RunResult& result, const std::string& commit, size_t lines_max);
std::string FormatTrace(const RunResult& result, const std::string& key, size_t lines_max);

}  // namespace lariat::sim

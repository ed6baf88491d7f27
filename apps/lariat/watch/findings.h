// SPDX-License-Identifier: Apache-2.0
// What `lariat doctor` says of one thing that it looked at. Values.
#pragma once

#include <string>
#include <vector>

namespace lariat::cli::watch {

enum class Grade { kFine, kAdvice, kBad };

struct Finding {
  Grade grade = Grade::kFine;
  std::string about;  // "this host", or a node's name
  std::string says;   // one sentence, with the figure
  std::string mend;   // the line to type, or what to do; empty if nothing is to be done
};

using Findings = std::vector<Finding>;

// `data_dir` is where a node's data lies, or would.
Findings CheckHost(const std::string& data_dir);

}  // namespace lariat::cli::watch

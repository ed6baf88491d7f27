// SPDX-License-Identifier: Apache-2.0
#include "sim/report/report.h"

#include <fmt/format.h>

#include <algorithm>

namespace lariat::sim {
namespace {

constexpr size_t kFailuresMax = 20;

double Seconds(base::Instant at) { return base::ToSeconds(at.time_since_epoch()); }

}  // namespace

void Report::Fail(std::string checker, std::string key, std::string text, base::Instant at) {
  if (failures_.size() >= kFailuresMax) return;
  failures_.push_back({std::move(checker), std::move(key), std::move(text), at});
}

std::string FormatTrace(const RunResult& result, const std::string& key, size_t lines_max) {
  std::vector<const Trace::Entry*> lines;
  for (const Trace::Entry& line : result.trace) {
    const bool concerns = key.empty() || line.subject.empty() || line.subject == key;
    const bool beat = line.text.find("heartbeat") != std::string::npos;
    if (concerns && !beat) lines.push_back(&line);
  }
  const size_t skip = lines.size() > lines_max ? lines.size() - lines_max : 0;
  std::string text;
  for (size_t i = skip; i < lines.size(); ++i) {
    const Trace::Entry& line = *lines[i];
    const std::string who = line.machine < 0 ? "--" : fmt::format("m{}", line.machine + 1);
    text += fmt::format("{:12.6f} {} {}\n", Seconds(line.at), who, line.text);
  }
  return text;
}

std::string Explain(const RunResult& result, const std::string& commit, size_t lines_max) {
  std::string text =
      fmt::format("FAILED scenario {} seed {}{}{}\noptions {}\n", result.scenario, result.seed,
                  commit.empty() ? "" : " commit ", commit, result.options);
  for (const Failure& f : result.failures) {
    text += fmt::format("  {:.6f} s  {}: {}{}{}\n", Seconds(f.at), f.checker,
                        f.key.empty() ? "" : f.key + ": ", f.text, "");
  }
  if (!result.trace.empty() && !result.failures.empty()) {
    const std::string& key = result.failures.front().key;
    text += fmt::format("last events{}:\n", key.empty() ? "" : " of " + key);
    text += FormatTrace(result, key, lines_max);
  }
  text += fmt::format("replay: lariat-sim --scenario {} --seed {} --trace\n", result.scenario,
                      result.seed);
  return text;
}

}  // namespace lariat::sim

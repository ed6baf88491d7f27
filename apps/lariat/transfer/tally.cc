// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/tally.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>

#include "apps/lariat/terminal/text.h"

namespace lariat::cli::transfer {

void Tally::Failed(const std::string& reason, std::string detail) {
  ++failed_;
  bool known = reasons_.contains(reason) || reasons_.size() < kReasons;
  ++reasons_[known ? reason : "other reasons"];
  if (examples_.size() < kExamples) examples_.push_back(std::move(detail));
}

std::string Tally::Text(const std::string& verb, uint64_t skipped, double seconds) const {
  double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
  std::string out = fmt::format("{} {}, {} skipped, {} failed; {} in {} ({:.0f}/s, {} retries)\n",
                                CountText(done_), verb, CountText(skipped), CountText(failed_),
                                BytesText(bytes_), SecondsText(seconds), rate, CountText(retries_));
  if (twice_ > 0) {
    out += fmt::format("  {} of them are there more than once, each time the same\n",
                       CountText(twice_));
  }
  if (already_ > 0) {
    out += fmt::format("  {} of them had been {} before and were left as they are\n",
                       CountText(already_), verb);
  }
  for (const auto& [reason, count] : reasons_) {
    out += fmt::format("  {} x {}\n", CountText(count), reason);
  }
  if (!examples_.empty()) out += "The first of them:\n";
  for (const std::string& example : examples_) out += "  " + example + "\n";
  return out;
}

boost::json::object Tally::Json(const std::string& verb, uint64_t skipped, double seconds) const {
  boost::json::object reasons;
  for (const auto& [reason, count] : reasons_) reasons[reason] = count;
  boost::json::array examples;
  for (const std::string& example : examples_) examples.emplace_back(example);
  return {{verb, done_},         {"skipped", skipped},  {"failed", failed_},
          {"retries", retries_}, {"already", already_}, {"equal_siblings", twice_},
          {"bytes", bytes_},     {"seconds", seconds},  {"reasons", reasons},
          {"examples", examples}};
}

}  // namespace lariat::cli::transfer

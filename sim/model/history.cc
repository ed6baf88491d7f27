// SPDX-License-Identifier: Apache-2.0
#include "sim/model/history.h"

#include <charconv>

namespace lariat::sim {

std::string_view OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPending:
      return "pending";
    case Outcome::kDone:
      return "done";
    case Outcome::kNotDone:
      return "not done";
    case Outcome::kUnknown:
      return "unknown";
  }
  return "?";
}

std::string TokenText(const std::string& key, int token) {
  return key + "/t" + std::to_string(token);
}

std::string PaddedBy(size_t bytes, std::string text) { return text.append(bytes, ' '); }

std::string_view WithoutPadding(std::string_view text) { return text.substr(0, text.find(' ')); }

std::optional<int> TokenOfText(const std::string& key, std::string_view text) {
  const std::string start = key + "/t";
  if (!text.starts_with(start)) return std::nullopt;
  text.remove_prefix(start.size());
  int token = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), token);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return token;
}

}  // namespace lariat::sim

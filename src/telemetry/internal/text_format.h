// SPDX-License-Identifier: Apache-2.0
// Writes the Prometheus text format 0.0.4: escaping and numbers, nothing about metrics.
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lariat::telemetry::internal {

using Label = std::pair<std::string_view, std::string_view>;

class TextFormat {
 public:
  // Begins the samples of one name.
  void Family(std::string_view name, std::string_view kind, std::string_view help);

  void Line(std::string_view name, const std::vector<Label>& labels, double value);
  void Line(std::string_view name, const std::vector<Label>& labels, std::integral auto value) {
    WriteLine(name, labels, fmt::format("{}", value));
  }

  std::string Take() && { return std::move(text_); }

 private:
  void WriteLine(std::string_view name, const std::vector<Label>& labels, std::string_view value);

  std::string text_;
};

}  // namespace lariat::telemetry::internal

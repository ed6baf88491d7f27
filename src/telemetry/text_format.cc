// SPDX-License-Identifier: Apache-2.0
#include "telemetry/internal/text_format.h"

#include <cmath>
#include <iterator>

namespace lariat::telemetry::internal {
namespace {

// Help texts escape backslash and line feed, label values also the quote.
void AppendEscaped(std::string* out, std::string_view text, std::string_view quote) {
  for (const char c : text) {
    if (c == '\n') {
      *out += "\\n";
      continue;
    }
    if (c == '\\' || quote.find(c) != std::string_view::npos) *out += '\\';
    *out += c;
  }
}

std::string NumberText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

}  // namespace

void TextFormat::Family(std::string_view name, std::string_view kind, std::string_view help) {
  fmt::format_to(std::back_inserter(text_), "# HELP {} ", name);
  AppendEscaped(&text_, help, "");
  fmt::format_to(std::back_inserter(text_), "\n# TYPE {} {}\n", name, kind);
}

void TextFormat::Line(std::string_view name, const std::vector<Label>& labels, double value) {
  WriteLine(name, labels, NumberText(value));
}

void TextFormat::WriteLine(std::string_view name, const std::vector<Label>& labels,
                           std::string_view value) {
  text_ += name;
  char separator = '{';
  for (const auto& [label, label_value] : labels) {
    text_ += separator;
    text_ += label;
    text_ += "=\"";
    AppendEscaped(&text_, label_value, "\"");
    text_ += '"';
    separator = ',';
  }
  if (!labels.empty()) text_ += '}';
  fmt::format_to(std::back_inserter(text_), " {}\n", value);
}

}  // namespace lariat::telemetry::internal

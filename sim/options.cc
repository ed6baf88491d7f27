// SPDX-License-Identifier: Apache-2.0
#include "sim/options.h"

#include <charconv>

#include "base/check.h"
#include "base/hash.h"
#include "base/prng.h"
#include "sim/scenario_texts.h"

namespace lariat::sim {
namespace {

struct Row {
  std::string_view name;
  std::string_view choices;
  int64_t Options::*field;
};

constexpr Row kTable[] = {
#define SIM_OPTION(name, choices, meaning) {#name, choices, &Options::name},
#include "sim/options.def"
#undef SIM_OPTION
};

std::string_view Trim(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<int64_t> Number(std::string_view text) {
  text = Trim(text);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(number) : std::nullopt;
}

// Nothing if the choices are malformed.
std::optional<int64_t> Draw(std::string_view choices, base::Prng* prng) {
  const size_t dots = choices.find("..");
  if (dots != std::string_view::npos) {
    const auto low = Number(choices.substr(0, dots));
    const auto high = Number(choices.substr(dots + 2));
    if (!low || !high || *low > *high) return std::nullopt;
    return prng->Between(*low, *high);
  }
  std::vector<int64_t> numbers;
  while (true) {
    const size_t bar = choices.find('|');
    const auto number = Number(choices.substr(0, bar));
    if (!number) return std::nullopt;
    numbers.push_back(*number);
    if (bar == std::string_view::npos) break;
    choices.remove_prefix(bar + 1);
  }
  return numbers[prng->Below(numbers.size())];
}

const Row* FindRow(std::string_view name) {
  for (const Row& row : kTable) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

}  // namespace

std::string Options::Text() const {
  std::string text;
  for (const Row& row : kTable) {
    text +=
        (text.empty() ? "" : " ") + std::string(row.name) + "=" + std::to_string(this->*row.field);
  }
  return text;
}

base::Result<Scenario> ParseScenario(std::string name, std::string_view text) {
  Scenario scenario;
  scenario.name = std::move(name);
  const auto bad = [](std::string_view line) {
    return base::Fail(base::Code::kInvalidArgument, "bad line: " + std::string(line));
  };
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = Trim(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.starts_with("#")) {
      if (scenario.about.empty()) scenario.about = Trim(line.substr(1));
      continue;
    }
    if (line.empty()) continue;
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) return bad(line);
    const std::string_view option = Trim(line.substr(0, equals));
    const std::string_view choices = Trim(line.substr(equals + 1));
    base::Prng trial(1);
    if (FindRow(option) == nullptr || !Draw(choices, &trial)) return bad(line);
    scenario.choices[std::string(option)] = choices;
  }
  return scenario;
}

Options DrawOptions(const Scenario& scenario, uint64_t seed) {
  Options options;
  for (const Row& row : kTable) {
    base::Prng own(base::Hash64(row.name, seed));
    const auto found = scenario.choices.find(std::string(row.name));
    const auto drawn = Draw(found == scenario.choices.end() ? row.choices : found->second, &own);
    LARIAT_CHECK(drawn.has_value(), "malformed choices in the table of options");
    options.*row.field = *drawn;
  }
  options.n = std::min(options.n, options.nodes);
  options.n_later = std::min(options.n_later, options.nodes);
  options.r = std::min(options.r, options.n);
  options.w = std::min(options.w, options.n);
  return options;
}

const std::vector<Scenario>& Scenarios() {
  static const std::vector<Scenario> scenarios = [] {
    std::vector<Scenario> all;
    for (const ScenarioText& text : ScenarioTexts()) {
      auto scenario = ParseScenario(std::string(text.name), text.text);
      LARIAT_CHECK(scenario.has_value(), "a scenario of sim/scenarios is malformed");
      all.push_back(std::move(*scenario));
    }
    return all;
  }();
  return scenarios;
}

const Scenario* FindScenario(std::string_view name) {
  for (const Scenario& scenario : Scenarios()) {
    if (scenario.name == name) return &scenario;
  }
  return nullptr;
}

}  // namespace lariat::sim

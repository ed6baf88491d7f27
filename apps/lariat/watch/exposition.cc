// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/watch/exposition.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <utility>

namespace lariat::cli::watch {
namespace {

// `a="x",b="y"}` and what is behind it; false if it is not like that.
bool TakeLabels(std::string_view* rest, std::map<std::string, std::string>* labels) {
  while (!rest->empty() && rest->front() != '}') {
    const size_t equals = rest->find("=\"");
    if (equals == std::string_view::npos) return false;
    std::string name(rest->substr(0, equals));
    rest->remove_prefix(equals + 2);
    std::string value;
    while (!rest->empty() && rest->front() != '"') {
      const bool escaped = rest->front() == '\\' && rest->size() > 1;
      const char c = (*rest)[escaped ? 1 : 0];
      value += escaped && c == 'n' ? '\n' : c;
      rest->remove_prefix(escaped ? 2 : 1);
    }
    if (rest->empty()) return false;
    rest->remove_prefix(1);
    if (rest->starts_with(',')) rest->remove_prefix(1);
    labels->emplace(std::move(name), std::move(value));
  }
  if (rest->empty()) return false;
  rest->remove_prefix(1);
  return true;
}

std::optional<std::pair<std::string, Series>> ParseLine(std::string_view line) {
  if (line.empty() || line.front() == '#') return std::nullopt;
  const size_t name_ends = std::min(line.find_first_of("{ "), line.size());
  std::string name(line.substr(0, name_ends));
  line.remove_prefix(name_ends);
  Series series;
  if (line.starts_with('{')) {
    line.remove_prefix(1);
    if (!TakeLabels(&line, &series.labels)) return std::nullopt;
  }
  if (!line.starts_with(' ')) return std::nullopt;
  const std::string number(line.substr(1));
  char* end = nullptr;
  series.value = std::strtod(number.c_str(), &end);
  if (end == number.c_str()) return std::nullopt;
  return std::pair(std::move(name), std::move(series));
}

bool Says(const Series& series, std::string_view label, std::string_view value) {
  if (label.empty()) return true;
  const auto found = series.labels.find(std::string(label));
  return found != series.labels.end() && found->second == value;
}

// Counts by upper bound, over all series that say so.
std::map<double, double> BucketsOf(const Exposition& at, std::string_view histogram,
                                   std::string_view label, std::string_view value) {
  std::map<double, double> buckets;
  for (const Series& series : at.Of(std::string(histogram) + "_bucket")) {
    const auto le = series.labels.find("le");
    if (le == series.labels.end() || !Says(series, label, value)) continue;
    const double bound = le->second == "+Inf" ? std::numeric_limits<double>::infinity()
                                              : std::strtod(le->second.c_str(), nullptr);
    buckets[bound] += series.value;
  }
  return buckets;
}

}  // namespace

Exposition Exposition::Parse(std::string_view text) {
  Exposition parsed;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (auto series = ParseLine(line)) {
      parsed.series_[series->first].push_back(std::move(series->second));
    }
  }
  return parsed;
}

const std::vector<Series>& Exposition::Of(std::string_view name) const {
  static const std::vector<Series> kNone;
  const auto found = series_.find(name);
  return found == series_.end() ? kNone : found->second;
}

double Exposition::Sum(std::string_view name, std::string_view label,
                       std::string_view value) const {
  double sum = 0;
  for (const Series& series : Of(name)) {
    if (Says(series, label, value)) sum += series.value;
  }
  return sum;
}

double RateOf(const Exposition& before, const Exposition& after, double seconds,
              std::string_view name, std::string_view label, std::string_view value) {
  const double counted = after.Sum(name, label, value) - before.Sum(name, label, value);
  return seconds > 0 ? std::max(0.0, counted) / seconds : 0;
}

double QuantileOf(const Exposition& before, const Exposition& after, double q,
                  std::string_view histogram, std::string_view label, std::string_view value) {
  std::map<double, double> counted = BucketsOf(after, histogram, label, value);
  for (const auto& [bound, count] : BucketsOf(before, histogram, label, value)) {
    counted[bound] -= count;
  }
  const double all = counted.empty() ? 0 : counted.rbegin()->second;
  if (all <= 0) return 0;
  double last = 0;
  for (const auto& [bound, count] : counted) {
    if (std::isinf(bound)) return last;
    last = bound;
    if (count >= q * all) return bound;
  }
  return last;
}

}  // namespace lariat::cli::watch

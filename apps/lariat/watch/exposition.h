// SPDX-License-Identifier: Apache-2.0
// What a node tells at /metrics (Prometheus text format), as numbers. Pure values.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lariat::cli::watch {

struct Series {
  std::map<std::string, std::string> labels;
  double value = 0;
};

class Exposition {
 public:
  Exposition() = default;
  // Lines that are none are passed over.
  static Exposition Parse(std::string_view text);

  bool Has(std::string_view name) const { return series_.find(name) != series_.end(); }
  const std::vector<Series>& Of(std::string_view name) const;  // empty if there is none
  // All of the name added up whose label says so; an empty label takes all.
  double Sum(std::string_view name, std::string_view label = {}, std::string_view value = {}) const;

 private:
  std::map<std::string, std::vector<Series>, std::less<>> series_;
};

// What was counted between two looks at one node, per second; 0 after a restart between them.
double RateOf(const Exposition& before, const Exposition& after, double seconds,
              std::string_view name, std::string_view label = {}, std::string_view value = {});

// Upper bound of the histogram's bucket that the share `q` of what was counted between the looks
// falls into; 0 if nothing was. In the histogram's unit.
double QuantileOf(const Exposition& before, const Exposition& after, double q,
                  std::string_view histogram, std::string_view label = {},
                  std::string_view value = {});

}  // namespace lariat::cli::watch

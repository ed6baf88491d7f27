// SPDX-License-Identifier: Apache-2.0
#include "ring/fair_share.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace lariat::ring {
namespace {

struct Part {
  double weight, low, high;
};

// Splits `total` in proportion to the weights, each part within its bounds.
std::vector<double> Divide(double total, const std::vector<Part>& parts) {
  std::vector<double> shares(parts.size());
  const auto sum_at = [&](double scale) {
    double sum = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
      shares[i] = std::clamp(parts[i].weight * scale, parts[i].low, parts[i].high);
      sum += shares[i];
    }
    return sum;
  };
  double low = 0;
  double high = 1;
  // Beyond this scale every part has long reached its upper bound: `total` is out of reach.
  while (high < 0x1p80 && sum_at(high) < total) high *= 2;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (sum_at(middle) < total ? low : high) = middle;
  }
  sum_at(high);
  return shares;
}

}  // namespace

std::vector<double> FairShares(const std::vector<RingNode>& nodes, uint32_t n) {
  std::map<std::pair<std::string, std::string>, std::vector<size_t>> racks;
  for (size_t i = 0; i < nodes.size(); ++i) racks[{nodes[i].dc, nodes[i].rack}].push_back(i);
  const double copies = std::min<double>(n, static_cast<double>(nodes.size()));
  const auto rack_count = static_cast<double>(racks.size());
  const bool all_racks_hold_each_key = rack_count <= copies;
  std::vector<Part> rack_parts;
  for (const auto& [name, members] : racks) {
    Part part{0.0, 0.0, 1.0};
    for (const size_t i : members) part.weight += nodes[i].weight;
    if (all_racks_hold_each_key) {
      part.low = 1.0;
      part.high = std::min(copies - rack_count + 1, static_cast<double>(members.size()));
    }
    rack_parts.push_back(part);
  }
  const std::vector<double> rack_shares = Divide(copies, rack_parts);

  std::vector<double> shares(nodes.size(), 0.0);
  size_t rack = 0;
  for (const auto& [name, members] : racks) {
    std::vector<Part> parts;
    for (const size_t i : members) parts.push_back({nodes[i].weight, 0.0, 1.0});
    const std::vector<double> in_rack = Divide(rack_shares[rack++], parts);
    for (size_t k = 0; k < members.size(); ++k) shares[members[k]] = in_rack[k];
  }
  return shares;
}

}  // namespace lariat::ring

// SPDX-License-Identifier: Apache-2.0
// What happens to one simulated cluster: everybody meets, rests, one node changes its states, one
// node dies. Figures of that are a Row. Values and one function.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace lariat::sim::scale {

struct Setup {
  uint32_t nodes = 10;
  uint32_t racks = 2;
  uint32_t dcs = 1;
  bool hierarchical = false;
  int warm_rounds = 60;
  int rest_rounds = 60;
  int death_rounds_max = 60;
  // Nodes with failure detection: the dead node's rack and so many others; 0: all nodes.
  uint32_t sampled_observers = 0;
};

// Trivially copyable: processes hand it over.
struct Row {
  Setup setup;
  uint32_t observers = 0;
  // Rounds until all (99 in 100, all) know the change; 0: not within the limit.
  int rounds_most = 0, rounds_all = 0;
  // Sent per node and second while nothing happens: the mean, and the busiest node's.
  double bytes_mean = 0, bytes_max = 0;
  // Of living nodes: pairs (observer, peer) times seconds that were watched, and what went wrong.
  double watched_pair_hours = 0;
  uint64_t suspicions = 0, convictions = 0;
  double probes_per_s = 0;  // of one observer
  // Seconds from the death to its conviction by observers; negative: not within the limit.
  double first_s = -1, median_s = -1, rack_s = -1, all_s = -1;
};

using Progress = std::function<void(const std::string&)>;

Row Measure(const Setup& setup, uint64_t seed, const Progress& progress);

// The clusters of the page; quick: those that take a second, for the test.
std::vector<Setup> Setups(bool quick);

}  // namespace lariat::sim::scale

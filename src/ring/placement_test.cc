// SPDX-License-Identifier: Apache-2.0
#include "ring/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <numeric>

#include "base/prng.h"
#include "ring/diff.h"
#include "ring/fair_share.h"

namespace lariat::ring {
namespace {
constexpr AllocationOptions kDefaults;
RingNode Node(uint64_t id, double weight, uint64_t rack) {
  RingNode node;
  node.id = {0, id};
  node.name = "node" + std::to_string(id);
  node.dc = "dc1";
  node.rack = "r" + std::to_string(rack);
  node.weight = weight;
  return node;
}
void Apply(std::vector<RingNode>& nodes, std::vector<std::vector<Token>> t) {
  for (size_t i = 0; i < nodes.size(); ++i) nodes[i].tokens = std::move(t[i]);
}
void Join(std::vector<RingNode>& nodes, RingNode node) {
  node.tokens = AllocateTokens(nodes, node, kDefaults);
  nodes.push_back(std::move(node));
}
std::vector<RingNode> H(const std::vector<RingNode>& nodes) {
  std::vector<RingNode> r;
  for (auto& n : nodes) if (!n.tokens.empty()) r.push_back(n);
  return r;
}
double Deviation(const std::vector<RingNode>& all, uint32_t n) {
  auto nodes = H(all);
  const auto held = Ring(nodes).Ownership(n);
  const auto fair = FairShares(nodes, n);
  const double copies = std::accumulate(fair.begin(), fair.end(), 0.0);
  double worst = 0;
  for (size_t i = 0; i < nodes.size(); ++i) worst = std::max(worst, std::abs(held[i] * copies / fair[i] - 1));
  return worst;
}
TEST(Placement, X) {
  for (uint64_t racks : {1, 2, 3}) for (uint64_t size : {4, 5, 6, 8, 10, 12, 16, 20, 30, 50, 100}) {
    std::vector<RingNode> base;
    for (uint64_t i = 0; i < size; ++i) Join(base, Node(i + 1, 1.0, i % racks));
    double worst_naive = 0, worst = 0, ms = 0, bad = 0; size_t added = 0;
    uint64_t step = std::max<uint64_t>(1, size / 10);
    uint64_t tries = 0;
    for (NodeIndex l = 0; l < size; l += step) {
      auto nodes = base; auto naive = base; naive[l].tokens.clear();
      worst_naive = std::max(worst_naive, Deviation(naive, 3));
      auto t0 = std::chrono::steady_clock::now();
      Apply(nodes, PlanLeave(base, l, kDefaults));
      ms = std::max(ms, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - t0).count());
      worst = std::max(worst, Deviation(nodes, 3));
      for (auto& n : nodes) added += n.tokens.size();
      added -= 16 * (size - 1); ++tries;
      for (auto& m : Diff(Ring(base), 3, Ring(nodes), 3)) if (m.sources != std::vector<NodeIndex>{l}) bad += m.range.Share();
    }
    std::printf("racks %lu size %lu naive %.2f%% -> %.2f%% tokens %.1f ms %.1f between %.4f\n", racks, size, 100*worst_naive, 100*worst, double(added)/tries, ms, bad);
  }
}
struct Seq { std::vector<double> weights; uint64_t racks; uint64_t lo, hi; };
TEST(Placement, Y) {
  for (Seq s : {Seq{{1}, 1, 4, 20}, Seq{{1}, 1, 4, 100}, Seq{{1}, 3, 6, 40}, Seq{{1}, 2, 6, 40}, Seq{{.5,1,2},1,8,40}, Seq{{.5,1,2},3,12,40}, Seq{{.5,1,2},3,30,100}})
  for (uint64_t seed = 0; seed < 2; ++seed) {
    base::Prng prng(seed);
    std::vector<RingNode> nodes;
    uint64_t id = 0; double worst[3] = {0,0,0}; int over[3] = {0,0,0}; int cnt[3]={0,0,0}; size_t maxtok = 0; double between = 0, nowd = 0; double ms[3]={0,0,0};
    for (; id < s.lo; ) { ++id; Join(nodes, Node(id, s.weights[id % s.weights.size()], id % s.racks)); }
    for (int step = 0; step < 120; ++step) {
      // drift the size up slowly
      int op = int(prng.Below(3));
      if (op == 1 && nodes.size() <= s.lo) op = 0;
      if (op == 0 && nodes.size() >= s.hi) op = 1;
      if (op == 2 && s.weights.size() == 1) op = prng.Below(4) == 0 && nodes.size() > s.lo ? 1 : (nodes.size() < s.hi ? 0 : 1);
      auto before = nodes; NodeIndex who = 0;
      auto t0 = std::chrono::steady_clock::now();
      if (op == 0) {
        // least filled rack
        std::vector<size_t> c(s.racks); for (auto& n : nodes) ++c[n.rack[1]-'0'];
        uint64_t rack = std::min_element(c.begin(), c.end()) - c.begin();
        before.push_back(Node(++id, s.weights[prng.Below(s.weights.size())], rack));
        who = before.size()-1; nodes = before; nodes[who].tokens = AllocateTokens(before, before[who], kDefaults);
      } else if (op == 1) {
        std::vector<size_t> c(s.racks); for (auto& n : nodes) ++c[n.rack[1]-'0'];
        do who = NodeIndex(prng.Below(nodes.size())); while (c[nodes[who].rack[1]-'0'] < *std::max_element(c.begin(), c.end()));
        Apply(nodes, PlanLeave(nodes, who, kDefaults));
      } else {
        who = NodeIndex(prng.Below(nodes.size()));
        double w = s.weights[prng.Below(s.weights.size())];
        Apply(nodes, PlanReweight(nodes, who, w, kDefaults)); nodes[who].weight = w;
      }
      ms[op] = std::max(ms[op], std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - t0).count());
      for (auto& m : Diff(Ring(before), 3, Ring(nodes), 3)) if (m.receiver != who && m.sources != std::vector<NodeIndex>{who}) between += m.range.Share();
      double d = Deviation(nodes, 3);
      ++cnt[op]; over[op] += d > 0.05; worst[op] = std::max(worst[op], d); nowd = d;
      for (auto& n : nodes) maxtok = std::max<size_t>(maxtok, size_t(double(n.tokens.size()) / n.weight));
      nodes = H(nodes);
    }
    std::printf("w%zu racks %lu %lu..%lu seed %lu end %zu: join %.2f%% (%d/%d over) leave %.2f%% (%d/%d) reweight %.2f%% (%d/%d) last %.2f%% maxtok/w %zu between %.4f ms %.0f %.0f %.0f\n", s.weights.size(), s.racks, s.lo, s.hi, seed, nodes.size(), 100*worst[0], over[0], cnt[0], 100*worst[1], over[1], cnt[1], 100*worst[2], over[2], cnt[2], 100*nowd, maxtok, between, ms[0], ms[1], ms[2]);
  }
}
}  // namespace
}  // namespace lariat::ring

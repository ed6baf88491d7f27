// SPDX-License-Identifier: Apache-2.0
#include "ring/placement.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"
#include "ring/internal/spread.h"

namespace lariat::ring {
namespace {

using internal::Spread;
using Tokens = std::vector<std::vector<Token>>;

// A leaver's ranges are only given out while somebody deviates by more than this: as few tokens as
// it takes, so that a node that joins and leaves again undoes what it did.
constexpr double kEvenEnough = 0.03;
constexpr size_t kTokensForOne = 2;                 // given out for one of the leaver, at most
constexpr int kPlacementRounds = 3;                 // of taking up and placing again
constexpr size_t kReceiversMax = 8;                 // looked at for one site: those that lack most
constexpr uint64_t kPlacementLooksMax = 4'000'000;  // bound on the work with very many tokens

Tokens Present(const std::vector<RingNode>& nodes) {
  Tokens tokens;
  for (const RingNode& node : nodes) tokens.push_back(node.tokens);
  return tokens;
}

std::vector<NodeIndex> Holders(const std::vector<RingNode>& nodes) {
  std::vector<NodeIndex> holders;
  for (NodeIndex i = 0; i < nodes.size(); ++i) {
    if (!nodes[i].tokens.empty()) holders.push_back(i);
  }
  return holders;
}

bool SameRack(const RingNode& a, const RingNode& b) { return a.dc == b.dc && a.rack == b.rack; }

// Puts tokens one by one where they do most for an even spread, and then looks at each once more.
class Search {
 public:
  // Tokens of any of `receivers`, `count` of them at most.
  Search(Spread& spread, std::vector<NodeIndex> receivers, size_t count)
      : spread_(spread), receivers_(std::move(receivers)), count_(count) {}
  // Only in the leaver's place.
  void Confine() { confined_ = true; }

  // As many as it takes until the spread is good enough.
  void PutWhileUneven();
  void PutAll();
  // Those that were put, by node.
  void AddTo(Tokens* tokens) const;

 private:
  bool PutBest(double worst_cost);
  void PlaceAgain(double worst_cost);
  void LookAt(size_t gap, Spread::Best* best);

  Spread& spread_;
  std::vector<NodeIndex> receivers_;
  size_t count_;
  bool confined_ = false;
  std::vector<std::pair<Token, NodeIndex>> put_;
  size_t start_ = 0;  // the first place of the next look
};

void Search::LookAt(size_t gap, Spread::Best* best) {
  for (size_t i = 0; i < std::min(receivers_.size(), kReceiversMax); ++i) {
    spread_.Consider(gap, receivers_[i], best);
  }
}

bool Search::PutBest(double worst_cost) {
  if (receivers_.size() > kReceiversMax) {
    std::partial_sort(receivers_.begin(), receivers_.begin() + kReceiversMax, receivers_.end(),
                      [this](NodeIndex a, NodeIndex b) {
                        return std::pair(spread_.Error(a), a) < std::pair(spread_.Error(b), b);
                      });
  }
  std::vector<size_t> gaps;
  if (confined_) gaps = spread_.GapsOfLeaver();
  const size_t places = confined_ ? gaps.size() : spread_.gaps();
  const size_t of_each = std::min(receivers_.size(), kReceiversMax);
  const uint64_t looks = kPlacementLooksMax / (count_ * (kPlacementRounds + 1) * of_each) + 1;
  const size_t stride = (places + looks - 1) / looks;
  Spread::Best best;
  best.cost = worst_cost;
  start_ = (start_ + 1) % stride;
  for (size_t i = start_; i < places; i += stride) LookAt(confined_ ? gaps[i] : i, &best);
  if (best.x == 0) return false;
  spread_.Put(best);
  put_.emplace_back(best.token, best.node);
  return true;
}

void Search::PlaceAgain(double worst_cost) {
  for (const auto& [token, node] : std::exchange(put_, {})) {
    spread_.TakeUp(token);
    PutBest(worst_cost);
  }
}

void Search::PutWhileUneven() {
  for (size_t i = 0; i < count_ && spread_.Deviation() > kEvenEnough; ++i) {
    if (!PutBest(0)) break;
    if (std::has_single_bit(i + 1)) PlaceAgain(0);
  }
  for (int i = 0; i < kPlacementRounds && spread_.Deviation() > kEvenEnough; ++i) PlaceAgain(0);
}

void Search::PutAll() {
  constexpr double kAnyCost = std::numeric_limits<double>::infinity();
  for (size_t i = 1; i <= count_; ++i) {
    // The first of 16 tokens aims at a sixteenth: it must not take all that is wanted.
    spread_.AimAt(static_cast<double>(i) / static_cast<double>(count_));
    PutBest(kAnyCost);
  }
  for (int round = 0; round < kPlacementRounds; ++round) PlaceAgain(kAnyCost);
}

void Search::AddTo(Tokens* tokens) const {
  for (const auto& [token, node] : put_) (*tokens)[node].push_back(token);
  for (auto& of_node : *tokens) std::sort(of_node.begin(), of_node.end());
}

// The n to even out when the node's tokens are chosen: with fewer other nodes than copies, or as
// the only node of its rack, it is in every list wherever its tokens lie, so only shorter lists are
// to be decided.
uint32_t DecidedCopies(const std::vector<RingNode>& nodes, NodeIndex node, uint32_t replication) {
  size_t others = 0;
  bool own_rack = false;
  std::vector<const RingNode*> racks;
  for (NodeIndex i = 0; i < nodes.size(); ++i) {
    if (i == node || nodes[i].tokens.empty()) continue;
    ++others;
    own_rack |= SameRack(nodes[i], nodes[node]);
    const auto same = [&](const RingNode* seen) { return SameRack(*seen, nodes[i]); };
    if (std::none_of(racks.begin(), racks.end(), same)) racks.push_back(&nodes[i]);
  }
  size_t n = std::min({size_t{replication}, size_t{Ring::kMaxReplication}, others});
  if (!own_rack) n = std::min(n, racks.size());
  return static_cast<uint32_t>(n);
}

}  // namespace

Tokens PlanLeave(const std::vector<RingNode>& nodes, NodeIndex leaver,
                 const AllocationOptions& options) {
  Tokens next = Present(nodes);
  next[leaver].clear();
  std::vector<RingNode> rest = nodes;
  rest[leaver].tokens.clear();
  const std::vector<NodeIndex> holders = Holders(rest);
  const uint32_t n = std::min(options.replication, Ring::kMaxReplication);
  // With one copy on every node there is nothing to even out.
  if (nodes[leaver].tokens.empty() || holders.size() <= n) return next;
  Spread spread(nodes, {n, holders, true, leaver});
  Search search(spread, holders, kTokensForOne * nodes[leaver].tokens.size());
  search.Confine();
  search.PutWhileUneven();
  search.AddTo(&next);
  return next;
}

Tokens PlanReplace(const std::vector<RingNode>& nodes, NodeIndex dead, NodeIndex newcomer) {
  LARIAT_CHECK(dead != newcomer, "a node is not replaced by itself");
  Tokens next = Present(nodes);
  next[newcomer] = std::exchange(next[dead], {});
  return next;
}

Tokens PlanReweight(const std::vector<RingNode>& nodes, NodeIndex node, double weight,
                    const AllocationOptions& options) {
  Tokens next = Present(nodes);
  const size_t have = nodes[node].tokens.size();
  if (have > 0 && nodes[node].weight == weight) return next;
  std::vector<RingNode> after = nodes;
  after[node].weight = weight;
  const uint32_t n = DecidedCopies(after, node, options.replication);
  if (have == 0 || n == 0) {  // it joins, or it holds everything
    next[node] = AllocateTokens(after, after[node], options);
    return next;
  }
  const size_t wanted = TokenCount(weight, options);
  const std::vector<NodeIndex> holders = Holders(after);
  Spread spread(after, {n, holders, false, 0});
  const double lack = 1 - spread.Held(node) / spread.Fair(node);
  if (lack > 0) {
    const auto by_share = static_cast<size_t>(std::ceil(lack * static_cast<double>(wanted)));
    const size_t by_count = wanted > have ? wanted - have : 0;
    Search search(spread, {node}, std::max(by_share, by_count));
    search.PutAll();
    search.AddTo(&next);
    return next;
  }
  next[node].clear();
  Spread smaller(std::move(after), {n, holders, true, node});
  Search kept(smaller, {node}, std::min(wanted, have));
  kept.Confine();
  kept.PutAll();
  kept.AddTo(&next);
  Search given(smaller, holders, kTokensForOne * have);
  given.Confine();
  given.PutWhileUneven();
  given.AddTo(&next);
  return next;
}

}  // namespace lariat::ring

// SPDX-License-Identifier: Apache-2.0
#include "ring/diff.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lariat::ring {
namespace {

using Nodes = std::vector<NodeIndex>;

bool Contains(const Nodes& nodes, NodeIndex node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

// Those of `nodes` that are not in `others`, in their order.
Nodes Without(const Nodes& nodes, const Nodes& others) {
  Nodes result;
  for (const NodeIndex node : nodes) {
    if (!Contains(others, node)) result.push_back(node);
  }
  return result;
}

// The whole ring in pieces that no token of these rings divides, from token 0 on.
std::vector<TokenRange> Pieces(const std::vector<const Ring*>& rings) {
  constexpr Token kLast{UINT64_MAX};
  std::vector<Token> ends = {kLast};
  for (const Ring* ring : rings) {
    for (const RingNode& node : ring->nodes()) {
      ends.insert(ends.end(), node.tokens.begin(), node.tokens.end());
    }
  }
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  std::vector<TokenRange> pieces;
  pieces.reserve(ends.size());
  Token from = kLast;
  for (const Token to : ends) pieces.push_back({std::exchange(from, to), to});
  return pieces;
}

struct Copy {
  NodeIndex receiver;
  Nodes sources;
  bool from_all;
};

// The rules of the header for one range.
std::vector<Copy> CopiesFor(const Nodes& before, const Nodes& after, const Nodes& gone) {
  std::vector<Copy> copies;
  if (before.empty()) return copies;
  const Nodes readable = Without(before, gone);
  const Nodes gainers = Without(after, before);
  const Nodes leavers = Without(before, after);
  const size_t pairs = std::min(gainers.size(), leavers.size());
  const Nodes unpaired(leavers.begin() + static_cast<long>(pairs), leavers.end());
  const bool lost_one = !Without(unpaired, readable).empty();
  for (const NodeIndex node : after) {
    const auto gainer =
        static_cast<size_t>(std::find(gainers.begin(), gainers.end(), node) - gainers.begin());
    const bool gains = gainer < gainers.size();
    const bool has_pair = gainer < pairs;
    const bool needs_all =
        lost_one || (gains && !has_pair) || (has_pair && Contains(gone, leavers[gainer]));
    Nodes sources = needs_all ? Without(readable, {node}) : unpaired;
    if (has_pair && !needs_all) sources.push_back(leavers[gainer]);
    if (!gains && sources.empty()) continue;
    std::sort(sources.begin(), sources.end());
    const bool from_all = sources.size() == Without(readable, {node}).size();
    copies.push_back({node, std::move(sources), from_all});
  }
  return copies;
}

void CheckSameNodes(const Ring& before, const Ring& after) {
  const auto same = [](const RingNode& a, const RingNode& b) { return a.id == b.id; };
  LARIAT_CHECK(std::equal(before.nodes().begin(), before.nodes().end(), after.nodes().begin(),
                          after.nodes().end(), same),
               "rings are compared over one node list");
}

std::vector<TokenRange> RangesWhere(const Ring& ring, uint32_t n, NodeIndex node, bool owned) {
  std::vector<TokenRange> ranges;
  for (const TokenRange& piece : Pieces({&ring})) {
    if (Owns(ring, n, node, piece.to) != owned) continue;
    if (!ranges.empty() && ranges.back().to == piece.from) {
      ranges.back().to = piece.to;
    } else {
      ranges.push_back(piece);
    }
  }
  return ranges;
}

}  // namespace

double TokenRange::Share() const {
  const uint64_t width = to.value - from.value;
  return width == 0 ? 1.0 : static_cast<double>(width) * 0x1p-64;
}

std::vector<Move> Diff(const Ring& before, uint32_t n_before, const Ring& after, uint32_t n_after,
                       const std::vector<NodeIndex>& gone) {
  CheckSameNodes(before, after);
  std::vector<Move> moves;
  std::vector<size_t> growing;  // moves that end where the present piece begins
  for (const TokenRange& piece : Pieces({&before, &after})) {
    std::vector<size_t> grown;
    for (Copy& copy : CopiesFor(before.Primaries(piece.to, n_before).primaries,
                                after.Primaries(piece.to, n_after).primaries, gone)) {
      const auto same = [&](size_t i) {
        return moves[i].receiver == copy.receiver && moves[i].sources == copy.sources;
      };
      const auto it = std::find_if(growing.begin(), growing.end(), same);
      if (it != growing.end()) {
        moves[*it].range.to = piece.to;
        moves[*it].from_all = moves[*it].from_all && copy.from_all;
        grown.push_back(*it);
      } else {
        grown.push_back(moves.size());
        moves.push_back({piece, copy.receiver, std::move(copy.sources), copy.from_all});
      }
    }
    growing = std::move(grown);
  }
  return moves;
}

bool Owns(const Ring& ring, uint32_t n, NodeIndex node, Token token) {
  return Contains(ring.Primaries(token, n).primaries, node);
}

std::vector<TokenRange> OwnedRanges(const Ring& ring, uint32_t n, NodeIndex node) {
  return RangesWhere(ring, n, node, true);
}

std::vector<TokenRange> NotOwnedRanges(const Ring& ring, uint32_t n, NodeIndex node) {
  return RangesWhere(ring, n, node, false);
}

}  // namespace lariat::ring

// SPDX-License-Identifier: Apache-2.0
// What moves from one ring to another, and which parts of a ring a node holds. Pure.
//
// Both rings are built over the same node list, so a NodeIndex means the same in both; a node that
// has not joined yet or has left is in the list without tokens.
//
// Who copies from whom. Let B be the n holders of a range before, A those after. Nodes of A that
// are not in B are gainers, nodes of B not in A leavers; they are paired in list order, and
//
//   1. a gainer with a leaver copies what that leaver holds, and nothing else;
//   2. a gainer without one (more copies are wanted) copies from all of B;
//   3. a gainer whose leaver is gone, that is, cannot be read, copies from all others of B;
//   4. leavers without a gainer (fewer copies are wanted) are copied by all of A, and if one of
//      them is gone, all of A copy from all others of B.
//
// Why not simply the nearest one of B? Take n = 3, w = r = 2, B = {a, b, c}. A write was
// acknowledged by a and c; b missed it. Now d takes the place of c. If d copied from b, the write
// would be left on a alone of A = {a, b, d}: a read that asks b and d would not find it although
// r + w > n. By rule 1, d copies c, whatever c holds: the number of holders of every value in A is
// what it was in B, for every n, w and r. If a is replaced by e in the same step, each still brings
// its own leaver's values and the count stays.
//
// If c is gone, the write may have been acknowledged by c and one of a and b: w - 1 of its holders
// are left, and nobody knows which. By rule 3, d has what any of them holds, and so d counts for
// c, as long as w > 1. (With w = 1 the only copy may be what was lost.) All of the others are
// needed, or at least n - w + 1 of them: of a and b alone either may be the one that missed it.
//
// By rule 2 a gainer has every value that anybody holds: with n from 3 to 5, w from 2 to 3, two
// holders become four. Rule 4: with n from 5 to 3, w from 3 to 2, a value on b, d and e of
// {a, b, c, d, e} is on one of {a, b, c} only, until a and c have read d and e too.
#pragma once

#include <compare>
#include <vector>

#include "ring/ring.h"

namespace lariat::ring {

// Tokens in (from, to], clockwise; (x, x] is the whole ring.
//
// Those that come out of this header are cut at zero, so that each is one piece in token order: the
// one that begins with token 0 has `from` UINT64_MAX, which is the token before it, and the whole
// ring is (UINT64_MAX, UINT64_MAX]. So First() <= to holds for every one of them, and from < to for
// all but those that begin with token 0. None is empty.
struct TokenRange {
  Token from, to;
  auto operator<=>(const TokenRange&) const = default;
  Token First() const { return {from.value + 1}; }
  bool Contains(Token token) const {
    return from == to || token.value - from.value - 1 < to.value - from.value;
  }
  double Share() const;  // of the token space, above 0 to 1
};

// The receiver needs what each of the sources holds of the range, not just one of them.
struct Move {
  TokenRange range;
  NodeIndex receiver = 0;
  // Ascending, never the receiver, none of them gone. Empty if all that held the range are gone:
  // then its data is lost.
  std::vector<NodeIndex> sources;
  // All that held the range and can be read are sources, but for the receiver itself. Only then
  // may one of them have lost records: whatever any other one has gets to the receiver too.
  bool from_all = false;
  bool operator==(const Move&) const = default;
};

// By rules 1 to 4; in the order of First(), at one place in the order of the list after. Adjacent
// ranges with the same receiver and sources are one. `gone` are the nodes that are never a source.
// REQUIRES: both rings have the same nodes in the same order.
std::vector<Move> Diff(const Ring& before, uint32_t n_before, const Ring& after, uint32_t n_after,
                       const std::vector<NodeIndex>& gone = {});

// Whether the node is one of the n holders of the token.
bool Owns(const Ring& ring, uint32_t n, NodeIndex node, Token token);
// All ranges of which the node is (not) one of the n holders, in the order of First(), adjacent
// ones joined. A node without tokens owns nothing: NotOwnedRanges is then the whole ring.
std::vector<TokenRange> OwnedRanges(const Ring& ring, uint32_t n, NodeIndex node);
std::vector<TokenRange> NotOwnedRanges(const Ring& ring, uint32_t n, NodeIndex node);

}  // namespace lariat::ring

// SPDX-License-Identifier: Apache-2.0
// Tokens of the others cannot move, so all a newcomer decides is which keys it takes, and from
// whom.
//
// Who loses what is simple. Where the newcomer enters the list of a range exactly one node leaves
// it, the range's *victim*, and it enters if one of its tokens comes before the victim's first.
// With n = 2, one rack and the points a1 b1 a2 c1, clockwise: keys up to a1 have the list [a b];
// any new token before b1 takes them from b, one between b1 and a2 takes none of them, but takes
// (a1, b1] from a and a part of (b1, a2] from c. So a token at x in a gap takes, whole, those
// ranges before it whose victim comes after it, and the part up to x of the range it splits. With
// the gap fixed all shares are linear in x and the sum of squared errors is a parabola: the best
// place in a gap is computed, not searched.
//
// Tokens are placed one by one, each in the best of all gaps; then each in turn is taken up and
// placed again, a few times over.
#include "ring/allocation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "base/check.h"
#include "ring/fair_share.h"

namespace lariat::ring {
namespace {

// What counts beside the even spread of all replicas, whose importance is 1. First primaries, which
// are what a bucket with fewer copies has. And gaps of one size: the owner of a wide gap stays
// overloaded for many joins, since a split takes from the last node in the list, not from the
// first; without this the worst of 40 nodes drifts to 15-30 % over its share.
constexpr double kPrimaryImportance = 0.1;
constexpr double kGapImportance = 0.001;
constexpr double kMargin = 1.0 / 64;  // what a token leaves of the gap on either side of it
constexpr double kNarrow = 0x1p-48;   // gaps below this, of 65,536 tokens, are left alone
constexpr int kRounds = 3;            // of taking up and placing again
// Bound on the work with very many tokens: places looked at in all (16 tokens beside 10,000 others
// stay far below it, a few hundred tokens look at a sample of the gaps).
constexpr uint64_t kLooksMax = 4'000'000;

// Gap i is the range that ends at point i of the ring of present nodes. One new token in a gap
// counts: of several, only the last one changes who holds what.
struct Gap {
  Token from;
  double share = 0;     // of all keys
  NodeIndex owner = 0;  // of the point that ends it
  double x = 0;         // where in it the new token lies; 0 is nowhere
};

double Square(double x) { return x * x; }

struct Parabola {
  double constant = 0, linear = 0, square = 0;
};

bool SameRack(const RingNode& a, const RingNode& b) { return a.dc == b.dc && a.rack == b.rack; }

// The owner that leaves a list when the newcomer enters it. The first node of each rack in the list
// is safe, but not if the newcomer is of that rack; the last one that is not safe goes, and the
// last one of all if every owner is safe.
NodeIndex VictimOf(const Ring& ring, const PreferenceList& list, const RingNode& newcomer) {
  const auto& owners = list.primaries;
  for (size_t i = owners.size(); i-- > 0;) {
    const RingNode& node = ring.nodes()[owners[i]];
    const bool opens_rack =
        std::none_of(owners.begin(), owners.begin() + static_cast<long>(i),
                     [&](NodeIndex earlier) { return SameRack(ring.nodes()[earlier], node); });
    if (!opens_rack || SameRack(node, newcomer)) return owners[i];
  }
  return owners.back();
}

// The share of all keys that each node holds with replication n, as new tokens are put and taken
// up. Nodes are those of the ring; one past them is the newcomer.
class Level {
 public:
  Level(const Ring& ring, const RingNode& newcomer, uint32_t n, double importance);

  // Adds what the sum of squared relative errors changes by if a token is put at x in this gap, as
  // a parabola in x.
  void Score(const std::vector<Gap>& gaps, size_t gap, Parabola& total);
  // Accounts for the token at gaps[gap].x: sign 1 puts it, -1 takes it up.
  void Account(const std::vector<Gap>& gaps, size_t gap, int sign);
  // Sets the goals between the start (0) and fair shares (1).
  void AimAt(double progress);

 private:
  double Error(NodeIndex node) const { return (held_[node] - goal_[node]) / fair_[node]; }

  double importance_;
  NodeIndex newcomer_;
  std::vector<NodeIndex> victim_;  // per range
  std::vector<std::vector<uint32_t>>
      taken_;                     // per gap: other ranges that a token in it takes whole
  std::vector<uint32_t> takers_;  // per range: new tokens that take it whole
  std::vector<double> held_, held_at_first_, fair_, goal_;  // per node
  std::vector<std::pair<NodeIndex, double>> losses_;        // scratch of Score
};

Level::Level(const Ring& ring, const RingNode& newcomer, uint32_t n, double importance)
    : importance_(importance), newcomer_(static_cast<NodeIndex>(ring.size())) {
  const auto points = ring.Ranges(1);
  const auto ranges = ring.Ranges(n);
  taken_.resize(ranges.size());
  takers_.assign(ranges.size(), 0);
  for (uint32_t i = 0; i < ranges.size(); ++i) {
    victim_.push_back(VictimOf(ring, ranges[i].owners, newcomer));
    for (size_t k = i; points[k].owners.primaries[0] != victim_[i];) {
      k = k + 1 == ranges.size() ? 0 : k + 1;
      taken_[k].push_back(i);
    }
  }
  for (const double share : ring.Ownership(n)) held_.push_back(share * n);
  held_.push_back(0.0);
  held_at_first_ = goal_ = held_;
  std::vector<RingNode> all = ring.nodes();
  all.push_back(newcomer);
  fair_ = FairShares(all, n);
}

void Level::Score(const std::vector<Gap>& gaps, size_t gap, Parabola& total) {
  losses_.clear();
  double gain = 0;
  const auto lose = [&](NodeIndex node, double share) {
    gain += share;
    const auto same = [node](const auto& loss) { return loss.first == node; };
    const auto it = std::find_if(losses_.begin(), losses_.end(), same);
    if (it != losses_.end()) {
      it->second += share;
    } else {
      losses_.emplace_back(node, share);
    }
  };
  for (const uint32_t range : taken_[gap]) {
    if (takers_[range] == 0) lose(victim_[range], gaps[range].share * (1 - gaps[range].x));
  }
  const double split = takers_[gap] == 0 ? gaps[gap].share : 0.0;
  lose(victim_[gap], 0.0);
  losses_.emplace_back(newcomer_, -gain);
  for (const auto& [node, loss] : losses_) {
    const double at_zero = Error(node) - loss / fair_[node];
    double slope = 0;
    if (node == victim_[gap]) slope = -split / fair_[node];
    if (node == newcomer_) slope = split / fair_[node];
    total.constant += importance_ * (Square(at_zero) - Square(Error(node)));
    total.linear += importance_ * 2 * at_zero * slope;
    total.square += importance_ * Square(slope);
  }
}

void Level::Account(const std::vector<Gap>& gaps, size_t gap, int sign) {
  const auto move = [&](size_t range, double share) {
    held_[victim_[range]] -= sign * share;
    held_[newcomer_] += sign * share;
  };
  if (takers_[gap] == 0) move(gap, gaps[gap].share * gaps[gap].x);
  for (const uint32_t range : taken_[gap]) {
    if (sign < 0) --takers_[range];
    if (takers_[range] == 0) move(range, gaps[range].share * (1 - gaps[range].x));
    if (sign > 0) ++takers_[range];
  }
}

void Level::AimAt(double progress) {
  for (size_t i = 0; i < goal_.size(); ++i) {
    goal_[i] = held_at_first_[i] + progress * (fair_[i] - held_at_first_[i]);
  }
}

class Placement {
 public:
  Placement(const Ring& ring, const RingNode& newcomer, uint32_t replication);
  std::vector<Token> Place(uint32_t count);

 private:
  // Puts a token at the best place of the free gaps it looks at, if there is one.
  void PutBest();
  void TakeUp(size_t gap);
  void PlaceAgain();
  // `count` tokens in all: the ones placed, and as many more inside what they took.
  std::vector<Token> Tokens(uint32_t count) const;

  std::vector<Gap> gaps_;
  std::vector<Level> levels_;
  size_t stride_ = 1;  // every how many gaps one is looked at
  size_t start_ = 0;   // the first one of the next look
};

Placement::Placement(const Ring& ring, const RingNode& newcomer, uint32_t replication) {
  for (const Ring::Range& range : ring.Ranges(1)) {
    const uint64_t width = range.to.value - range.from.value;
    const double share = width == 0 ? 1.0 : static_cast<double>(width) * 0x1p-64;
    gaps_.push_back({range.from, share, range.owners.primaries[0]});
  }
  // With fewer nodes than copies, or as the first node of a rack that was missing, the newcomer
  // enters every list wherever its tokens lie: only lists short of that are to be decided.
  size_t n = std::min({size_t{replication}, size_t{Ring::kMaxReplication}, ring.size()});
  std::vector<const RingNode*> racks;
  for (const RingNode& node : ring.nodes()) {
    const auto same = [&](const RingNode* seen) { return SameRack(*seen, node); };
    if (std::none_of(racks.begin(), racks.end(), same)) racks.push_back(&node);
  }
  const auto own = [&](const RingNode* seen) { return SameRack(*seen, newcomer); };
  if (std::none_of(racks.begin(), racks.end(), own)) n = std::min(n, racks.size());
  levels_.emplace_back(ring, newcomer, 1, n > 1 ? kPrimaryImportance : 1.0);
  if (n > 1) levels_.emplace_back(ring, newcomer, static_cast<uint32_t>(n), 1.0);
}

void Placement::PutBest() {
  double best_cost = std::numeric_limits<double>::infinity();
  size_t best_gap = 0;
  double best_x = 0;
  start_ = (start_ + 1) % stride_;
  for (size_t i = start_; i < gaps_.size(); i += stride_) {
    if (gaps_[i].x > 0 || gaps_[i].share < kNarrow) continue;
    const double evenness =
        2 * kGapImportance * Square(gaps_[i].share * static_cast<double>(gaps_.size()));
    Parabola p{0, -evenness, evenness};
    for (Level& level : levels_) level.Score(gaps_, i, p);
    const double x = std::clamp(-p.linear / (2 * p.square), kMargin, 1 - kMargin);
    const double cost = p.constant + x * (p.linear + x * p.square);
    if (cost >= best_cost) continue;
    best_cost = cost;
    best_gap = i;
    best_x = x;
  }
  if (best_x == 0) return;
  gaps_[best_gap].x = best_x;
  for (Level& level : levels_) level.Account(gaps_, best_gap, 1);
}

void Placement::TakeUp(size_t gap) {
  for (Level& level : levels_) level.Account(gaps_, gap, -1);
  gaps_[gap].x = 0;
}

void Placement::PlaceAgain() {
  std::vector<size_t> used;
  for (size_t i = 0; i < gaps_.size(); ++i) {
    if (gaps_[i].x > 0) used.push_back(i);
  }
  for (const size_t gap : used) {
    if (gaps_[gap].x == 0) continue;
    TakeUp(gap);
    PutBest();
  }
}

std::vector<Token> Placement::Tokens(uint32_t count) const {
  struct Piece {
    const Gap* gap;
    uint32_t tokens;
    double Width() const { return gap->share * gap->x / tokens; }
  };
  std::vector<Piece> pieces;
  for (const Gap& gap : gaps_) {
    if (gap.x > 0) pieces.push_back({&gap, 1});
  }
  LARIAT_CHECK(!pieces.empty(), "the widest gap of a ring always takes a token");
  for (size_t placed = pieces.size(); placed < count; ++placed) {
    const auto narrower = [](const Piece& a, const Piece& b) { return a.Width() < b.Width(); };
    ++std::max_element(pieces.begin(), pieces.end(), narrower)->tokens;
  }
  std::vector<Token> tokens;
  for (const Piece& piece : pieces) {
    for (uint32_t i = 1; i <= piece.tokens; ++i) {
      const double offset = std::floor(piece.Width() * i * 0x1p64);
      tokens.push_back({piece.gap->from.value + static_cast<uint64_t>(offset)});
    }
  }
  std::sort(tokens.begin(), tokens.end());
  return tokens;
}

std::vector<Token> Placement::Place(uint32_t count) {
  const uint64_t looks = kLooksMax / (uint64_t{count} * (kRounds + 1)) + 1;
  stride_ = (gaps_.size() + looks - 1) / looks;
  for (uint32_t i = 1; i <= count; ++i) {
    // The first of 16 tokens aims at a sixteenth: it must not take all that is wanted.
    for (Level& level : levels_) level.AimAt(static_cast<double>(i) / count);
    PutBest();
  }
  for (int round = 0; round < kRounds; ++round) PlaceAgain();
  return Tokens(count);
}

std::vector<Token> EvenTokens(uint32_t count) {
  std::vector<Token> tokens;
  const uint64_t step = UINT64_MAX / count + 1;
  for (uint32_t i = 0; i < count; ++i) tokens.push_back({i * step});
  return tokens;
}

}  // namespace

uint32_t TokenCount(double weight, const AllocationOptions& options) {
  const double wanted = std::round(weight * options.tokens_per_weight);
  return static_cast<uint32_t>(std::clamp(wanted, 1.0, static_cast<double>(kTokensMax)));
}

std::vector<Token> AllocateTokens(const std::vector<RingNode>& present, const RingNode& newcomer,
                                  const AllocationOptions& options) {
  LARIAT_CHECK(options.tokens_per_weight > 0, "a node needs a token");
  LARIAT_CHECK(options.replication > 0, "a key needs a replica");
  const uint32_t count = TokenCount(newcomer.weight, options);
  std::vector<RingNode> holders;
  for (const RingNode& node : present) {
    if (node.id != newcomer.id && !node.tokens.empty()) holders.push_back(node);
  }
  if (holders.empty()) return EvenTokens(count);
  return Placement(Ring(std::move(holders)), newcomer, options.replication).Place(count);
}

}  // namespace lariat::ring

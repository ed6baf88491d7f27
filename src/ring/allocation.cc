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
// the gap fixed all shares are linear in x and the cost, a sum of squares and fourth powers of
// errors, is convex of degree four: the best place in a gap is computed, not searched.
//
// Tokens are placed one by one, each in the best of all gaps; then each in turn is taken up and
// placed again, a few times over. If a node is still far from its share, all is done again with
// another importance of the gaps, and the most even result is taken.
#include "ring/allocation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"
#include "ring/internal/level.h"

namespace lariat::ring {
namespace {

using internal::Cost;
using internal::Gap;
using internal::Level;
using internal::SameRack;

// What counts beside the even spread of all replicas, whose importance is 1. First primaries, which
// are what a bucket with fewer copies has. With fewer racks than copies, the newcomer's rack as a
// ring of its own: it becomes one when there are racks enough, and then no join in another rack
// can even it out. And gaps of one size, between tokens of the rack if a token takes from that
// alone: the owner of a wide gap stays overloaded for many joins, since a split takes from the last
// node in the list, not from the first; but the narrower gaps are, the less a token can take, so
// two importances are tried.
constexpr double kPrimaryImportance = 0.1;
constexpr double kRackImportance = 0.25;
constexpr double kGapImportances[] = {0.003, 0.001};
// What one node far from its share costs beside many that are near theirs: from 2 % on it counts
// more than its square.
constexpr double kQuartic = 1 / (0.02 * 0.02);
constexpr double kGoodEnough = 0.035;  // deviation with which no other importance is tried
constexpr double kMargin = 1.0 / 64;   // what a token leaves of the gap on either side of it
constexpr double kNarrow = 0x1p-48;    // gaps below this, of 65,536 tokens, are left alone
constexpr int kRounds = 3;             // of taking up and placing again
// Bound on the work with very many tokens: places looked at for one result (16 tokens beside 10,000
// others stay far below it, a few hundred tokens look at a sample of the gaps).
constexpr uint64_t kLooksMax = 4'000'000;
// With more than this the first result stands, so that a join is planned in 0.1 s beside 100 nodes.
constexpr uint64_t kLooksForMore = 200'000;

double Square(double x) { return x * x; }

class Placement {
 public:
  Placement(const Ring& ring, const RingNode& newcomer, const AllocationOptions& options,
            double gap_importance);
  void Place(uint32_t count);
  // Of the node that is farthest from its fair share, relative to that.
  double Deviation() const { return deviation_; }
  // `count` tokens in all: the ones placed, and as many more inside what they took.
  std::vector<Token> Tokens(uint32_t count) const;

 private:
  void FindNeighbours();
  Cost CostOfGap(size_t gap) const;
  // Puts a token at the best place of the free gaps it looks at, if there is one.
  void PutBest();
  void TakeUp(size_t gap);
  void PlaceAgain();

  double gap_importance_;
  double deviation_ = 1;
  std::vector<Gap> gaps_;
  std::vector<bool> in_rack_;  // per gap: whether it ends at a token of the newcomer's rack
  double tokens_in_rack_ = 0;
  // Per gap: from either end of it to the next token of the rack or of the newcomer.
  std::vector<double> before_, after_;
  std::vector<Level> levels_;  // the first one is of all replicas
  size_t stride_ = 1;          // every how many gaps one is looked at
  size_t start_ = 0;           // the first one of the next look
};

Placement::Placement(const Ring& ring, const RingNode& newcomer, const AllocationOptions& options,
                     double gap_importance)
    : gap_importance_(gap_importance) {
  for (const Ring::Range& range : ring.Ranges(1)) {
    const uint64_t width = range.to.value - range.from.value;
    const double share = width == 0 ? 1.0 : static_cast<double>(width) * 0x1p-64;
    gaps_.push_back({range.from, share, range.owners.primaries[0]});
    in_rack_.push_back(SameRack(ring.nodes()[gaps_.back().owner], newcomer));
    tokens_in_rack_ += in_rack_.back() ? 1 : 0;
  }
  // With fewer nodes than copies, or as the first node of a rack that was missing, the newcomer
  // enters every list wherever its tokens lie: only lists short of that are to be decided.
  const size_t replication = options.replication;
  size_t n = std::min({replication, size_t{Ring::kMaxReplication}, ring.size()});
  std::vector<const RingNode*> racks;
  for (const RingNode& node : ring.nodes()) {
    const auto same = [&](const RingNode* seen) { return SameRack(*seen, node); };
    if (std::none_of(racks.begin(), racks.end(), same)) racks.push_back(&node);
  }
  const bool new_rack = tokens_in_rack_ == 0;
  const bool few_racks = racks.size() > 1 && racks.size() < replication;
  if (new_rack) n = std::min(n, racks.size());
  if (new_rack || few_racks) {  // a token takes from nodes of other racks too
    in_rack_.assign(gaps_.size(), true);
    tokens_in_rack_ = static_cast<double>(gaps_.size());
  }
  using Kind = Level::Kind;
  levels_.emplace_back(ring, newcomer,
                       Level::Options{Kind::kReplicas, static_cast<uint32_t>(n), 1.0, kQuartic});
  if (n == 1) return;
  levels_.emplace_back(ring, newcomer, Level::Options{Kind::kReplicas, 1, kPrimaryImportance, 0});
  if (new_rack || !few_racks) return;
  levels_.emplace_back(ring, newcomer, Level::Options{Kind::kFirstInRack, 1, kRackImportance, 0});
}

void Placement::FindNeighbours() {
  const size_t size = gaps_.size();
  before_.resize(size);
  after_.resize(size);
  // Twice around: by the second time a token of the rack was met.
  double distance = 0;
  for (size_t k = 0; k < 2 * size; ++k) {
    const Gap& gap = gaps_[k % size];
    before_[k % size] = distance;
    distance = gap.x > 0 ? gap.share * (1 - gap.x) : distance + gap.share;
    if (in_rack_[k % size]) distance = 0;
  }
  distance = 0;
  for (size_t k = 2 * size; k-- > 0;) {
    const Gap& gap = gaps_[k % size];
    if (in_rack_[k % size]) distance = 0;
    after_[k % size] = distance;
    distance = gap.x > 0 ? gap.share * gap.x : distance + gap.share;
  }
}

// What the widths between tokens of the rack cost more or less if a token is put in the gap.
Cost Placement::CostOfGap(size_t gap) const {
  const double share = gaps_[gap].share;
  const double before = before_[gap];
  const double width = before + share + after_[gap];
  const double scale = 2 * gap_importance_ * Square(tokens_in_rack_);
  return {{scale * before * (before - width), scale * share * (2 * before - width),
           scale * share * share, 0, 0}};
}

void Placement::PutBest() {
  double best_cost = std::numeric_limits<double>::infinity();
  size_t best_gap = 0;
  double best_x = 0;
  FindNeighbours();
  start_ = (start_ + 1) % stride_;
  for (size_t i = start_; i < gaps_.size(); i += stride_) {
    if (gaps_[i].x > 0 || gaps_[i].share < kNarrow) continue;
    Cost cost = CostOfGap(i);
    for (Level& level : levels_) level.Score(gaps_, i, &cost);
    const double x = cost.BestX(kMargin, 1 - kMargin);
    if (cost.At(x) >= best_cost) continue;
    best_cost = cost.At(x);
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

void Placement::Place(uint32_t count) {
  const uint64_t looks = kLooksMax / (uint64_t{count} * (kRounds + 1)) + 1;
  stride_ = (gaps_.size() + looks - 1) / looks;
  for (uint32_t i = 1; i <= count; ++i) {
    // The first of 16 tokens aims at a sixteenth: it must not take all that is wanted.
    for (Level& level : levels_) level.AimAt(static_cast<double>(i) / count);
    PutBest();
  }
  deviation_ = levels_.front().Deviation();
  std::vector<Gap> best = gaps_;
  for (int round = 0; round < kRounds; ++round) {
    PlaceAgain();
    if (levels_.front().Deviation() > deviation_) continue;
    deviation_ = levels_.front().Deviation();
    best = gaps_;
  }
  gaps_ = std::move(best);
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
  const Ring ring(std::move(holders));
  const uint64_t looks = uint64_t{count} * (kRounds + 1) * ring.Ranges(1).size();
  double least = std::numeric_limits<double>::infinity();
  std::vector<Token> best;
  for (const double gap_importance : kGapImportances) {
    Placement placement(ring, newcomer, options, gap_importance);
    placement.Place(count);
    if (placement.Deviation() >= least) continue;
    least = placement.Deviation();
    best = placement.Tokens(count);
    if (least <= kGoodEnough || looks > kLooksForMore) break;
  }
  return best;
}

}  // namespace lariat::ring

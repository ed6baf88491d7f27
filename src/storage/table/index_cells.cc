// SPDX-License-Identifier: Apache-2.0
// How cells grow and shrink: see the picture in internal/index.h.
#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "storage/table/charge.h"
#include "storage/table/internal/index.h"

namespace lariat::storage::table {
namespace {

// A directory may have so many places for each leaf of its bucket. Random tokens need four to six.
constexpr size_t kPlacesForLeaf = 8;
constexpr size_t kPlacesMin = 16;
// A split may go so many bits deeper at once; it leaves an empty cell for each but the last.
constexpr uint32_t kBitsForSplit = 4;
constexpr uint32_t kDepthMax = 40;
// Leaves are joined when they fill half of one, so that they are not split again at once.
constexpr uint32_t kJoinedMax = Leaf::kSlots / 2;

uint64_t BitAt(uint32_t depth) { return uint64_t{1} << (64 - depth); }  // the depth-th from the top

size_t RunBytes(const Run& run) {
  const size_t with_counts = sizeof(Run) + 2 * sizeof(uint64_t);  // of std::make_shared
  return Charge(with_counts) + Charge(run.capacity() * sizeof(Leaf*));
}

// Where a leaf is in its run.
Run::iterator At(Run& run, const Leaf* leaf) {
  if (leaf->size == 0) {  // it has no key to be found by, but the next one has
    return leaf == run.back() ? run.end() - 1 : At(run, leaf->next) - 1;
  }
  return std::partition_point(run.begin(), run.end(), [&](const Leaf* other) {
    if (other->size == 0) return true;  // the one that is looked for through the next
    const uint64_t token = other->tokens[0];
    return token < leaf->tokens[0] ||
           (token == leaf->tokens[0] && other->versions[0]->key() < leaf->versions[0]->key());
  });
}

// Which leaves fit into one. An empty one in a run always does: a run has none.
bool Fit(const Leaf& left, const Leaf& right) {
  const bool in_run = left.run != nullptr;
  if (in_run && (left.size == 0 || right.size == 0)) return true;
  return left.size + right.size <= kJoinedMax;
}

}  // namespace

// --- splitting ---------------------------------------------------------------------------------

// Splits the cell of a full leaf in two by the first bit in which its positions differ. False: they
// do not, or not soon enough.
bool Index::SplitCell(Leaf* leaf) {
  Bucket& bucket = *leaf->bucket;
  Run lower = leaf->run ? *leaf->run : Run{leaf};
  const uint64_t first = Position(lower.front()->tokens[0]);
  const uint64_t last = Position(lower.back()->tokens[lower.back()->size - 1]);
  if (first == last) return false;
  const uint32_t old_depth = leaf->depth;
  const auto depth = static_cast<uint32_t>(std::countl_zero(first ^ last)) + 1;
  if (depth > old_depth + kBitsForSplit || depth > kDepthMax) return false;
  const size_t places_max = std::max(kPlacesMin, kPlacesForLeaf * bucket.leaves);
  if (depth > bucket.depth && size_t{1} << depth > places_max) return false;

  if (old_depth == bucket.depth) --bucket.deepest;
  bytes_ -= bucket.DirectoryBytes();
  while (bucket.depth < depth) bucket.DoubleDirectory();
  bytes_ += bucket.DirectoryBytes();
  if (leaf->run) bytes_ -= RunBytes(*leaf->run);
  // One bit deeper each time, everything on one side, but for the last time.
  for (uint32_t at = old_depth + 1; at < depth; ++at) {
    const uint64_t mask = ~(BitAt(at) - 1);
    const bool to_the_left = (first & BitAt(at)) != 0;
    Leaf* beside = to_the_left ? lower.front() : lower.back();
    Leaf* empty = NewLeaf(bucket, to_the_left ? beside->prev : beside);
    empty->written = beside->written;
    SetCell(bucket, (first & mask) ^ BitAt(at), at, {empty});
  }
  const uint64_t boundary = last & ~(BitAt(depth) - 1);
  Run upper = TakeUpper(lower, boundary);
  SetCell(bucket, boundary ^ BitAt(depth), depth, std::move(lower));
  SetCell(bucket, boundary, depth, std::move(upper));
  return true;
}

// Takes what is not below the position out of the leaves, of which it splits one. Both have some.
Run Index::TakeUpper(Run& leaves, uint64_t boundary) {
  const auto crossing = std::partition_point(leaves.begin(), leaves.end(), [&](const Leaf* leaf) {
    return Position(leaf->tokens[leaf->size - 1]) < boundary;
  });
  Leaf& leaf = **crossing;
  const auto tokens = leaf.tokens.begin();
  const auto cut = std::partition_point(tokens, tokens + leaf.size,
                                        [&](uint64_t token) { return Position(token) < boundary; });
  Run upper;
  if (cut != tokens) {
    Leaf* right = NewLeaf(*leaf.bucket, &leaf);
    right->written = leaf.written;
    MoveSlots(leaf, static_cast<uint32_t>(cut - tokens), *right);
    upper.push_back(right);
    upper.insert(upper.end(), crossing + 1, leaves.end());
    leaves.erase(crossing + 1, leaves.end());
  } else {
    // What lies between the boundary and this leaf has belonged to the one before.
    leaf.written = std::max(leaf.written, (*(crossing - 1))->written);
    upper.assign(crossing, leaves.end());
    leaves.erase(crossing, leaves.end());
  }
  return upper;
}

// From now on these leaves are the cell. The caller has taken the cells before it off the counts.
void Index::SetCell(Bucket& bucket, uint64_t base, uint32_t depth, Run leaves) {
  Leaf* front = leaves.front();
  std::shared_ptr<Run> run;  // see Leaf
  if (leaves.size() > 1) {
    run = std::make_shared<Run>(std::move(leaves));
    run->shrink_to_fit();
    bytes_ += RunBytes(*run);
    for (Leaf* leaf : *run) leaf->run = run, leaf->base = base, leaf->depth = depth;
  } else {
    front->run = nullptr, front->base = base, front->depth = depth;
  }
  if (depth == bucket.depth) ++bucket.deepest;
  const auto at = static_cast<ptrdiff_t>((base >> 1) >> (63 - bucket.depth));
  std::fill_n(bucket.directory.begin() + at, size_t{1} << (bucket.depth - depth), front);
}

void Index::SplitRun(Leaf* leaf) {
  Leaf* right = NewLeaf(*leaf->bucket, leaf);
  right->written = leaf->written;
  MoveSlots(*leaf, leaf->size / 2, *right);
  if (!leaf->run) {
    if (leaf->depth == leaf->bucket->depth) --leaf->bucket->deepest;
    return SetCell(*leaf->bucket, leaf->base, leaf->depth, {leaf, right});
  }
  right->run = leaf->run, right->base = leaf->base, right->depth = leaf->depth;
  Run& run = *leaf->run;
  bytes_ -= RunBytes(run);
  run.insert(At(run, leaf) + 1, right);
  bytes_ += RunBytes(run);
}

// --- joining -----------------------------------------------------------------------------------

void Index::Tidy(Leaf* leaf) {
  if (leaf->size > kJoinedMax) return;
  Bucket& bucket = *leaf->bucket;
  if (leaf->run) {
    JoinInRun(leaf);
  } else {
    const Leaf* joined = JoinCells(leaf);
    if (joined->size == 0 && joined->depth == 0) return DropBucket(bucket);
  }
  bytes_ -= bucket.DirectoryBytes();
  while (bucket.depth > 0 && bucket.deepest == 0 &&
         bucket.directory.size() > kPlacesForLeaf / 2 * bucket.leaves) {
    bucket.HalveDirectory();
  }
  bytes_ += bucket.DirectoryBytes();
}

void Index::JoinInRun(Leaf* leaf) {
  const std::shared_ptr<Run> run = leaf->run;  // and by this function until it is at its end
  const auto at = At(*run, leaf);
  auto left = at;
  if (const auto right = at + 1; right == run->end() || !Fit(*leaf, **right)) {
    if (at == run->begin() || !Fit(**(at - 1), *leaf)) return;
    left = at - 1;
  }
  Leaf* kept = *left;
  bytes_ -= RunBytes(*run);
  Join(kept, *(left + 1));
  run->erase(left + 1);
  if (run->size() * 4 < run->capacity()) run->shrink_to_fit();
  if (run->size() > 1) {
    bytes_ += RunBytes(*run);
    return;
  }
  if (kept->depth == kept->bucket->depth) --kept->bucket->deepest;
  SetCell(*kept->bucket, kept->base, kept->depth, {kept});
}

// Joins the cell with its other half as long as they fit into one leaf, and gives that leaf.
Leaf* Index::JoinCells(Leaf* leaf) {
  Bucket& bucket = *leaf->bucket;
  while (leaf->depth > 0) {
    const uint32_t depth = leaf->depth;
    const uint64_t other_base = leaf->base ^ BitAt(depth);
    Leaf* other = bucket.directory[(other_base >> 1) >> (63 - bucket.depth)];
    if (other->depth != depth || other->run || !Fit(*leaf, *other)) break;
    if (other->base < leaf->base) std::swap(leaf, other);
    Join(leaf, other);
    if (depth == bucket.depth) bucket.deepest -= 2;
    SetCell(bucket, leaf->base, depth - 1, {leaf});
  }
  return leaf;
}

void Index::Join(Leaf* left, Leaf* right) {
  MoveSlots(*right, 0, *left);
  left->written = std::max(left->written, right->written);
  DropLeaf(right);
}

void Index::MoveSlots(Leaf& from, uint32_t first, Leaf& to) {
  LARIAT_CHECK(to.size + from.size - first <= Leaf::kSlots, "slots that move find room");
  const auto end = from.tokens.begin() + from.size;
  std::copy(from.tokens.begin() + first, end, to.tokens.begin() + to.size);
  std::move(from.versions.begin() + first, from.versions.begin() + from.size,
            to.versions.begin() + to.size);
  // The hand goes with what it has passed and not left behind.
  if (&from == hand_.leaf && hand_.slot >= first && (hand_.slot > first || first == 0)) {
    hand_.leaf = &to;
    hand_.slot += to.size - first;
  }
  to.size += from.size - first;
  from.size = first;
}

// --- the directory -----------------------------------------------------------------------------

void Bucket::DoubleDirectory() {
  std::vector<Leaf*> twice;
  twice.reserve(directory.size() * 2);
  for (Leaf* leaf : directory) twice.insert(twice.end(), 2, leaf);
  directory = std::move(twice);
  ++depth;
  deepest = 0;
}

void Bucket::HalveDirectory() {
  std::vector<Leaf*> half;
  half.reserve(directory.size() / 2);
  for (size_t at = 0; at < directory.size(); at += 2) half.push_back(directory[at]);
  directory = std::move(half);
  --depth;
  deepest = static_cast<size_t>(std::count_if(directory.begin(), directory.end(),
                                              [&](auto* leaf) { return leaf->depth == depth; }));
}

}  // namespace lariat::storage::table

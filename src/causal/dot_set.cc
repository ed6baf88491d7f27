// SPDX-License-Identifier: Apache-2.0
#include "causal/dot_set.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"

namespace lariat::causal {
namespace {

using Entry = DotSet::Entry;

constexpr size_t kEntryBytesMin = 8 + 8 + 1 + 1 + 1;

bool ActorLess(const Entry& a, const Entry& b) { return a.actor < b.actor; }

// Restores the canonical form after base or cloud has grown: {1..3} + {3,4,7} becomes {1..4} + {7}.
void Normalize(Entry* entry) {
  auto keep = entry->cloud.begin();
  while (keep != entry->cloud.end() && *keep <= entry->base + 1) {
    entry->base = std::max(entry->base, *keep);
    ++keep;
  }
  entry->cloud.erase(entry->cloud.begin(), keep);
}

void JoinEntry(const Entry& from, Entry* into) {
  into->base = std::max(into->base, from.base);
  if (!from.cloud.empty()) {
    std::vector<uint64_t> both;
    both.reserve(into->cloud.size() + from.cloud.size());
    std::set_union(into->cloud.begin(), into->cloud.end(), from.cloud.begin(), from.cloud.end(),
                   std::back_inserter(both));
    into->cloud = std::move(both);
  }
  Normalize(into);
}

bool EntryCovers(const Entry& entry, const Entry& other) {
  if (other.base > entry.base) return false;  // base + 1 is never in the set
  return std::all_of(other.cloud.begin(), other.cloud.end(),
                     [&entry](uint64_t counter) { return entry.Contains(counter); });
}

Entry DecodeEntry(base::ByteReader* in, size_t* cloud_left) {
  Entry entry;
  entry.actor = DecodeActor(in);
  entry.base = in->Varint();
  const uint64_t cloud_size = in->Varint();
  const bool bad = entry.base > kCounterMax || cloud_size > *cloud_left ||
                   cloud_size > in->Rest().size() || (entry.base == 0 && cloud_size == 0);
  if (!in->ok() || bad) {
    in->MarkBad();
    return entry;
  }
  *cloud_left -= cloud_size;
  entry.cloud.reserve(cloud_size);
  uint64_t last = entry.base;
  uint64_t gap_min = 2;  // base + 1 would belong into the base
  for (uint64_t i = 0; i < cloud_size; ++i) {
    const uint64_t gap = in->Varint();
    if (gap < gap_min || gap > kCounterMax - last) {
      in->MarkBad();
      return entry;
    }
    last += gap;
    entry.cloud.push_back(last);
    gap_min = 1;
  }
  return entry;
}

}  // namespace

bool DotSet::Entry::Contains(uint64_t counter) const {
  return counter <= base || std::binary_search(cloud.begin(), cloud.end(), counter);
}

const Entry* DotSet::Find(const Actor& actor) const {
  const auto at =
      std::lower_bound(entries_.begin(), entries_.end(), actor,
                       [](const Entry& entry, const Actor& a) { return entry.actor < a; });
  return at != entries_.end() && at->actor == actor ? &*at : nullptr;
}

Entry* DotSet::Find(const Actor& actor) {
  return const_cast<Entry*>(static_cast<const DotSet*>(this)->Find(actor));
}

bool DotSet::Contains(const Dot& dot) const {
  const Entry* entry = Find(dot.actor);
  return dot.counter != 0 && entry != nullptr && entry->Contains(dot.counter);
}

void DotSet::Add(const Dot& dot) {
  LARIAT_CHECK(dot.counter != 0, "counters start at 1");
  Entry* entry = Find(dot.actor);
  if (entry == nullptr) {
    const Entry added{dot.actor, 0, {}};
    entry = &*entries_.insert(std::upper_bound(entries_.begin(), entries_.end(), added, ActorLess),
                              added);
  }
  if (entry->Contains(dot.counter)) return;
  auto& cloud = entry->cloud;
  cloud.insert(std::upper_bound(cloud.begin(), cloud.end(), dot.counter), dot.counter);
  Normalize(entry);
}

void DotSet::Join(const DotSet& other) {
  if (&other == this) return;
  const size_t known = entries_.size();
  size_t mine = 0;
  for (const Entry& theirs : other.entries_) {
    while (mine < known && entries_[mine].actor < theirs.actor) ++mine;
    if (mine < known && entries_[mine].actor == theirs.actor) {
      JoinEntry(theirs, &entries_[mine]);
    } else {
      entries_.push_back(theirs);
    }
  }
  if (entries_.size() == known) return;
  const auto middle = entries_.begin() + static_cast<std::ptrdiff_t>(known);
  std::inplace_merge(entries_.begin(), middle, entries_.end(), ActorLess);
}

bool DotSet::Covers(const DotSet& other) const {
  return std::all_of(other.entries_.begin(), other.entries_.end(), [this](const Entry& theirs) {
    const Entry* mine = Find(theirs.actor);
    return mine != nullptr && EntryCovers(*mine, theirs);
  });
}

uint64_t DotSet::Max(const Actor& actor) const {
  const Entry* entry = Find(actor);
  return entry == nullptr ? 0 : entry->Max();
}

size_t DotSet::DotsInClouds() const {
  size_t dots = 0;
  for (const Entry& entry : entries_) dots += entry.cloud.size();
  return dots;
}

void DotSet::Trim(size_t actors_max, size_t cloud_max) {
  if (entries_.size() > actors_max) entries_.resize(actors_max);
  if (DotsInClouds() <= cloud_max) return;
  const auto clouds = static_cast<size_t>(std::count_if(
      entries_.begin(), entries_.end(), [](const Entry& entry) { return !entry.cloud.empty(); }));
  LARIAT_CHECK(clouds > 0, "dots in clouds are in some cloud");
  const size_t each_max = std::max<size_t>(1, cloud_max / clouds);
  for (Entry& entry : entries_) {
    if (entry.cloud.size() <= each_max) continue;
    entry.cloud.erase(entry.cloud.begin(),
                      entry.cloud.end() - static_cast<std::ptrdiff_t>(each_max));
  }
}

void DotSet::Encode(base::ByteWriter* out) const {
  out->Varint(entries_.size());
  for (const Entry& entry : entries_) {
    EncodeActor(entry.actor, out);
    out->Varint(entry.base);
    out->Varint(entry.cloud.size());
    uint64_t last = entry.base;
    for (const uint64_t counter : entry.cloud) {
      out->Varint(counter - last);
      last = counter;
    }
  }
}

std::optional<DotSet> DotSet::Decode(base::ByteReader* in, size_t entries_max) {
  const uint64_t size = in->Varint();
  if (!in->ok() || size > entries_max || size > in->Rest().size() / kEntryBytesMin) {
    return std::nullopt;
  }
  DotSet set;
  set.entries_.reserve(size);
  size_t cloud_left = entries_max;
  for (uint64_t i = 0; i < size; ++i) {
    Entry entry = DecodeEntry(in, &cloud_left);
    const bool sorted = set.entries_.empty() || ActorLess(set.entries_.back(), entry);
    if (!in->ok() || !sorted) return std::nullopt;
    set.entries_.push_back(std::move(entry));
  }
  return set;
}

}  // namespace lariat::causal

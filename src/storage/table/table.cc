// SPDX-License-Identifier: Apache-2.0
#include "storage/table/table.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/hash.h"
#include "storage/table/charge.h"

namespace lariat::storage::table {
namespace {

// "Absent" that was read from the files may have so large a part of the budget, so that clients
// that ask for ever new keys cannot drive out the records.
constexpr size_t kAbsentPart = 8;
// A node of replaced_: the link, the key's view, the reference, a hash, and its place in the table.
constexpr size_t kReplacedBytes = Charge(6 * sizeof(void*)) + 2 * sizeof(void*);

}  // namespace

Table::Table(const TableOptions& options)
    : index_(options.slice),
      budget_bytes_(options.budget_bytes),
      unflushed_max_(options.unflushed_bytes) {}

// --- reading -----------------------------------------------------------------------------------

Found Table::Find(std::string_view key) {
  const Index::Spot spot = index_.Find(PlaceOf(key));
  if (!spot.found) {
    Found unknown;
    unknown.token.key_hash_ = base::Hash64(key);
    unknown.token.writes_ = writes_;
    return unknown;
  }
  const Version& version = *spot.leaf->versions[spot.slot];
  if (IsLost(version)) return {Known::kLost, nullptr, {}};
  if (!version.used_) version.used_ = true;
  return {version.absent() ? Known::kAbsent : Known::kRecord, &version, {}};
}

bool Table::Fill(VersionRef version, ReadToken token) {
  LARIAT_CHECK(version->lsn() == 0, "what comes from the files has no place in the log");
  LARIAT_CHECK(token.key_hash_ == base::Hash64(version->key()), "a token is of one key");
  const Place place = PlaceOf(version->key());
  if (index_.LastWrite(place) > token.writes_ || index_.Find(place).found) return false;
  const size_t charge = version->charge();
  if (Unflushed() + index_.bytes() + charge > budget_bytes_) return false;
  if (version->absent() && absent_bytes_ + charge > budget_bytes_ / kAbsentPart) return false;
  Count(*version);
  index_.Insert(place, std::move(version));
  EvictToBudget();
  return true;
}

// --- writing -----------------------------------------------------------------------------------

void Table::Put(std::string_view key, std::string_view bytes, uint64_t lsn) {
  Write(Version::Record(key, bytes, lsn));
}

void Table::Remove(std::string_view key, uint64_t lsn) { Write(Version::Absent(key, lsn)); }

void Table::Write(VersionRef version) {
  LARIAT_CHECK(kept_lsn_ == UINT64_MAX, "nothing is written once the log has failed");
  LARIAT_CHECK(version->lsn() >= last_lsn_, "writes come in the order of the log");
  LARIAT_CHECK(version->lsn() > flush_lsn_, "a flush has what was written before it began");
  last_lsn_ = version->lsn();
  ++writes_;
  version->used_ = true;
  fresh_bytes_ += version->charge();
  Count(*version);
  const Place place = PlaceOf(version->key());
  const Index::Spot spot = index_.Find(place);
  Leaf* leaf = spot.leaf;
  if (spot.found) {
    Replace(leaf->versions[spot.slot], std::move(version));
  } else {
    leaf = index_.Insert(place, std::move(version));
  }
  leaf->written = writes_;
  EvictToBudget();
}

void Table::Replace(VersionRef& held, VersionRef version) {
  const VersionRef old = std::exchange(held, std::move(version));
  const size_t charge = old->charge();
  version_bytes_ -= charge;
  if (old->absent()) absent_bytes_ -= charge;
  if (IsClean(*old)) return;
  if (old->lsn() > flush_lsn_) {
    fresh_bytes_ -= charge;
    return;
  }
  pinned_bytes_ -= charge;
  replaced_bytes_ += charge + kReplacedBytes;
  replaced_.emplace(old->key(), old);
}

void Table::Count(const Version& version) {
  version_bytes_ += version.charge();
  if (version.absent()) absent_bytes_ += version.charge();
}

bool Table::HasRoom(const Batch& batch) const {
  // The sum of the charges is not above the charge of the sum, with a class of the least for each.
  const size_t each = sizeof(Version) + Charge(1) + (flushing_ ? kReplacedBytes : 0);
  const size_t bytes = batch.bytes + batch.bytes / 4 + batch.writes * (each + each / 4);
  return Unflushed() + bytes <= unflushed_max_;
}

void Table::Fail(uint64_t durable_lsn) {
  // What the files have is durable, whatever the log has kept.
  kept_lsn_ = std::min(kept_lsn_, std::max(durable_lsn, files_lsn_));
}

// --- ranges ------------------------------------------------------------------------------------

// Calls `use` in order until it says false; gives the key to go on from, if there is more.
template <typename Use>
std::optional<std::string> Table::Walk(std::string_view from, std::string_view to, Which which,
                                       size_t slots_max, Use use) const {
  LARIAT_CHECK(slots_max > 0, "a walk gets further each time");
  size_t looked = 0;
  bool go_on = true;
  const Index::Spot start = index_.Seek(PlaceOf(from));
  uint32_t slot = start.slot;
  for (const Leaf* leaf = start.leaf; leaf != nullptr; leaf = leaf->next, slot = 0) {
    for (; slot < leaf->size; ++slot) {
      const Version& version = *leaf->versions[slot];
      if (!to.empty() && version.key() >= to) return std::nullopt;
      if (looked == slots_max || !go_on) return std::string(version.key());
      ++looked;
      // Nothing in this leaf was written since the last flush.
      if (which == Which::kUnflushed && leaf->written <= files_writes_) break;
      if (which == Which::kAll || !IsClean(version)) go_on = use(leaf->versions[slot]);
    }
  }
  return std::nullopt;
}

Table::Part Table::Scan(std::string_view from, std::string_view to, Which which,
                        const Limits& limits) const {
  Part part;
  size_t bytes = 0;
  part.next = Walk(from, to, which, limits.slots_max, [&](const VersionRef& version) {
    if (IsLost(*version)) {
      part.lost = true;
      return true;
    }
    part.versions.push_back(version);
    bytes += version->key().size() + version->bytes().size();
    return bytes < limits.bytes_max;
  });
  return part;
}

// --- flushing ----------------------------------------------------------------------------------

void Table::BeginFlush(uint64_t upto) {
  LARIAT_CHECK(!flushing_, "one flush at a time");
  LARIAT_CHECK(kept_lsn_ == UINT64_MAX, "no flush begins once the log has failed");
  LARIAT_CHECK(upto >= last_lsn_, "a flush takes all there is: a version above it hides one below");
  flushing_ = true;
  flush_lsn_ = upto;
  flush_writes_ = writes_;
  flush_next_.emplace();
  pinned_bytes_ = std::exchange(fresh_bytes_, 0);
}

bool Table::NextToFlush(size_t slots_max, std::vector<VersionRef>* out) {
  LARIAT_CHECK(flushing_, "a flush is under way");
  if (!flush_next_) return false;
  const std::string from = std::move(*flush_next_);
  flush_next_ = Walk(from, "", Which::kUnflushed, slots_max, [&](const VersionRef& version) {
    if (version->lsn() <= flush_lsn_) {
      out->push_back(version);
    } else if (const auto found = replaced_.find(version->key()); found != replaced_.end()) {
      out->push_back(found->second);
    }
    return true;
  });
  return flush_next_.has_value();
}

void Table::EndFlush(bool ok) {
  LARIAT_CHECK(flushing_, "a flush is under way");
  LARIAT_CHECK(!ok || !flush_next_, "the files have what was never handed over");
  if (ok && flush_lsn_ <= kept_lsn_) {
    files_lsn_ = flush_lsn_;
    files_writes_ = flush_writes_;
  } else {
    flush_lsn_ = files_lsn_;
    fresh_bytes_ += pinned_bytes_;
  }
  flushing_ = false;
  flush_next_.reset();
  pinned_bytes_ = 0;
  replaced_bytes_ = 0;
  replaced_ = {};
  EvictToBudget();
}

// --- the budget --------------------------------------------------------------------------------

void Table::SetBudget(size_t budget_bytes, size_t unflushed_bytes) {
  budget_bytes_ = budget_bytes;
  unflushed_max_ = unflushed_bytes;
  EvictToBudget();
}

void Table::EvictToBudget() {
  // As long as there are clean bytes, two rounds of the hand find some.
  while (Bytes() > budget_bytes_ && version_bytes_ > fresh_bytes_ + pinned_bytes_) {
    Leaf* leaf = index_.hand().leaf;
    EvictFrom(leaf);
    if (index_.hand().slot < leaf->size) return;
    index_.PassLeaf();
    index_.Tidy(leaf);
  }
}

void Table::EvictFrom(Leaf* leaf) {
  while (index_.hand().slot < leaf->size && Bytes() > budget_bytes_) {
    const Version& version = *leaf->versions[index_.hand().slot];
    if (!IsClean(version) || std::exchange(version.used_, false)) {
      index_.PassSlot();
      continue;
    }
    version_bytes_ -= version.charge();
    if (version.absent()) absent_bytes_ -= version.charge();
    index_.Erase(leaf, index_.hand().slot);
    ++evicted_;
  }
}

TableStats Table::Stats() const {
  TableStats stats;
  stats.entries = index_.size();
  stats.bytes = Bytes();
  stats.index_bytes = index_.bytes();
  stats.absent_bytes = absent_bytes_;
  stats.unflushed_bytes = Unflushed();
  stats.replaced_bytes = replaced_bytes_;
  stats.evicted = evicted_;
  return stats;
}

}  // namespace lariat::storage::table

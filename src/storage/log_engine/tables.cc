// SPDX-License-Identifier: Apache-2.0
#include "storage/log_engine/internal/tables.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "storage/record.h"

namespace lariat::storage::log_engine {
namespace {

constexpr int kDataPartBits = 3;
static_assert(Tables::kDataParts == size_t{1} << kDataPartBits);
constexpr size_t kBucketBytes = 4;  // a data key begins with them; the token follows

// Of the budget, in 64ths: records have most of it, but no space may be without room.
constexpr std::array<size_t, kSpaces> kShares = {46, 1, 4, 4, 8, 1};
// While a flush runs, as much again may be written before writers have to wait.
constexpr size_t kFlushPercent = 40;
constexpr size_t kStallPercent = 80;

constexpr size_t kSlotsAtOnce = 2048;  // looked at for a scan or a flush under one lock

table::TableOptions OptionsOf(size_t part, size_t budget_bytes) {
  table::TableOptions options;
  size_t share = budget_bytes / 64 * kShares[static_cast<size_t>(Tables::SpaceOf(part))];
  if (part < Tables::kDataParts) {
    share /= Tables::kDataParts;
    const uint64_t first = static_cast<uint64_t>(part) << (64 - kDataPartBits);
    options.slice = {first, first + (UINT64_MAX >> kDataPartBits)};
  }
  options.budget_bytes = share;
  options.unflushed_bytes = share / 100 * kStallPercent;
  return options;
}

}  // namespace

Tables::Tables(size_t budget_bytes) {
  for (size_t i = 0; i < kParts; ++i) {
    const table::TableOptions options = OptionsOf(i, budget_bytes);
    parts_[i] = std::make_unique<Part>(options);
    parts_[i]->budget_bytes = options.budget_bytes;
    parts_[i]->stall_bytes = options.unflushed_bytes;
    parts_[i]->flush_bytes = options.budget_bytes / 100 * kFlushPercent;
  }
}

Tables::Lock::Lock(Tables& tables, Parts parts) : tables_(tables), parts_(parts) {
  for (size_t i = 0; i < kParts; ++i) {
    if ((parts_ >> i & 1) != 0) tables_.parts_[i]->mutex.lock();
  }
}

Tables::Lock::~Lock() {
  for (size_t i = kParts; i-- > 0;) {
    if ((parts_ >> i & 1) != 0) tables_.parts_[i]->mutex.unlock();
  }
}

Space Tables::SpaceOf(size_t part) {
  return part < kDataParts ? Space::kData : static_cast<Space>(part - kDataParts + 1);
}

size_t Tables::PartOf(Space space, std::string_view key) {
  if (space != Space::kData) return kDataParts + static_cast<size_t>(space) - 1;
  if (key.size() <= kBucketBytes) return 0;
  return static_cast<uint8_t>(key[kBucketBytes]) >> (8 - kDataPartBits);
}

// --- single keys -------------------------------------------------------------------------------

Tables::Answer Tables::Find(Space space, std::string_view key, std::string* value) {
  Part& part = *parts_[PartOf(space, key)];
  const std::lock_guard lock(part.mutex);
  const table::Found found = part.table.Find(key);
  ++(found.known == table::Known::kUnknown ? part.misses : part.hits);
  if (found.known == table::Known::kRecord) value->assign(found.version->bytes());
  return {found.known, found.token};
}

void Tables::Fill(Space space, std::string_view key, const std::optional<std::string_view>& value,
                  table::ReadToken token) {
  if (space == Space::kIdempotency) return;  // files of old answers are dropped
  table::VersionRef version =
      value ? table::Version::Record(key, *value) : table::Version::Absent(key);
  Part& part = *parts_[PartOf(space, key)];
  const std::lock_guard lock(part.mutex);
  part.table.Fill(std::move(version), token);
}

// --- batches -----------------------------------------------------------------------------------

Tables::Parts Tables::PartsOf(const WriteBatch& batch) {
  Parts parts = 0;
  for (const auto& operation : batch.operations) {
    parts |= Parts{1} << PartOf(operation.space, operation.key);
  }
  return parts;
}

bool Tables::HasRoom(const WriteBatch& batch) const {
  std::array<table::Table::Batch, kParts> sums;
  sums.fill({0, 0});
  for (const auto& operation : batch.operations) {
    auto& sum = sums[PartOf(operation.space, operation.key)];
    ++sum.writes;
    sum.bytes += operation.key.size() + operation.value.size();
  }
  for (size_t i = 0; i < kParts; ++i) {
    const table::Table& table = parts_[i]->table;
    if (sums[i].writes == 0 || table.HasRoom(sums[i])) continue;
    // What is larger than all the room there is has to come in some time.
    if (table.Stats().unflushed_bytes > 0) return false;
  }
  return true;
}

bool Tables::Apply(const WriteBatch& batch, uint64_t lsn) {
  bool full = false;
  for (const auto& operation : batch.operations) {
    Part& part = *parts_[PartOf(operation.space, operation.key)];
    if (operation.remove) {
      part.table.Remove(operation.key, lsn);
    } else {
      part.table.Put(operation.key, operation.value, lsn);
    }
    full = full || part.table.Stats().unflushed_bytes > part.flush_bytes;
  }
  return full;
}

// --- ranges ------------------------------------------------------------------------------------

namespace {

// Keys of one bucket lie in the parts in their order.
bool InOneBucket(std::string_view from, std::string_view to) {
  return from.size() >= kBucketBytes && to.size() >= kBucketBytes &&
         from.substr(0, kBucketBytes) == to.substr(0, kBucketBytes);
}

}  // namespace

Tables::Parts Tables::PartsOf(Space space, std::string_view from, std::string_view to) {
  if (space != Space::kData) return Parts{1} << PartOf(space, from);
  constexpr Parts all_of_data = (Parts{1} << kDataParts) - 1;
  if (!InOneBucket(from, to)) return all_of_data;
  Parts parts = 0;
  for (size_t i = PartOf(space, from); i <= PartOf(space, to); ++i) parts |= Parts{1} << i;
  return parts;
}

// Versions that were read from the files are passed over quickly, so a part of few unflushed ones
// may end early, but not before there is something to give.
Tables::Unflushed Tables::ScanPart(const table::Table& table, std::string_view from,
                                   std::string_view to, const ScanLimits& limits) {
  Unflushed all;
  bool records = false;
  const table::Table::Limits at_once{.slots_max = std::max(kSlotsAtOnce, limits.entries_max),
                                     .bytes_max = limits.bytes_max};
  std::optional<std::string> at = std::string(from);
  while (at && !records) {
    auto part = table.Scan(*at, to, table::Table::Which::kUnflushed, at_once);
    for (const auto& version : part.versions) records = records || !version->absent();
    std::move(part.versions.begin(), part.versions.end(), std::back_inserter(all.versions));
    all.lost = all.lost || part.lost;
    at = std::move(part.next);
  }
  all.next = std::move(at);
  return all;
}

Tables::Unflushed Tables::Scan(Space space, std::string_view from, std::string_view to,
                               const ScanLimits& limits) const {
  const Parts parts = PartsOf(space, from, to);
  const bool in_order = space != Space::kData || InOneBucket(from, to);
  Unflushed all;
  for (size_t i = 0; i < kParts; ++i) {
    if ((parts >> i & 1) == 0) continue;
    Unflushed part = ScanPart(parts_[i]->table, from, to, limits);
    std::move(part.versions.begin(), part.versions.end(), std::back_inserter(all.versions));
    all.lost = all.lost || part.lost;
    if (part.next && (!all.next || *part.next < *all.next)) all.next = std::move(part.next);
    if (all.next && in_order) return all;
  }
  if (!in_order) {
    std::sort(all.versions.begin(), all.versions.end(),
              [](const auto& a, const auto& b) { return a->key() < b->key(); });
  }
  return all;
}

// --- flushing ----------------------------------------------------------------------------------

void Tables::BeginFlush(uint64_t upto) {
  for (const auto& part : parts_) part->table.BeginFlush(upto);
}

bool Tables::NextToFlush(size_t part, std::vector<table::VersionRef>* out) {
  const std::lock_guard lock(parts_[part]->mutex);
  return parts_[part]->table.NextToFlush(kSlotsAtOnce, out);
}

void Tables::EndFlush(bool ok) {
  for (const auto& part : parts_) {
    const std::lock_guard lock(part->mutex);
    part->table.EndFlush(ok);
    if (!ok || part != parts_[PartOf(Space::kIdempotency, {})]) continue;
    part->table.SetBudget(0, 0);  // nothing clean stays
    part->table.SetBudget(part->budget_bytes, part->stall_bytes);
  }
}

void Tables::Fail(uint64_t durable_lsn) {
  const Lock lock(*this, kAll);
  for (const auto& part : parts_) part->table.Fail(durable_lsn);
}

table::TableStats Tables::Stats() const {
  table::TableStats sum;
  for (const auto& part : parts_) {
    const std::lock_guard lock(part->mutex);
    const table::TableStats one = part->table.Stats();
    sum.entries += one.entries;
    sum.bytes += one.bytes;
    sum.index_bytes += one.index_bytes;
    sum.absent_bytes += one.absent_bytes;
    sum.unflushed_bytes += one.unflushed_bytes;
    sum.replaced_bytes += one.replaced_bytes;
    sum.evicted += one.evicted;
  }
  return sum;
}

void Tables::CountFinds(uint64_t* hits, uint64_t* misses) const {
  for (const auto& part : parts_) {
    const std::lock_guard lock(part->mutex);
    *hits += part->hits;
    *misses += part->misses;
  }
}

size_t Tables::UnflushedOf(Space space) const {
  const Part& part = *parts_[PartOf(space, {})];
  const std::lock_guard lock(part.mutex);
  return part.table.Stats().unflushed_bytes;
}

bool Tables::WantsFlush() const {
  return std::any_of(parts_.begin(), parts_.end(), [](const auto& part) {
    const std::lock_guard lock(part->mutex);
    return part->table.Stats().unflushed_bytes > part->flush_bytes;
  });
}

}  // namespace lariat::storage::log_engine

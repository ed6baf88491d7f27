// SPDX-License-Identifier: Apache-2.0
#include "sim/world/disk.h"

#include <algorithm>
#include <cmath>

#include "base/hash.h"
#include "causal/object.h"
#include "membership/topology.h"
#include "replica/hint.h"
#include "storage/record.h"

namespace lariat::sim {

using base::Code;
using base::Fail;
using storage::Space;

namespace {

// A planted bug: hints do not grow old for that long.
constexpr int64_t kYoungForMs = 3600 * 1000;

bool DiskFaultHappens(int64_t ppm, base::Prng* prng) {
  return ppm > 0 && prng->Below(1000000) < static_cast<uint64_t>(ppm);
}

}  // namespace

base::Duration DrawDelay(int64_t mean_us, base::Prng* prng) {
  const double factor = std::min(10.0, -std::log(1.0 - prng->Unit()));
  return std::chrono::nanoseconds(
      static_cast<int64_t>(static_cast<double>(mean_us) * 1000 * factor));
}

Disk::Disk(Scheduler& scheduler, const Options& options, base::Prng prng, Bug bug,
           OnRecord on_record)
    : scheduler_(scheduler),
      options_(options),
      prng_(prng),
      bug_(bug),
      on_record_(std::move(on_record)),
      engine_(this) {}

void Disk::Schedule(storage::Operation operation, base::UniqueFunction<void()> task) {
  const int64_t mean_us =
      operation == storage::Operation::kSync ? options_.sync_us : options_.read_us;
  scheduler_.After(DrawDelay(mean_us, &prng_), std::move(task));
}

bool Disk::MissMemory() {
  const bool miss = DiskFaultHappens(options_.miss_ppm, &prng_);
  counts_.misses += miss ? 1 : 0;
  return miss;
}

bool Disk::FailRead() {
  const bool fail = faults_ && DiskFaultHappens(options_.read_error_ppm, &prng_);
  counts_.read_errors += fail ? 1 : 0;
  return fail;
}

base::Status Disk::FailWrite() {
  if (!faults_ || !DiskFaultHappens(options_.stall_ppm, &prng_)) return {};
  ++counts_.stalls;
  // Mostly a short wait; sometimes no room, which refuses the batch.
  if (prng_.Chance(0.8)) return Fail(Code::kStalled, "simulated stall");
  return Fail(Code::kDiskFull, "simulated full disk");
}

bool Disk::NearlyFull() {
  const int64_t every_ms = options_.full_every_ms;
  if (!faults_ || every_ms == 0) return false;
  const base::Instant now = scheduler_.Now();
  if (now >= full_from_) {
    counts_.fulls += full_from_ == base::Instant{} ? 0 : 1;
    if (full_from_ != base::Instant{}) full_until_ = now + DrawDelay(every_ms * 200, &prng_);
    full_from_ = now + DrawDelay(every_ms * 1000, &prng_);
  }
  return now < full_until_;
}

size_t Disk::LoseInCrash(size_t unsynced) {
  if (!power_cut_) return 0;
  return prng_.Chance(0.5) ? unsynced : prng_.Below(unsynced + 1);
}

size_t Disk::CutInCrash(size_t logged) {
  return std::exchange(cut_log_, false) && logged > 0 ? 1 + prng_.Below(logged) : 0;
}

void Disk::Crash(bool power_cut) {
  power_cut_ = power_cut;
  fail_next_sync_ = false;
  counts_.refilled_before += std::exchange(counts_.refilled, 0);
  const bool loses = cut_log_ || damage_.AnyUnreadable();
  const auto before = loses ? engine_.DurableImage() : storage::MemoryEngine::Image{};
  engine_.Crash();
  before_.clear();
  if (damage_.AnyUnreadable()) engine_.Restore(damage_.Salvage(engine_.DurableImage()));
  if (loses) damage_.NoteLost(before, engine_.DurableImage());
  if (bug_ == Bug::kCutUntold) {
    auto image = engine_.DurableImage();
    image[static_cast<size_t>(Space::kMeta)].erase(std::string(storage::kLogCutKey));
    engine_.Restore(std::move(image));
  }
  if (bug_ == Bug::kForgottenClock) {
    auto image = engine_.DurableImage();
    std::erase_if(image[static_cast<size_t>(Space::kMeta)],
                  [](const auto& entry) { return entry.first.starts_with("clock/"); });
    engine_.Restore(std::move(image));
  }
}

void Disk::PutBack(storage::MemoryEngine::Image image) {
  const auto before = engine_.DurableImage();
  engine_.Restore(std::move(image));
  damage_.NoteLost(before, engine_.DurableImage());
}

const std::string* Disk::FindDurable(const std::string& data_key) const {
  const auto& data = engine_.DurableImage()[static_cast<size_t>(Space::kData)];
  const auto found = data.find(data_key);
  return found == data.end() ? nullptr : &found->second;
}

// --- damage ------------------------------------------------------------------------------------

bool Disk::Spoil(const std::string& data_key) {
  const std::string* durable = FindDurable(data_key);
  const auto live = engine_.GetBlocking(Space::kData, data_key);
  const bool whole = durable != nullptr && live && *live == *durable &&
                     !damage_.IsSpoiled(data_key, *live) &&
                     !damage_.IsUnreadable(Space::kData, data_key);
  if (!whole) return false;
  std::string bytes = Damage::Spoiled(*live, bug_ == Bug::kDamageUnseen, &prng_);
  engine_.Spoil(Space::kData, data_key, bytes);
  damage_.AddSpoiled(data_key, *live, std::move(bytes));
  return true;
}

std::vector<std::string> Disk::Spoiled() {
  std::vector<std::string> keys;
  for (const auto& [key, bytes] : damage_.spoiled()) {
    const auto present = engine_.GetBlocking(Space::kData, key);
    if (present && *present == bytes) keys.push_back(key);
  }
  return keys;
}

std::set<std::string> Disk::SpoiledIn(const storage::WriteBatch& batch) {
  std::set<std::string> keys;
  if (!damage_.AnySpoiled()) return keys;
  for (const auto& operation : batch.operations) {
    if (operation.space != Space::kData) continue;
    const auto present = engine_.GetBlocking(Space::kData, operation.key);
    if (present && damage_.IsSpoiled(operation.key, *present)) keys.insert(operation.key);
  }
  return keys;
}

void Disk::CountKept(const std::set<std::string>& spoiled, const storage::WriteBatch& batch) {
  for (const std::string& key : spoiled) {
    const bool kept =
        std::any_of(batch.operations.begin(), batch.operations.end(), [&](const auto& operation) {
          return operation.space == Space::kQuarantine && operation.key == key &&
                 damage_.IsSpoiled(key, operation.value);
        });
    ++(kept ? counts_.refilled : counts_.unkept);
  }
}

void Disk::Alter(Space space, std::string_view key, base::Result<std::string>* result) {
  const bool spoiled = space == Space::kData && *result && damage_.IsSpoiled(key, **result);
  const bool unreadable = damage_.IsUnreadable(space, key);
  if (unreadable) *result = Fail(Code::kCorruption, "an unreadable block");
  if ((spoiled || unreadable) && bug_ == Bug::kDamageIsAbsent) {
    *result = Fail(Code::kNotFound, "no such key");
  }
  Lie(space, key, result);
}

void Disk::AlterScan(Space space, std::string_view from, std::string_view to,
                     base::Result<std::vector<storage::Entry>>* result) const {
  if (!*result) return;
  const auto hidden = [&](const storage::Entry& entry) {
    return space == Space::kData &&
           (damage_.IsSpoiled(entry.key, entry.value) || damage_.IsUnreadable(space, entry.key));
  };
  if (bug_ == Bug::kDamageIsAbsent) {
    // Not all of them: an empty page would be the end.
    auto& entries = **result;
    if (!std::all_of(entries.begin(), entries.end(), hidden)) std::erase_if(entries, hidden);
  } else if (damage_.Meets(space, from, to, **result)) {
    *result = Fail(Code::kCorruption, "an unreadable block");
  }
}

void Disk::Scan(Space space, std::string from, std::string to, storage::ScanLimits limits,
                storage::CompletionQueue* queue, ScanDone done) {
  if (!Alters()) {
    return engine_.Scan(space, std::move(from), std::move(to), limits, queue, std::move(done));
  }
  engine_.Scan(space, from, to, limits, queue,
               [this, space, from, to,
                done = std::move(done)](base::Result<std::vector<storage::Entry>> result) mutable {
                 AlterScan(space, from, to, &result);
                 done(std::move(result));
               });
}

// --- reading and writing -----------------------------------------------------------------------

void Disk::Lie(Space space, std::string_view key, base::Result<std::string>* result) {
  if (space != Space::kData) return;
  if (bug_ == Bug::kErrorIsAbsent && !*result) *result = Fail(Code::kNotFound, "no such key");
  if (bug_ != Bug::kStaleRead || !prng_.Chance(0.05)) return;
  const auto found = before_.find(std::string(key));
  if (found != before_.end() && *result) *result = found->second;
}

storage::Lookup Disk::TryGet(Space space, std::string_view key, std::string* value,
                             base::Error* error) {
  const storage::Lookup lookup = engine_.TryGet(space, key, value, error);
  if (!Alters() || lookup == storage::Lookup::kNotInMemory) return lookup;
  base::Result<std::string> result = *value;
  if (lookup == storage::Lookup::kAbsent) result = Fail(Code::kNotFound, "no such key");
  if (lookup == storage::Lookup::kError) result = Fail(*error);
  Alter(space, key, &result);
  if (!result) {
    if (result.error().code == Code::kNotFound) return storage::Lookup::kAbsent;
    *error = std::move(result.error());
    return storage::Lookup::kError;
  }
  *value = *std::move(result);
  return storage::Lookup::kFound;
}

void Disk::Get(Space space, std::string key, storage::CompletionQueue* queue, GetDone done) {
  if (!Alters()) return engine_.Get(space, std::move(key), queue, std::move(done));
  std::string copy = key;
  engine_.Get(space, std::move(copy), queue,
              [this, space, key = std::move(key),
               done = std::move(done)](base::Result<std::string> result) mutable {
                Alter(space, key, &result);
                done(std::move(result));
              });
}

base::Status Disk::Write(const storage::WriteBatch& batch) {
  if (bug_ == Bug::kStaleRead) {
    for (const auto& operation : batch.operations) {
      if (operation.space != Space::kData) continue;
      auto present = engine_.GetBlocking(Space::kData, operation.key);
      if (present) before_[operation.key] = std::move(*present);
    }
  }
  const bool lies = bug_ == Bug::kNotRemoved || bug_ == Bug::kHintsUnseen;
  const std::set<std::string> spoiled = SpoiledIn(batch);
  if (auto status = engine_.Write(lies ? Tampered(batch) : batch); !status) return status;
  CountKept(spoiled, batch);
  for (const auto& operation : batch.operations) {
    if (!operation.remove) {
      Show(operation);
    } else if (operation.space == Space::kData) {
      ++counts_.removed;
    }
  }
  return {};
}

storage::WriteBatch Disk::Tampered(storage::WriteBatch batch) const {
  if (bug_ == Bug::kNotRemoved) {
    std::erase_if(batch.operations, [](const auto& operation) {
      return operation.space == Space::kData && operation.remove;
    });
    return batch;
  }
  for (auto& operation : batch.operations) {
    if (operation.space != Space::kHints || operation.remove) continue;
    auto hint = replica::ParseHint(operation.value);
    if (!hint) continue;
    hint->stored_ms = std::max(hint->stored_ms, WallAt(scheduler_.Now()).ms + kYoungForMs);
    operation.value = replica::EncodeHint(*hint);
  }
  return batch;
}

// Records, and what is kept in the place of others.
void Disk::Show(const storage::WriteBatch::Operation& operation) {
  if (operation.space == Space::kData) {
    on_record_(operation.key, operation.value);
    if (bug_ == Bug::kPurgedByTime) PurgeByTime(operation);
  }
  if (operation.space == Space::kMeta && operation.key == "topology") NoteDocument(operation.value);
  if (operation.space != Space::kHints) return;
  const auto key = replica::ParseHintKey(operation.key);
  const auto hint = replica::ParseHint(operation.value);
  if (!key || !hint || hint->record.empty()) return;
  on_record_(std::string(key->data_key), std::string(hint->record));
}

void Disk::NoteDocument(const std::string& bytes) {
  auto document = membership::DecodeTopology(bytes);
  if (!document || !document->sealed) return;
  for (membership::Member& member : document->members) {
    member.http = member.resp = member.peer = "a:1";
    member.info_version = 0;
  }
  documents_[document->epoch].insert(base::Hash64(membership::EncodeTopology(*document)));
}

void Disk::PurgeByTime(const storage::WriteBatch::Operation& operation) {
  const auto record = storage::ParseRecord(operation.value);
  const auto object = record ? causal::Object::Decode(record->object) : base::Fail(record.error());
  if (!object || !object->Traits().tombstone) return;
  scheduler_.After(base::Seconds(options_.gc_grace_s), [this, operation] {
    const auto present = engine_.GetBlocking(Space::kData, operation.key);
    if (present && *present == operation.value) Forget(operation.key);
  });
}

void Disk::Sync(storage::CompletionQueue* queue, SyncDone done) {
  const bool lies = bug_ == Bug::kNoSync || bug_ == Bug::kAckBeforeDurable;
  if (!lies || !prng_.Chance(0.5)) return engine_.Sync(queue, std::move(done));
  if (bug_ == Bug::kAckBeforeDurable) engine_.Sync(queue, [](const base::Status&) {});
  queue->Post([done = std::move(done)]() mutable { done({}); });
}

void Disk::Flush(Space space, storage::CompletionQueue* queue, SyncDone done) {
  if (bug_ == Bug::kFlushOnlySyncs) return Sync(queue, std::move(done));
  engine_.Flush(space, queue, std::move(done));
}

void Disk::WriteApart(std::string bytes, storage::CompletionQueue* queue, SyncDone done) {
  if (bug_ == Bug::kApartUnwritten && prng_.Chance(0.5)) {
    queue->Post([done = std::move(done)]() mutable { done({}); });
    return;
  }
  engine_.WriteApart(std::move(bytes), queue, std::move(done));
}

base::Result<std::string> Disk::GetBlocking(Space space, std::string_view key) {
  return engine_.GetBlocking(space, key);
}

}  // namespace lariat::sim

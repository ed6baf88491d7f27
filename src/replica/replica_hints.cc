// SPDX-License-Identifier: Apache-2.0
// What a replica keeps for members that missed it.
#include <set>
#include <utility>

#include "replica/hint.h"
#include "replica/replica.h"

namespace lariat::replica {

using base::Code;
using base::Fail;
using storage::Space;

namespace {

int64_t SizeOf(const std::string& key, std::string_view value) {
  return static_cast<int64_t>(key.size() + value.size());
}

// What it would mean to remove the hint; nothing if it is not the one that was seen.
std::optional<HintStore::Change> Removal(const HintMark& seen, const std::string& value) {
  const auto hint = ParseHint(value);
  if ((hint ? hint->version : 0) != seen.version) return std::nullopt;
  return HintStore::Change{seen.key, SizeOf(seen.key, value), 0, 0};
}

}  // namespace

std::string_view Replica::Place::DataKey() const {
  return std::string_view(key).substr(space == Space::kHints ? kHintTargetSize : 0);
}

Replica::Place Replica::PlaceOf(const KeyRef& key) {
  Place place;
  place.key = storage::DataKey(key.bucket, key.token.value, key.key);
  if (key.hint_for == 0) return place;
  place.space = Space::kHints;
  place.key = HintKey(key.hint_for, place.key);
  return place;
}

void Replica::Unwrap(Place* place, Looked* found) {
  if (place->space != Space::kHints || !*found || !(*found)->has_value()) return;
  const std::string value = std::move(***found);
  const auto hint = ParseHint(value);
  if (!hint) {
    *found = Fail(hint.error());
    return;
  }
  place->hint_bytes = SizeOf(place->key, value);
  place->hint_stored_ms = hint->stored_ms;
  place->hint_reference = hint->reference;
  *found = hint->record.empty() ? std::nullopt : std::optional(std::string(hint->record));
}

base::Result<PendingWrites::Put> Replica::PutFor(const Place& place, std::string record,
                                                 base::WallTime now) {
  if (place.space != Space::kHints) return PendingWrites::Put{place.space, place.key, record};
  Hint hint;
  hint.stored_ms = place.hint_bytes > 0 ? place.hint_stored_ms : now.ms;
  hint.version = hints_.NextVersion();
  hint.reference = place.hint_reference;
  hint.record = record;
  std::string value = EncodeHint(hint);
  HintStore::Change change{place.key, place.hint_bytes, SizeOf(place.key, value), hint.stored_ms};
  if (!hints_.Reserve(change)) {
    metrics_.hints_overflowed.Add();
    return Fail(Code::kUnavailable, "no more hints are kept for that member: a limit is reached");
  }
  metrics_.hints_stored.Add();
  pending_.Stage(
      {}, AckWhen::kWritten,
      [this, change = std::move(change)](const base::Status& status) {
        hints_.Settle(change, status.has_value());
      },
      [](const base::Status&) {});
  return PendingWrites::Put{place.space, place.key, std::move(value)};
}

void Replica::Owe(KeyRef key, base::WallTime now, StatusDone done) {
  LARIAT_CHECK(key.hint_for != 0, "a hint has a target");
  // Half of the room is left to those who wait for an answer.
  if (Waiting() >= options_.queue_max / 2) {
    metrics_.hints_overflowed.Add();
    return done(Fail(Code::kOverloaded, "too much waits for the engine"));
  }
  if (auto room = pending_.CheckRoom(/*is_delete=*/false); !room) return done(room);
  Place place = PlaceOf(key);
  auto use = [this, place, now, done = std::move(done)](Looked found) mutable {
    NoteReference(std::move(place), now, std::move(done), std::move(found));
  };
  WithRecord(Space::kHints, std::move(place.key), std::move(use));
}

void Replica::NoteReference(Place place, base::WallTime now, StatusDone done, Looked found) {
  const bool in_engine = pending_.Find(Space::kHints, place.key) == nullptr;
  Unwrap(&place, &found);
  if (!found) return done(Fail(std::move(found.error())));
  // Whoever delivers it will read the record, and so find what is owed now too.
  const uint64_t target = ParseHintKey(place.key)->target;
  if (place.hint_reference && in_engine && !hints_.budget().Delivering(target)) return done({});
  place.hint_reference = true;
  auto put = PutFor(place, found->value_or(""), now);
  if (!put) return done(Fail(std::move(put.error())));
  std::vector<PendingWrites::Put> puts;
  puts.push_back(std::move(*put));
  pending_.Stage(std::move(puts), AckWhen::kWritten, nullptr, std::move(done));
}

void Replica::RemoveHints(std::vector<HintMark> hints, RemovedDone done) {
  // Co-owned by the lookups below; whoever lets go last answers.
  struct Removals {
    size_t open = 1;
    base::Result<size_t> removed;
    RemovedDone done;
    void Add(base::Result<size_t> more) {
      if (!more) removed = std::move(more);
      if (removed && more) *removed += *more;
    }
    void Close() {
      if (--open == 0) done(std::move(removed));
    }
  };
  auto removals = std::make_shared<Removals>();
  removals->removed = 0;
  removals->done = std::move(done);
  std::vector<HintStore::Change> changes;
  std::vector<HintMark> later;
  for (HintMark& seen : hints) {
    // One that is on its way is not the one that was seen, and whoever waits for the disk will add
    // to what is there now.
    if (pending_.Find(Space::kHints, seen.key) != nullptr) continue;
    if (Loads(Space::kHints).contains(seen.key)) continue;
    std::string value;
    base::Error error;
    const storage::Lookup looked = engine_.TryGet(Space::kHints, seen.key, &value, &error);
    if (looked == storage::Lookup::kNotInMemory) later.push_back(std::move(seen));
    if (looked != storage::Lookup::kFound) continue;
    if (auto change = Removal(seen, value)) changes.push_back(std::move(*change));
  }
  removals->Add(RemoveHintsNow(changes));
  for (HintMark& seen : later) {
    ++removals->open;
    std::string key = seen.key;
    WithRecord(Space::kHints, std::move(key), [this, removals, seen](Looked found) {
      const bool same =
          found && found->has_value() && pending_.Find(Space::kHints, seen.key) == nullptr;
      const auto change = same ? Removal(seen, **found) : std::nullopt;
      if (change) removals->Add(RemoveHintsNow({*change}));
      removals->Close();
    });
  }
  removals->Close();
}

base::Result<size_t> Replica::RemoveHintsNow(const std::vector<HintStore::Change>& changes) {
  if (changes.empty()) return 0;
  storage::WriteBatch batch;
  for (const HintStore::Change& change : changes) batch.Remove(Space::kHints, change.key);
  if (auto status = engine_.Write(batch); !status) return Fail(std::move(status.error()));
  for (const HintStore::Change& change : changes) hints_.Book(change);
  return changes.size();
}

void Replica::FindHinted(std::vector<std::string> data_keys, KeysDone done) {
  if (!hints_.Counted()) {
    return done(Fail(Code::kUnavailable, "the hints of earlier runs are still being counted"));
  }
  std::set<uint64_t> targets;
  for (const HintFigures& figures : hints_.budget().Targets()) targets.insert(figures.target);
  // For those that wait for the disk nothing is reserved yet.
  for (const auto& [key, load] : Loads(Space::kHints)) targets.insert(ParseHintKey(key)->target);
  struct Search {
    size_t open = 1;
    base::Status status;
    std::set<std::string> hinted;
    KeysDone done;
    void Close() {
      if (--open > 0) return;
      if (!status) return done(Fail(std::move(status.error())));
      done(std::vector<std::string>(hinted.begin(), hinted.end()));
    }
  };
  auto search = std::make_shared<Search>();  // co-owned by the lookups below
  search->done = std::move(done);
  for (const uint64_t target : targets) {
    for (const std::string& data_key : data_keys) {
      ++search->open;
      // Behind those that are about to add to the hint.
      WithRecord(Space::kHints, HintKey(target, data_key), [search, data_key](Looked found) {
        if (!found) search->status = Fail(std::move(found.error()));
        if (found && found->has_value()) search->hinted.insert(data_key);
        search->Close();
      });
    }
  }
  search->Close();
}

}  // namespace lariat::replica

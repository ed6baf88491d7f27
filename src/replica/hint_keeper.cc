// SPDX-License-Identifier: Apache-2.0
#include "replica/hint_keeper.h"

#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "base/check.h"
#include "replica/hint.h"

namespace lariat::replica {

using base::Code;
using base::Fail;
using storage::Space;

namespace {

// What it would mean to remove the hint; nothing if it is not the one that was seen.
std::optional<HintStore::Change> Removal(const HintMark& seen, const std::string& value) {
  const auto hint = ParseHint(value);
  if ((hint ? hint->version : 0) != seen.version) return std::nullopt;
  return HintStore::Change{seen.key, static_cast<int64_t>(seen.key.size() + value.size()), 0, 0};
}

}  // namespace

void HintKeeper::Owe(const KeyRef& key, base::WallTime now, StatusDone done) {
  LARIAT_CHECK(key.hint_for != 0, "a hint has a target");
  if (records_.HalfFull()) {
    env_.metrics.hints_overflowed.Add();
    return done(Fail(Code::kOverloaded, "too much waits for the engine"));
  }
  if (auto room = records_.pending().CheckRoom(/*is_delete=*/false); !room) return done(room);
  records_.LookAt(PlaceOf(key),
                  [this, now, done = std::move(done)](Place place, const Looked& found) mutable {
                    NoteReference(std::move(place), now, std::move(done), found);
                  });
}

void HintKeeper::NoteReference(Place place, base::WallTime now, StatusDone done,
                               const Looked& found) {
  if (!found) return done(Fail(found.error()));
  PendingWrites& pending = records_.pending();
  const bool in_engine = pending.Find(Space::kHints, place.key) == nullptr;
  // Whoever delivers it will read the record, and so find what is owed now too.
  const uint64_t target = ParseHintKey(place.key)->target;
  if (place.hint_reference && in_engine && !store_.budget().Delivering(target)) return done({});
  place.hint_reference = true;
  auto put = records_.PutHint(place, found->value_or(""), now);
  if (!put) return done(Fail(std::move(put.error())));
  std::vector<PendingWrites::Put> puts;
  puts.push_back(std::move(*put));
  pending.Stage(std::move(puts), AckWhen::kWritten, nullptr, std::move(done));
}

void HintKeeper::RemoveHints(std::vector<HintMark> hints, RemovedDone done) {
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
    if (records_.IsBusy(Space::kHints, seen.key)) continue;
    std::string value;
    base::Error error;
    const storage::Lookup looked = env_.engine.TryGet(Space::kHints, seen.key, &value, &error);
    if (looked == storage::Lookup::kNotInMemory) later.push_back(std::move(seen));
    if (looked != storage::Lookup::kFound) continue;
    if (auto change = Removal(seen, value)) changes.push_back(std::move(*change));
  }
  removals->Add(RemoveNow(changes));
  for (HintMark& seen : later) {
    ++removals->open;
    std::string key = seen.key;
    records_.With(Space::kHints, std::move(key), [this, removals, seen](Looked found) {
      const bool same = found && found->has_value() &&
                        records_.pending().Find(Space::kHints, seen.key) == nullptr;
      const auto change = same ? Removal(seen, **found) : std::nullopt;
      if (change) removals->Add(RemoveNow({*change}));
      removals->Close();
    });
  }
  removals->Close();
}

base::Result<size_t> HintKeeper::RemoveNow(const std::vector<HintStore::Change>& changes) {
  if (changes.empty()) return 0;
  storage::WriteBatch batch;
  for (const HintStore::Change& change : changes) batch.Remove(Space::kHints, change.key);
  if (auto status = env_.engine.Write(batch); !status) return Fail(std::move(status.error()));
  for (const HintStore::Change& change : changes) store_.Book(change);
  return changes.size();
}

void HintKeeper::FindHinted(std::vector<std::string> data_keys, KeysDone done) {
  if (!store_.Counted()) {
    return done(Fail(Code::kUnavailable, "the hints of earlier runs are still being counted"));
  }
  std::set<uint64_t> targets;
  for (const HintFigures& figures : store_.budget().Targets()) targets.insert(figures.target);
  // For those that wait for the disk nothing is reserved yet.
  for (const std::string& key : records_.KeysLoading(Space::kHints)) {
    targets.insert(ParseHintKey(key)->target);
  }
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
      records_.With(Space::kHints, HintKey(target, data_key), [search, data_key](Looked found) {
        if (!found) search->status = Fail(std::move(found.error()));
        if (found && found->has_value()) search->hinted.insert(data_key);
        search->Close();
      });
    }
  }
  search->Close();
}

}  // namespace lariat::replica

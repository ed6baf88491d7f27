// SPDX-License-Identifier: Apache-2.0
// What repair, sweep, scrub and clean-up ask of a replica beside reading and writing.
#include <utility>

#include "replica/replica.h"

namespace lariat::replica {

using base::Code;
using base::Fail;
using storage::Space;

// --- removing and folding ----------------------------------------------------------------------

void Replica::RemoveIf(std::vector<RecordVersion> records, std::function<bool()> allowed,
                       StatesDone done) {
  ChangeEach(std::move(records), std::move(allowed), std::move(done), &Replica::RemoveOne);
}

void Replica::FoldIf(std::vector<RecordVersion> records, std::function<bool()> allowed,
                     StatesDone done) {
  ChangeEach(std::move(records), std::move(allowed), std::move(done), &Replica::FoldOne);
}

// A write in memory is not in the engine yet, and one that waits for the disk will join what it is
// about to read: a record must not go away under either.
bool Replica::IsBusy(const std::string& data_key) {
  return pending_.Find(Space::kData, data_key) != nullptr || Loads(Space::kData).contains(data_key);
}

void Replica::ChangeEach(std::vector<RecordVersion> records, std::function<bool()> allowed,
                         StatesDone done,
                         void (Replica::*change)(const RecordVersion&, Looked, StateDone)) {
  // Co-owned by what is waited for: whoever lets go last gives the answer.
  struct Changes {
    std::function<bool()> allowed;
    StatesDone done;
    std::vector<RecordState> states;
    std::optional<base::Error> error;
    size_t open = 1;
    void Close() {
      if (--open > 0) return;
      if (error) return done(Fail(std::move(*error)));
      done(std::move(states));
    }
  };
  auto changes = std::make_shared<Changes>();
  changes->allowed = std::move(allowed);
  changes->done = std::move(done);
  changes->states.assign(records.size(), RecordState::kBusy);
  for (size_t i = 0; i < records.size(); ++i) {
    if (IsBusy(records[i].data_key)) continue;
    ++changes->open;
    StateDone ended = [changes, i](base::Result<RecordState> state) {
      if (state) {
        changes->states[i] = *state;
      } else if (state.error().code != Code::kOverloaded) {
        changes->error = std::move(state.error());
      }
      changes->Close();
    };
    std::string data_key = records[i].data_key;
    WithRecord(Space::kData, std::move(data_key),
               [this, changes, change, record = std::move(records[i]),
                ended = std::move(ended)](Looked found) mutable {
                 if (!changes->allowed()) {
                   return ended(Fail(Code::kStaleEpoch, "the topology has changed"));
                 }
                 if (!found) return ended(Fail(found.error()));
                 if (!found->has_value()) return ended(RecordState::kAbsent);
                 if (pending_.Find(Space::kData, record.data_key)) return ended(RecordState::kBusy);
                 (this->*change)(record, std::move(found), std::move(ended));
               });
  }
  changes->Close();
}

void Replica::RemoveOne(const RecordVersion& record, Looked found, StateDone done) {
  const auto parsed = storage::ParseRecord(**found);
  if (record.digest) {
    const bool same = parsed && causal::Object::Digest(parsed->object) == *record.digest;
    if (!same) return done(RecordState::kDifferent);
  }
  const auto before = parsed ? RecordSum(record.data_key, parsed->object) : Fail(parsed.error());
  tree_.Stage(record.data_key, merkle::LeafSum{} - before.value_or(merkle::LeafSum{}),
              /*spoiled=*/!before);
  StageChange({{Space::kData, record.data_key, std::nullopt}}, std::move(done));
}

void Replica::FoldOne(const RecordVersion& record, Looked found, StateDone done) {
  const auto parsed = storage::ParseRecord(**found);
  const bool same =
      parsed && (!record.digest || causal::Object::Digest(parsed->object) == *record.digest);
  auto object = same ? causal::Object::Decode(parsed->object) : Fail(Code::kCorruption, "");
  // A record that is nothing but history is to be removed as a whole.
  if (!object || object->StoredValues() == 0) return done(RecordState::kDifferent);
  const merkle::LeafSum before = RecordSum(record.data_key, parsed->object, *object);
  if (!object->Fold()) return done(RecordState::kDone);
  const bool keeps_actor =
      parsed->own_actor && object->dvv()->history().Max(*parsed->own_actor) > 0;
  const std::string bytes = object->Encode();
  tree_.Stage(record.data_key, RecordSum(record.data_key, bytes, *object) - before);
  StageChange({{Space::kData, record.data_key,
                storage::EncodeRecord(keeps_actor ? parsed->own_actor : std::nullopt, bytes),
                /*is_delete=*/true}},  // it is shorter than it was
              std::move(done));
}

void Replica::StageChange(std::vector<PendingWrites::Put> puts, StateDone done) {
  pending_.Stage(std::move(puts), AckWhen::kSynced, nullptr,
                 [done = std::move(done)](const base::Status& status) mutable {
                   if (!status) return done(Fail(status.error()));
                   done(RecordState::kDone);
                 });
}

// --- damaged records ---------------------------------------------------------------------------

void Replica::Replace(std::string data_key, std::string damaged, std::string object,
                      StateDone done) {
  if (IsBusy(data_key)) return done(RecordState::kBusy);
  if (auto room = pending_.CheckRoom(/*is_delete=*/false); !room) return done(Fail(room.error()));
  auto use = [this, data_key, damaged = std::move(damaged), object = std::move(object),
              done = std::move(done)](Looked found) mutable {
    if (!found) return done(Fail(found.error()));
    if (!found->has_value()) return done(RecordState::kAbsent);
    if (**found != damaged || storage::ParseRecord(damaged)) return done(RecordState::kDifferent);
    const auto sum = RecordSum(data_key, object);
    if (!sum) return done(Fail(Code::kInvalidArgument, "a malformed object"));
    tree_.Stage(data_key, *sum, /*spoiled=*/true);
    // Nothing is known of the own actor, so it is not continued.
    StageChange({{Space::kData, data_key, storage::EncodeRecord(std::nullopt, object)},
                 {Space::kQuarantine, data_key, std::move(damaged)}},
                std::move(done));
  };
  WithRecord(Space::kData, std::move(data_key), std::move(use));
}

void Replica::CheckLeaf(storage::BucketId bucket, uint32_t leaf, CheckDone done) {
  const ring::TokenSlice& slice = tree_.slice();
  const bool is_mine =
      merkle::LeafOf(slice.first.value) <= leaf && leaf <= merkle::LeafOf(slice.last.value);
  if (!is_mine) return done(LeafCheck{});
  const uint64_t id = ++checks_begun_;
  checks_[id] =
      std::make_unique<Recount>(Recount::Job{bucket, leaf, leaf}, tree_, engine_, queue_, metrics_);
  StepCheck(id, std::move(done));
}

void Replica::StepCheck(uint64_t id, CheckDone done) {
  Recount& check = *checks_.find(id)->second;
  check.Step([this, id, done = std::move(done)](const base::Status& status) mutable {
    if (status && !checks_.find(id)->second->Finished()) return StepCheck(id, std::move(done));
    const auto ended = checks_.extract(id);
    if (!status) return done(Fail(status.error()));
    done(ended.mapped()->TakeResult());
  });
}

}  // namespace lariat::replica

// SPDX-License-Identifier: Apache-2.0
#include "replica/healing/mender.h"

#include <utility>

namespace lariat::replica {

using base::Code;
using base::Fail;
using storage::Space;

void Mender::RemoveIf(std::vector<RecordVersion> records, std::function<bool()> allowed,
                      StatesDone done) {
  ChangeEach(std::move(records), std::move(allowed), std::move(done), &Mender::RemoveOne);
}

void Mender::FoldIf(std::vector<RecordVersion> records, std::function<bool()> allowed,
                    StatesDone done) {
  ChangeEach(std::move(records), std::move(allowed), std::move(done), &Mender::FoldOne);
}

void Mender::ChangeEach(std::vector<RecordVersion> records, std::function<bool()> allowed,
                        StatesDone done,
                        void (Mender::*change)(const RecordVersion&, std::string_view, StateDone)) {
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
    if (records_.IsBusy(Space::kData, records[i].data_key)) continue;
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
    auto use = [this, changes, change, record = std::move(records[i]),
                ended = std::move(ended)](const Looked& found) mutable {
      if (!changes->allowed()) return ended(Fail(Code::kStaleEpoch, "the topology has changed"));
      if (!found) return ended(Fail(found.error()));
      if (!found->has_value()) return ended(RecordState::kAbsent);
      if (records_.pending().Find(Space::kData, record.data_key)) return ended(RecordState::kBusy);
      (this->*change)(record, **found, std::move(ended));
    };
    records_.With(Space::kData, std::move(data_key), std::move(use));
  }
  changes->Close();
}

void Mender::RemoveOne(const RecordVersion& record, std::string_view found, StateDone done) {
  const auto parsed = storage::ParseRecord(found);
  if (record.digest) {
    const bool same = parsed && causal::Object::Digest(parsed->object) == *record.digest;
    if (!same) return done(RecordState::kDifferent);
  }
  RecordChange change;
  change.data_key = record.data_key;
  const auto before = parsed ? ReadImage(parsed->object) : Fail(parsed.error());
  change.spoiled = !before;
  if (before) change.before = *before;
  Stage(change, std::nullopt, {}, std::move(done));
}

void Mender::FoldOne(const RecordVersion& record, std::string_view found, StateDone done) {
  const auto parsed = storage::ParseRecord(found);
  const bool same =
      parsed && (!record.digest || causal::Object::Digest(parsed->object) == *record.digest);
  auto object = same ? causal::Object::Decode(parsed->object) : Fail(Code::kCorruption, "");
  // A record that is nothing but history is to be removed as a whole.
  if (!object || object->StoredValues() == 0) return done(RecordState::kDifferent);
  RecordChange change{record.data_key, RecordImage{parsed->object, object->Traits()}, {}};
  if (!object->Fold()) return done(RecordState::kDone);
  const bool keeps_actor = parsed->own_actor && object->LastEventOf(*parsed->own_actor) > 0;
  const std::string bytes = object->Encode();
  change.after = {bytes, object->Traits()};
  Stage(change, keeps_actor ? parsed->own_actor : std::nullopt, {}, std::move(done));
}

void Mender::Replace(std::string data_key, std::string damaged, std::string object,
                     StateDone done) {
  if (records_.IsBusy(Space::kData, data_key)) return done(RecordState::kBusy);
  if (auto room = records_.pending().CheckRoom(/*is_delete=*/false); !room) {
    return done(Fail(room.error()));
  }
  auto use = [this, data_key, damaged = std::move(damaged), object = std::move(object),
              done = std::move(done)](const Looked& found) mutable {
    if (!found) return done(Fail(found.error()));
    if (!found->has_value()) return done(RecordState::kAbsent);
    if (**found != damaged || storage::ParseRecord(damaged)) return done(RecordState::kDifferent);
    // What it had promised is not known any more, so that it must not vote for the key again.
    if (causal::Object::IsAgreed(object)) return done(RecordState::kDifferent);
    const auto after = ReadImage(object);
    if (!after) return done(Fail(Code::kInvalidArgument, "a malformed object"));
    // Nothing is known of the own actor, so it is not continued.
    Stage({data_key, {}, *after, /*spoiled=*/true}, std::nullopt,
          {{Space::kQuarantine, data_key, std::move(damaged)}}, std::move(done));
  };
  records_.With(Space::kData, std::move(data_key), std::move(use));
}

void Mender::Stage(const RecordChange& change, const std::optional<causal::Actor>& own_actor,
                   std::vector<PendingWrites::Put> beside, StateDone done) {
  Place place;
  place.key = change.data_key;
  auto put = records_.Change(place, change, own_actor, {});
  if (!put) return done(Fail(std::move(put.error())));
  put->is_delete = beside.empty();  // less is there afterwards
  std::vector<PendingWrites::Put> puts;
  puts.push_back(std::move(*put));
  for (PendingWrites::Put& more : beside) puts.push_back(std::move(more));
  records_.pending().Stage(std::move(puts), AckWhen::kSynced, nullptr,
                           [done = std::move(done)](const base::Status& status) mutable {
                             if (!status) return done(Fail(status.error()));
                             done(RecordState::kDone);
                           });
}

}  // namespace lariat::replica

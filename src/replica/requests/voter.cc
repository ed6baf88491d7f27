// SPDX-License-Identifier: Apache-2.0
#include "replica/requests/voter.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "causal/serial.h"
#include "storage/record.h"

namespace lariat::replica {

using base::Code;
using base::Fail;
using consensus::Ballot;

namespace {

causal::Actor PromiseAsActor(const Ballot& promise) {
  return {promise.node, promise.incarnation, promise.counter};
}

Ballot PromiseOf(const std::optional<causal::Actor>& own) {
  return own ? Ballot{own->mint, own->node, own->incarnation} : Ballot{};
}

// What is stored of an acceptor that has accepted nothing.
std::string ObjectOf(const consensus::AcceptorState& state) {
  if (state.accepted.IsZero()) return causal::Object(causal::Kind::kSerial).Encode();
  return causal::SerialObject(state.accepted, *state.value);
}

}  // namespace

base::Result<Voter::Stored> Voter::AcceptorIn(const std::optional<std::string>& record) {
  if (!record) return Stored{};
  const auto parsed = records_.Parse(*record);
  if (!parsed) return Fail(parsed.error());
  const auto parts = causal::SerialPartsOf(parsed->object);
  if (!parts) return Fail(Code::kConflict, "the key holds a record of another kind of bucket");
  consensus::AcceptorState state;
  state.promised = std::max(PromiseOf(parsed->own_actor), parts->accepted);
  state.accepted = parts->accepted;
  if (!parts->accepted.IsZero()) state.value = std::string(parts->body);
  return Stored{consensus::Acceptor(std::move(state)), std::string(parsed->object)};
}

void Voter::Promise(Place&& place, ReadOptions&& options, ReadDone&& done) {
  if (place.space != storage::Space::kData) {
    return done(Fail(Code::kInvalidArgument, "nobody promises for another member"));
  }
  if (auto room = records_.CheckQueue(); !room) return done(Fail(std::move(room.error())));
  records_.LookAt(std::move(place), [this, options = std::move(options), done = std::move(done)](
                                        const Place& at, const Looked& record) mutable {
    OnPromise(at, options, std::move(done), record);
  });
}

void Voter::OnPromise(const Place& place, const ReadOptions& options, ReadDone&& done,
                      const Looked& record) {
  if (!record) return done(Fail(record.error()));
  if (records_.EngineIsDead()) return done(Fail(Code::kIo, "the storage engine has failed"));
  auto stored = AcceptorIn(*record);
  if (!stored) return done(Fail(std::move(stored.error())));
  const consensus::PrepareReply reply = stored->acceptor.OnPrepare(options.promise);
  ReadResult result;
  result.promised = reply.seen;
  if (!reply.ok) return done(std::move(result));
  result.found = !reply.accepted.IsZero();
  if (result.found) {
    result.object = *stored->object;
    result.digest = causal::Object::Digest(result.object);
  }
  auto when_durable = [result = std::move(result),
                       done = std::move(done)](const base::Status& status) mutable {
    if (!status) return done(Fail(status.error()));
    done(std::move(result));
  };
  if (reply.changed) return Keep(place, *stored, {}, std::move(when_durable));
  records_.pending().WhenDurable(place.space, place.key, std::move(when_durable));
}

void Voter::Accept(const Place& place, std::string&& object, WriteOptions&& options,
                   StatusDone&& done, const Looked& record) {
  const auto incoming = causal::Object::Decode(object);
  if (!incoming) return done(Fail(Code::kInvalidArgument, "a peer sent a malformed object"));
  if (incoming->Empty()) return done({});  // a copy of nothing
  if (place.space != storage::Space::kData) {
    return done(Fail(Code::kInvalidArgument, "nobody votes for another member"));
  }
  const auto key = storage::ParseDataKey(place.key);
  if (options.answer && key && records_.DoubtAbout(key->bucket) != nullptr) {
    return done(Fail(Code::kUnavailable, std::string(kInDoubt) + ": it abstains"));
  }
  auto stored = AcceptorIn(*record);
  if (!stored) return done(Fail(std::move(stored.error())));
  const auto parts = causal::SerialPartsOf(object);
  // A late copy of what was passed long ago is no conflict.
  const bool old = parts->accepted < stored->acceptor.state().accepted;
  if (old && !options.answer) return done({});
  const consensus::AcceptReply reply =
      stored->acceptor.OnAccept({parts->accepted, std::string(parts->body), options.next});
  if (options.answer) {
    options.answer->promised = reply.seen;
    if (!reply.ok) options.answer->standing = causal::Standing::kNeverHeld;
  }
  if (!reply.ok && options.answer) return done({});
  if (!reply.ok) {
    metrics_.serial_refused_states.Add();
    return done(Fail(Code::kConflict, "more was promised for the key than this state's ballot"));
  }
  if (!reply.changed) {
    return records_.pending().WhenDurable(place.space, place.key, std::move(done));
  }
  if (options.changed != nullptr) options.changed->Add();
  Keep(place, *stored, options.now, std::move(done));
}

void Voter::Keep(const Place& place, const Stored& stored, base::WallTime now, StatusDone&& done) {
  PendingWrites& pending = records_.pending();
  if (auto room = pending.CheckRoom(/*is_delete=*/false); !room) return done(room);
  const consensus::AcceptorState& state = stored.acceptor.state();
  const std::string object = ObjectOf(state);
  RecordChange change;
  change.data_key = place.DataKey();
  if (stored.object) change.before = {*stored.object, {}};
  change.after = {object, {}};
  auto put = records_.Change(place, change, PromiseAsActor(state.promised), now);
  if (!put) return done(Fail(std::move(put.error())));
  std::vector<PendingWrites::Put> puts;
  puts.push_back(std::move(*put));
  pending.Stage(std::move(puts), AckWhen::kSynced, nullptr, std::move(done));
}

}  // namespace lariat::replica

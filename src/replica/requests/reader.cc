// SPDX-License-Identifier: Apache-2.0
#include "replica/requests/reader.h"

#include <utility>

namespace lariat::replica {

using base::Code;
using base::Fail;
using storage::Space;
using telemetry::ReplicaOp;

namespace {

// A part of the bytes, in their own memory.
std::string Within(std::string&& bytes, std::string_view part) {
  const auto offset = static_cast<size_t>(part.data() - bytes.data());
  bytes.resize(offset + part.size());
  bytes.erase(0, offset);
  return std::move(bytes);
}

}  // namespace

void Reader::Read(const KeyRef& key, ReadOptions&& options, ReadDone&& done) {
  metrics_.replica_requests[options.digest_only ? ReplicaOp::kDigest : ReplicaOp::kRead].Add();
  // Hints are no part of what this node holds itself.
  const bool may_lack = !options.even_in_doubt && key.hint_for == 0;
  if (const Doubt* doubt = may_lack ? records_.DoubtAbout(key.bucket) : nullptr) {
    return done(Fail(Code::kUnavailable, std::string(kInDoubt) + ": " + doubt->why));
  }
  if (!options.promise.IsZero()) {
    return voter_.Promise(PlaceOf(key), std::move(options), std::move(done));
  }
  ReadAnswer(PlaceOf(key), std::move(options), std::move(done));
}

void Reader::ReadAnswer(Place&& place, ReadOptions&& options, ReadDone&& done) {
  if (options.idempotency_key.empty()) {
    return ReadRecord(std::move(place), std::move(options), std::move(done), {});
  }
  std::string answer_key = IdempotencyKey(place.DataKey(), options.idempotency_key);
  auto use = [this, place = std::move(place), options = std::move(options),
              done = std::move(done)](Looked answer) mutable {
    // An unreadable answer must not look like "never asked before".
    if (!answer) return done(Fail(answer.error()));
    ReadRecord(std::move(place), std::move(options), std::move(done),
               std::move(*answer).value_or(""));
  };
  records_.With(Space::kIdempotency, std::move(answer_key), std::move(use));
}

void Reader::ReadRecord(Place&& place, ReadOptions&& options, ReadDone&& done,
                        std::string&& answer) {
  records_.LookAt(std::move(place),
                  [this, options = std::move(options), done = std::move(done),
                   answer = std::move(answer)](Place&& at, Looked&& record) mutable {
                    Finish(std::move(at), std::move(options), std::move(done), std::move(record),
                           std::move(answer));
                  });
}

void Reader::Finish(Place&& place, ReadOptions&& options, ReadDone&& done, Looked&& record,
                    std::string&& answer) {
  if (!record) return done(Fail(record.error()));
  if (records_.EngineIsDead()) {
    return done(Fail(Code::kIo, "the storage engine has failed"));
  }
  ReadResult result;
  result.idempotency_answer = std::move(answer);
  if (!record->has_value()) return done(std::move(result));
  const auto parsed = records_.Parse(**record);
  if (!parsed) return done(Fail(parsed.error()));
  if (causal::Object::IsNothing(parsed->object)) return done(std::move(result));
  result.found = true;
  registers_.OnRead(place, parsed->object);
  result.digest = causal::Object::Digest(parsed->object);
  if (!options.digest_only) result.object = Within(std::move(**record), parsed->object);
  PendingWrites& pending = records_.pending();
  if (pending.Find(place.space, place.key) == nullptr) return done(std::move(result));
  metrics_.reads_delayed_for_sync.Add();
  pending.WhenDurable(place.space, place.key,
                      [this, place, options = std::move(options), result = std::move(result),
                       done = std::move(done)](const base::Status& status) mutable {
                        if (status) return done(std::move(result));
                        // It was refused, so it never was: what is there without it counts.
                        ReadAnswer(std::move(place), std::move(options), std::move(done));
                      });
}

}  // namespace lariat::replica

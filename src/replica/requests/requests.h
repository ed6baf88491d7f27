// SPDX-License-Identifier: Apache-2.0
// What a replica can be asked for, and what it answers (replica.h). Values.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"
#include "causal/object.h"
#include "consensus/ballot.h"
#include "ring/token.h"
#include "storage/engine.h"
#include "storage/record.h"
#include "telemetry/metrics.h"

namespace lariat::replica {

// When a write counts as done: a bucket's durability.
enum class AckWhen : uint8_t { kSynced, kWritten };

struct KeyRef {
  storage::BucketId bucket = 0;
  ring::Token token;
  std::string key;
  // Number of a member: what is kept here for that one until it can be delivered (a hint), instead
  // of what this node holds itself. 0: that.
  uint64_t hint_for = 0;
};

struct ReadResult {
  bool found = false;
  std::string object;  // causal::Object bytes; empty if only the digest was asked for
  base::Hash128 digest;
  std::string idempotency_answer;
  consensus::Ballot promised;  // with ReadOptions::promise: the promise that holds now
};
using ReadDone = base::UniqueFunction<void(base::Result<ReadResult>)>;
using StatusDone = base::UniqueFunction<void(base::Status)>;

struct ReadOptions {
  bool digest_only = false;
  std::string idempotency_key;
  bool even_in_doubt = false;  // for comparisons, which are what ends it
  // Not zero: also promise (record/votes.h); only what serial buckets hold.
  consensus::Ballot promise = {};
};

// What became of a register (of a kind ordered by clock) that a peer sent.
struct RegisterAnswer {
  causal::Standing standing = causal::Standing::kHeld;
  causal::HlcStamp greater;  // what is there; of kNeverHeld and kUnsure
  // In serial buckets: the promise that holds now. kHeld: the state was accepted.
  consensus::Ballot promised = {};
};

struct WriteOptions {
  AckWhen ack_when = AckWhen::kSynced;
  std::string idempotency_key;
  std::string idempotency_answer;
  base::WallTime now;
  telemetry::Counter* changed = nullptr;  // counts up if the record becomes another one
  bool for_client = false;  // who waits for it: a delete may use the disk's reserve for deletes
  // Another replica has it already: it is taken however far ahead its stamp is, for refusing it
  // would only keep the two apart.
  bool stored_elsewhere = false;
  // Filled in before `done` is called with ok, which says that it is durable. Co-owned by `done`.
  std::shared_ptr<RegisterAnswer> answer;
  // In serial buckets: promise this ballot with the accept of the object. Zero: none.
  consensus::Ballot next = {};
};

struct UpdateResult;
struct UpdateRequest {
  KeyRef key;
  causal::Change change;
  AckWhen ack_when = AckWhen::kSynced;
  std::string idempotency_key;
  // Makes the answer to record from the update's result; called only with an idempotency key.
  base::UniqueFunction<std::string(const causal::Object&, const UpdateResult&)> make_answer;
};
struct UpdateResult {
  std::string object;       // the new full state, to be replicated
  causal::Context context;  // the client's context and its new event
  std::map<uint64_t, uint64_t> version;
  causal::Shown shown;  // by an operation on a value that merges
  std::string idempotency_answer;
  // Nothing was done now: idempotency_answer is the earlier answer, and what it tells of is
  // durable here. The rest is empty.
  bool replayed = false;
  causal::Standing standing = causal::Standing::kHeld;  // kUnsure: this replica may lack records
  bool tell_when_durable = false;  // nobody may hear of the event before that (Clock::Above)
};
// The result comes when the batch is in the engine (visible, not yet durable): from then on the
// update may take effect. An error means that it will not.
using UpdateDone = base::UniqueFunction<void(base::Result<UpdateResult>)>;

// A record to be removed or folded.
struct RecordVersion {
  std::string data_key;                 // storage::DataKey
  std::optional<base::Hash128> digest;  // only if this is the digest of its object
};
enum class RecordState : uint8_t {
  kDone,       // and durable
  kDifferent,  // it has another digest, or cannot be read
  kAbsent,
  kBusy,  // a request works on it
};
using StatesDone = base::UniqueFunction<void(base::Result<std::vector<RecordState>>)>;
using StateDone = base::UniqueFunction<void(base::Result<RecordState>)>;

}  // namespace lariat::replica

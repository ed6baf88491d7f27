// SPDX-License-Identifier: Apache-2.0
// One write of a client. A frontend fills in a ClientWrite, whoever coordinates makes a Change of
// it, and the replica that makes the event applies that to the Object. Whoever they pass on their
// way knows of them what the members below tell, and neither the fields nor the kinds. Pure values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "causal/actor.h"
#include "causal/context.h"
#include "causal/hlc.h"
#include "causal/kind.h"
#include "causal/value.h"

namespace lariat::causal {

// As the client said it: contexts as text, times relative.
struct ClientWrite {
  bool is_delete = false;
  std::string value;
  std::string content_type;
  std::optional<std::string> context;
  std::optional<int64_t> ttl_s;                // 0 = never, also where the bucket has a ttl
  std::optional<int64_t> expires_ms;           // the same as a time since 1970; excludes ttl_s
  std::optional<int64_t> client_timestamp_ms;  // kinds ordered by clock only
  std::optional<std::string> if_match;         // a context, "*" (any live value), serial: a version
  bool if_none_match_any = false;              // only if there is no live value
  // Serial buckets only: only if this is the value; only if there is none.
  std::optional<std::string> expect = {};
  bool expect_absent = false;

  bool IsConditional() const { return if_match || if_none_match_any || expect || expect_absent; }
  // It can only be judged, or made, by what enough replicas hold.
  bool NeedsRead(Kind kind) const;
  // kInvalidArgument: nobody could do this, wherever the key lies.
  base::Status Check() const;
  // kInvalidArgument: not to this key in a bucket of this kind. A context's checksum is no secret,
  // so a client can make one that was never given out here.
  base::Status CheckFor(Kind kind, std::string_view bucket, std::string_view key) const;
};

// What has to be true of the object for a change to happen.
enum class Condition : uint8_t { kNone, kNoLiveValue, kAnyLiveValue, kContextCoversAll };

// What a bucket and its coordinator add to a client's write.
struct ChangeTerms {
  Kind kind = Kind::kSiblings;
  std::string_view bucket, key;  // contexts are bound to them
  uint64_t ttl_s = 0;            // for what brings none; 0 = never
  int64_t now_us = 0;
  size_t values_max = 100;
};

struct Change {
  Kind kind = Kind::kSiblings;
  Context context;  // what the client has seen
  Value value;      // of a delete: the tombstone
  Condition condition = Condition::kNone;
  // The client gave no context: what is read before the event counts as seen.
  bool sees_what_is_read = false;
  std::optional<int64_t> client_timestamp_ms;
  size_t values_max = 100;
  base::WallTime now;
  uint16_t micros = 0;  // within now's millisecond
  // Of kinds ordered by clock, without a client's stamp: the new one is greater than this.
  HlcStamp above;
  // The event was made before, as this one, and is made again under a greater stamp. With
  // `unless_shown` only if no read was given it where it is made: kPreconditionFailed otherwise.
  std::optional<RegisterId> instead_of;
  bool unless_shown = false;

  // Takes value and content type out of the write. kInvalidArgument, with nothing taken: the
  // context is none (ClientWrite::CheckFor).
  static base::Result<Change> Of(ClientWrite* write, const ChangeTerms& terms);
  // It was not made: the write is whole again.
  void GiveBack(ClientWrite* write) &&;

  bool IsDelete() const { return value.tombstone; }
  // Its stamp is chosen by the clock of the node that makes the event.
  bool IsStampedByNode() const { return IsOrderedByClock(kind) && !client_timestamp_ms; }
  // What comes of it depends on the time that the node takes it to be.
  bool UsesClock() const { return IsStampedByNode() || value.expires_ms != 0; }
};

// By what an event is made: kinds ordered by clock use node and stamp, others the actor.
struct Author {
  Actor actor;
  HlcStamp stamp;
};
// What became of a change.
struct Applied {
  Context context;      // the client's context and its new event
  bool changed = true;  // false: what was there is greater, and stays
};

}  // namespace lariat::causal

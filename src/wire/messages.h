// SPDX-License-Identifier: Apache-2.0
// Every message between nodes, as plain values. codec.h turns them into bytes (messages.proto is
// the schema, docs/formats/peer-protocol.md the description). A replica on the same node gets the
// same values without the detour over bytes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "base/uuid.h"
#include "causal/change.h"
#include "causal/lww.h"
#include "causal/types/shown.h"
#include "consensus/ballot.h"
#include "wire/outcome.h"
#include "wire/progress.h"
#include "wire/repair_messages.h"

namespace lariat::wire {

// --- coordinator to replica --------------------------------------------------------------------

struct ReadRequest {
  uint32_t bucket = 0;
  uint64_t token = 0;
  std::string key;
  bool digest_only = false;
  std::string idempotency_key;  // also look for the answer recorded under it
  // Number of a member for which the receiver stands in: what it keeps for that one is read. 0:
  // what it holds itself.
  uint64_t hint_for = 0;
  // Not zero, in serial buckets: also promise to accept nothing below this ballot (consensus).
  consensus::Ballot promise;
};
struct ReadReply {
  Outcome outcome;
  bool found = false;
  std::string object;    // causal::Object bytes; empty for digests and for absent keys
  base::Hash128 digest;  // of the object; zero for absent keys
  std::string idempotency_answer;
  consensus::Ballot promised;  // the promise that holds now; asked for if it is the one asked for
};

struct WriteRequest {
  uint32_t bucket = 0;
  uint64_t token = 0;
  std::string key;
  std::string object;           // the full state, to be joined with what is stored
  uint8_t durability = 1;       // membership::Durability
  bool repair = false;          // a write-back: counted apart
  std::string idempotency_key;  // stored with the object, in the same batch
  std::string idempotency_answer;
  uint64_t hint_for = 0;  // as in ReadRequest: kept for that member until it can be delivered
  // Not zero, in serial buckets: whoever accepts the object also promises this greater ballot.
  consensus::Ballot next;
};
struct WriteReply {
  Outcome outcome;
  // Of a register that was sent; with the stamp of the greater one that the replica holds.
  causal::Standing standing = causal::Standing::kHeld;
  causal::HlcStamp greater;
  // In serial buckets the promise that holds now; accepted if `standing` is kHeld.
  consensus::Ballot promised;
};

// --- node to node: a client's write handed to a replica ----------------------------------------

struct ForwardedWrite {
  std::string bucket;
  std::string key;
  causal::ClientWrite write;
  std::string idempotency_key;
  uint32_t w = 0;  // resolved by the sender
  uint32_t pw = 0;
  int64_t timeout_ms = 0;
  bool sloppy = false;
  bool majority = false;  // instead of w, of each list by its n
};
struct ForwardedWriteReply {
  Outcome outcome;
  std::map<std::string, uint64_t> version;
  std::string context;
  int64_t written_ms = 0;
  uint32_t primaries = 0;
  uint32_t fallbacks = 0;
  bool replayed = false;
  causal::Shown shown;  // what an operation has made of a value that merges
};

// --- cluster ------------------------------------------------------------------------------------

struct Heartbeat {
  int64_t wall_ms = 0;  // the sender's clock, for the skew metric
};
struct HeartbeatReply {
  int64_t wall_ms = 0;
};

// Bytes of a frame's payload, and of a message that comes in parts (parts.h), 0: none is taken;
// messages in one frame, 0: a frame of many is not taken.
struct Limits {
  uint32_t frame_bytes = 0;
  uint32_t message_bytes = 0;
  uint32_t frame_messages = 0;
};
// First message on a connection, both ways; framed before anything else is accepted.
struct Hello {
  uint32_t protocol = 0;  // greatest protocol version the sender speaks
  base::Uuid node;
  base::Uuid cluster;  // nil while the node belongs to none
  std::string name;
  std::string peer_address;  // where the sender can be reached
  uint32_t shard = 0;        // of the sender; for logs
  Limits limits;             // what the sender takes
  uint64_t run = 0;          // drawn at each start of the process; 0: a build that draws none
  Progress base;             // of the data directory with which that run began
  RunPhase phase = RunPhase::kStarting;
};
struct HelloReply {
  Outcome outcome;  // why the connection is refused
  uint32_t protocol = 0;
  base::Uuid node;
  base::Uuid cluster;
  std::string name;
  Limits limits;
  uint64_t run = 0;  // of the answering process
  RunPhase phase = RunPhase::kStarting;
  Progress base;   // as in Hello
  Progress known;  // the greatest that other runs of the asker have told
  // Another process with the asker's identity was heard of that long ago, at that address; empty:
  // none lately.
  std::string other_address;
  uint64_t other_age_ms = 0;
  bool takes_scans = false;  // builds before it end the connection at a ScanRequest
};

struct JoinRequest {
  std::string member;          // membership::Member bytes of the sender
  uint32_t expected = 0;       // first members as the sender knows them, itself included
  std::string replaces;        // name of a dead member whose place the sender takes; empty: none
  base::Uuid founder;          // the first member that the sender waits for; nil: it knows none
  base::Uuid cluster;          // that the sender is a member of; nil: none
  uint32_t feature_level = 0;  // membership/upgrade/feature_level.h; 0: a build that knows of none
};
struct JoinReply {
  Outcome outcome;          // kUnavailable: not yet, ask again
  std::string document;     // membership::Topology bytes once the sender is in it
  std::string ask_instead;  // peer address of the founder, if the asked node is not it
};
struct DocumentPush {
  std::string document;
};
struct DocumentReply {
  Outcome outcome;
  std::string document;  // the receiver's, if it is another one now
};
// Asks the founder of a young cluster to close its list of first members, before the first write.
struct SealRequest {};

// A step of consensus about the document that follows `base` (consensus/proposer_core.h).
struct RegisterRequest {
  bool accept = false;  // else prepare
  uint64_t epoch = 0;   // what is being decided
  std::string base;     // the decided document before it: whoever lacks it takes it first
  consensus::Ballot ballot;
  std::string value;  // accept: the document proposed
};
struct RegisterReply {
  Outcome outcome;
  bool ok = false;
  consensus::Ballot seen;      // the promise that holds now
  consensus::Ballot accepted;  // ok to prepare: of `value`; zero if nothing was accepted
  std::string value;
  std::string decided;  // the epoch was decided already: the receiver's newest document
};

// Gossip rounds (membership/gossip_core.h): SYN -> ACK as the reply, ACK2 -> an empty reply.
struct Gossip {
  std::string payload;
  bool is_ack2 = false;
};
struct GossipReply {
  std::string payload;
};

// How far a member is with the change under way. Asked by whoever drives it.
struct ProgressRequest {};
struct ProgressReply {
  Outcome outcome;
  uint64_t fence = 0;   // adopted by every shard of the node, durably
  uint64_t change = 0;  // whose streams the rest tells of; 0: none
  uint64_t ranges_done = 0;
  uint64_t ranges_total = 0;
  uint64_t bytes_done = 0;
  uint64_t keys_done = 0;
  std::string trouble;        // what it waits for, in words; empty if it goes on
  bool keeps_access = false;  // its build keeps membership::Topology::access
};

// --- range transfer -----------------------------------------------------------------------------

// Records of a bucket with a token in (from_token, to_token], in key order, after `after_key`.
// from_token == to_token is the whole ring.
struct RangePull {
  uint64_t change = 0;  // refused unless this change is in its streaming phase
  uint32_t bucket = 0;
  uint64_t from_token = 0;
  uint64_t to_token = 0;
  std::string after_key;  // storage key of the last record that the receiver holds durably; "": all
  uint32_t bytes_max = 0;
};
struct RangePage {
  struct Entry {
    std::string key;     // storage::DataKey
    std::string object;  // causal::Object bytes
  };
  Outcome outcome;
  std::vector<Entry> entries;
  std::string last_key;   // go on after this one; set even if all entries were skipped
  bool done = false;      // nothing is left after last_key
  uint64_t checksum = 0;  // PageChecksum of the entries
};
// --- pages of lists
// -------------------------------------------------------------------------------

// What of a record is wanted. All forms have its key and the digest of its object.
enum class ScanForm : uint8_t {
  kDigests = 0,  // nothing else
  kLive = 1,     // whether it shows a value
  kObjects = 2,  // its object
};
// The receiver's own records of a bucket from one position on and before another one, in order. A
// position is [token, 8 bytes big-endian][key]: what of storage::DataKey stands behind the bucket.
struct ScanRequest {
  uint32_t bucket = 0;
  std::string from, to;  // `to` "": to the end of the bucket
  uint32_t entries_max = 0;
  uint32_t bytes_max = 0;
  ScanForm form = ScanForm::kDigests;
};
struct ScanReply {
  struct Entry {
    std::string key;       // its position
    base::Hash128 digest;  // of the object; zero: it is there and cannot be read
    bool live = false;     // by the receiver's clock; of kLive
    std::string object;    // causal::Object bytes; of kObjects
  };
  Outcome outcome;
  std::vector<Entry> entries;  // tombstones too
  std::string next;            // what stands before this position was looked at; "": all up to `to`
};
// The keys that were asked for most at this node, as it counts them (telemetry/hot_keys.h).
struct HotRequest {
  uint32_t by = 0;  // telemetry::HotBy
  uint32_t limit = 0;
};
struct HotReply {
  struct Entry {
    std::string bucket;
    std::string key;
    double figure = 0;
  };
  Outcome outcome;
  std::vector<Entry> entries;
};
// In the place of any reply, to a request of which only the number is known. Only for whoever sent
// or takes parts.
struct Refused {
  Outcome outcome;
};

// Of every key and object, so that a page is known whole from the sender's disk to the receiver's.
uint64_t PageChecksum(const std::vector<RangePage::Entry>& entries);

using Body =
    std::variant<std::monostate, Hello, HelloReply, ReadRequest, ReadReply, WriteRequest,
                 WriteReply, ForwardedWrite, ForwardedWriteReply, Heartbeat, HeartbeatReply,
                 JoinRequest, JoinReply, DocumentPush, DocumentReply, SealRequest, RegisterRequest,
                 RegisterReply, Gossip, GossipReply, ProgressRequest, ProgressReply, RangePull,
                 RangePage, TreeRequest, TreeReply, LeafRequest, LeafReply, FetchRequest,
                 FetchReply, RecordPush, RecordPushReply, HintsRequest, HintsReply, SweepRequest,
                 SweepReply, Refused, ScanRequest, ScanReply, HotRequest, HotReply>;

struct Envelope {
  uint64_t id = 0;     // chosen by the asker, unique within its shard; a reply carries it back
  uint64_t epoch = 0;  // the fence of the topology that the request was made by
  Body body;
};

}  // namespace lariat::wire

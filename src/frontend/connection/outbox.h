// SPDX-License-Identifier: Apache-2.0
// The replies of one connection: a place for each request in work. Replies may be ready in any
// order and leave in that of the requests. What a read may bring counts before it is fetched, for
// this connection and for all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"
#include "env/stream.h"
#include "frontend/connection/clients.h"
#include "frontend/connection/places.h"

namespace lariat::frontend::connection {

struct Reply {
  size_t size() const { return head.size() + body.size(); }

  std::string head;   // with the body, if that is small
  std::string body;   // large values are moved here, so that they are not copied
  bool last = false;  // the connection ends with this reply
};

class Outbox {
 public:
  // Both must outlive it.
  Outbox(Clients& clients, env::Stream& stream, base::Instant now);

  bool Empty() const { return first_ == next_; }
  bool Full() const { return next_ - first_ >= clients_.limits.pipeline_max; }
  bool HasRoom() const;  // for one more request
  // What is held for this client, now or soon.
  uint64_t Held() const { return stream_.UnsentBytes() + ready_bytes_ + promised_; }
  size_t QueueOfRoom() const { return Held() == 0 ? Room::kFirst : Room::kMore; }
  bool AllSent() const { return Empty() && stream_.UnsentBytes() == 0; }

  // Requests have numbers from 0; first() is the oldest that waits for its reply.
  uint64_t first() const { return first_; }
  uint64_t next() const { return next_; }
  bool Waits(uint64_t number) const { return number >= first_ && number < next_; }
  uint64_t Push();  // Result: the new place's number. REQUIRES: !Full()

  // Counts what the reply to request `number` may have, `bytes` at most. False, and counted as
  // overload, if there is no room for it: the protocol says so in its reply. REQUIRES: Waits.
  bool Promise(uint64_t number, size_t bytes);
  // The reply's size is known. False, and counted, if it is so much larger than was expected that
  // it is not to be kept. REQUIRES: Waits.
  bool Redeem(uint64_t number, size_t size);
  void Put(uint64_t number, Reply reply);  // REQUIRES: Waits; once for each request
  // Writes what has its turn. True if it wrote the connection's last reply.
  bool Flush();
  // Text that is no reply, written when all replies before that of `number` have left, and not at
  // all if that reply comes first. One at a time; static.
  void SayBefore(uint64_t number, std::string_view text);
  void Unsay() { said_ = {}; }

  // Brings the room of all up to date.
  void Count();
  // Gives up what it counts in the room of all: the connection is gone.
  void Leave();
  // The client has taken nothing of what waits for it for too long. To be asked now and then.
  bool Stalled(base::Instant now);

 private:
  struct Slot {
    size_t promised = 0;  // most bytes that the reply may have, until it is there
    size_t expected = 0;  // likewise, in Room::fetching
    bool answered = false;
    Reply reply;
  };

  void Write(Reply reply);
  void SayIfDue();

  Clients& clients_;
  env::Stream& stream_;
  Places<Slot> slots_;
  uint64_t first_ = 0;
  uint64_t next_ = 0;
  std::string_view said_;
  uint64_t said_before_ = 0;

  size_t ready_bytes_ = 0;  // replies that wait for earlier ones
  size_t promised_ = 0;     // Slot::promised of all
  size_t fetching_ = 0;     // Slot::expected of all
  size_t counted_ = 0;      // in Room::waiting
  uint64_t written_ = 0;    // to the stream, ever
  uint64_t sent_ = 0;       // of it, at the last look
  base::Instant sent_some_at_;
};

}  // namespace lariat::frontend::connection

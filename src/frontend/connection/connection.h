// SPDX-License-Identifier: Apache-2.0
// One client connection without its protocol: when it reads and when it pauses, how long it waits
// and for what, how it ends; its replies leave in the order of the requests (Outbox). A protocol
// inherits it, reads requests from the bytes it is given, and answers each by a Turn. The network
// owns it; all calls come on the shard's thread. Deadlines are checked by the frontend's sweep, so
// no request sets a timer.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "env/stream.h"
#include "frontend/connection/outbox.h"
#include "frontend/connection/turn.h"

namespace lariat::frontend::connection {

// What the client is expected to send next.
enum class Awaiting : uint8_t {
  kRequest,  // nothing, or a new request
  kHead,     // the rest of what says what is asked for
  kBody,     // the rest of a request that has its place among the replies
};

class Connection : public env::StreamHandler {
 public:
  // Stands in clients->connections until it is destroyed. `stream` must outlive it.
  Connection(std::shared_ptr<Clients> clients, env::Stream& stream);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  size_t OnData(std::string_view bytes) final;
  void OnDrained() final;
  // A client that sent its last byte still gets its replies.
  bool KeepOpenAfterPeerClosed() final;
  void OnClosed(const std::string& reason) final;

  // For Turn. REQUIRES of Answer: Waits(number).
  void Answer(uint64_t number, Reply reply);
  bool Waits(uint64_t number) const { return outbox_.Waits(number); }

  // For the frontend.
  void CheckDeadlines(base::Instant now);
  // Nothing while anything is in work, half received or not sent.
  std::optional<base::Instant> IdleSince() const;
  void ListAs(base::Instant idle_since);  // its place in Clients::connections
  // At once, and without a word: it is idle, or the frontend ends. Nobody is answered any more.
  void CloseNow();
  // Closes as soon as nothing is in work.
  void Finish();
  // Goes on reading after a pause, if there is room for that.
  void OnRoom();

 protected:
  struct Progress {
    size_t used;  // of the bytes; the rest is given again, with what comes after it
    Awaiting awaiting = Awaiting::kRequest;
    size_t partial_bytes = 0;  // kept of a request that is half received
  };

  // Reads requests from `bytes` until they end, MayBegin says no (not asked inside a body), or
  // Reading does; begins and answers them, now or later.
  virtual Progress Read(std::string_view bytes) = 0;
  // The rest of a request did not arrive in time, or not before the client's last byte (the latter
  // of bodies only). To be refused, if that can be said, with StopReading.
  virtual void OnLate(Awaiting awaited) = 0;
  virtual void OnCutOff() = 0;
  // What is sent in the place of a reply that there is no room for (Outbox::Redeem).
  virtual Reply NoRoomFor(uint64_t number) = 0;

  bool Reading() const { return state_ == State::kOpen; }
  // Whether one more request may be read; after a no Read is called again when it may.
  bool MayBegin();
  // The same of a request that must not overlap those before it: when all of them are answered.
  bool MayBeginAlone();
  // Takes a place among the replies for the request that came at `now`. Result: its number.
  uint64_t Begin(base::Instant now);
  Turn TurnOf(uint64_t number) const { return {link_, number}; }
  // No further byte is read; the connection ends when all replies have left.
  void StopReading();
  Outbox& outbox() { return outbox_; }

 private:
  enum class State : uint8_t {
    kOpen,
    kLast,    // no further byte is read; replies still leave
    kClosed,  // the stream was told to close
  };

  size_t Consume(std::string_view bytes);
  void CountTotals();
  void LeaveTotals();
  void CloseAfterWrite();
  void FinishIfDone();

  const std::shared_ptr<Link> link_;  // co-owners: see Link
  Clients& clients_;
  std::multimap<base::Instant, Connection*>::iterator place_;
  env::Stream& stream_;
  Outbox outbox_;
  State state_ = State::kOpen;
  bool finish_ = false;
  bool consuming_ = false;
  bool paused_ = false;
  bool alone_ = false;        // paused until all are answered
  std::string held_;          // received, to be read after a pause; the network does not have it
  size_t partial_bytes_ = 0;  // in Room::partial

  base::Instant began_;  // the last request
  Awaiting awaiting_ = Awaiting::kRequest;
  uint64_t awaiting_number_ = 0;  // outbox_.next() at `awaiting_since_`
  base::Instant awaiting_since_;
};

}  // namespace lariat::frontend::connection

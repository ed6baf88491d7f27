// SPDX-License-Identifier: Apache-2.0
// One HTTP/1.1 connection: bytes in, requests to the services, replies out in the order of the
// requests. It holds at most http.pipeline_max requests and stops reading when these are in work
// or when the peer does not read its replies: what a read may bring counts before it is fetched,
// for this connection (http.output_bytes_max) and for all (http.output_total_bytes_max). Deadlines
// are checked by the frontend's sweep, so no request sets a timer.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "env/stream.h"
#include "frontend/http/internal/exchange.h"
#include "frontend/http/internal/parser.h"
#include "frontend/http/internal/pipeline.h"
#include "frontend/http/internal/routes.h"
#include "frontend/http/internal/shared.h"

namespace lariat::frontend::http {

class HttpConnection final : public env::StreamHandler {
 public:
  // Stands in shared->connections until it is destroyed. `stream` must outlive it.
  HttpConnection(const std::shared_ptr<Shared>& shared, env::Stream& stream);
  ~HttpConnection() override;

  size_t OnData(std::string_view bytes) override;
  void OnDrained() override;
  // A client that sent its last byte still gets its replies.
  bool KeepOpenAfterPeerClosed() override;
  void OnClosed(const std::string& reason) override;

  // For Exchange. REQUIRES of Answer: Waiting(number).
  Pending* Waiting(uint64_t number) { return pipeline_.At(number); }
  void Answer(uint64_t number, Reply reply);

  // For the frontend.
  void CheckDeadlines(base::Instant now);
  // Nothing while anything is in work, half received or not sent.
  std::optional<base::Instant> IdleSince() const;
  void ListAs(base::Instant idle_since);  // its place in shared->connections
  void CloseIdle();
  // Closes as soon as nothing is in work.
  void Finish();
  // Others hold less than before: a connection of Totals::queues[queue] may go on.
  void OnRoom(size_t queue);
  // The frontend ends: nothing of `shared` may be used any more.
  void Abandon();

 private:
  enum class State : uint8_t {
    kOpen,
    kLast,    // no further byte is read; replies still leave
    kClosed,  // the stream was told to close
  };
  // What the peer is expected to send next.
  enum class Awaiting : uint8_t { kRequest, kHead, kBody };

  bool Reading() const { return state_ == State::kOpen; }
  size_t Consume(std::string_view bytes);
  void ConsumeHeld();
  void OnEvent(RequestParser::Event event);
  void OnHead();
  void OnBodyTooLarge();
  void OnRequest();
  // Answers the request that is being read; the rest of its body is skipped.
  void RefuseEarly(const Refusal& refusal);
  // Says what went wrong, if it still can, and reads no more.
  void RefuseAndStop(const Refusal& refusal);

  void Flush();
  void Write(Reply reply);
  void SendContinueIfDue();
  void CloseAfterWrite();
  void FinishIfDone();
  uint64_t Held() const;
  bool HasRoom() const;
  // Counts what the reply to the request just read may have; false if there is no room for it.
  bool Promise(Pending& pending);
  // The reply is there. False if it is so much larger than was expected that there is no room.
  bool Redeem(Pending& pending, size_t size);
  void NoteTotals();
  void LeaveTotals();
  void WaitForOthers();
  void Pause();
  void ResumeIfRoom();
  void NoteAwaited();
  base::Duration TimeAllowed() const;
  void TimeOut();

  const std::shared_ptr<Link> link_;  // co-owners: see Link
  Shared& shared_;
  std::multimap<base::Instant, HttpConnection*>::iterator place_;
  env::Stream& stream_;
  RequestParser parser_;
  Pipeline pipeline_;
  State state_ = State::kOpen;
  bool finish_ = false;
  bool consuming_ = false;
  bool paused_ = false;
  std::string held_;        // received, to be read after a pause; the network does not have it
  size_t ready_bytes_ = 0;  // replies that wait for earlier ones
  size_t promised_ = 0;     // Pending::promised of all
  size_t fetching_ = 0;     // Pending::expected of all
  size_t counted_waiting_ = 0, counted_bodies_ = 0;  // in the totals
  std::array<bool, 2> queued_{};                     // in Totals::queues

  // The request that is being read.
  uint64_t number_ = 0;
  const Route* route_ = nullptr;
  base::Instant started_{};
  bool answered_early_ = false;
  bool continue_due_ = false;    // 100 Continue is sent when the replies before it have left
  bool may_be_sending_ = false;  // false: the client waits for 100 Continue

  Awaiting awaiting_ = Awaiting::kRequest;
  uint64_t requests_read_ = 0;
  uint64_t awaiting_request_ = 0;  // requests_read_ at `awaiting_since_`
  base::Instant awaiting_since_;
  uint64_t written_ = 0;  // to the stream, ever
  uint64_t sent_ = 0;     // of it, at the last sweep
  base::Instant sent_some_at_;
};

}  // namespace lariat::frontend::http

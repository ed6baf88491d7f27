// SPDX-License-Identifier: Apache-2.0
// One HTTP/1.1 connection: bytes in, requests to the services, replies out in the order of the
// requests. It holds at most http.pipeline_max requests and stops reading when these are in work
// or when the peer does not read its replies. Deadlines are checked by the frontend's sweep, so no
// request sets a timer.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
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
  void OnDrained() override { ResumeIfRoom(); }
  // A client that sent its last byte still gets its replies.
  bool KeepOpenAfterPeerClosed() override;
  void OnClosed(const std::string& reason) override;

  // For Exchange. REQUIRES of Answer: Waiting(number).
  Pending* Waiting(uint64_t number) { return pipeline_.At(number); }
  void Answer(uint64_t number, Reply reply);

  // For the frontend.
  void CheckDeadlines(base::Instant now);
  // Closes as soon as nothing is in work.
  void Finish();
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
  bool HasRoom() const;
  void Pause();
  void ResumeIfRoom();
  void NoteAwaited();
  base::Duration TimeAllowed() const;
  void TimeOut();

  const std::shared_ptr<Link> link_;  // co-owners: see Link
  Shared& shared_;
  const std::list<HttpConnection*>::iterator place_;
  env::Stream& stream_;
  RequestParser parser_;
  Pipeline pipeline_;
  State state_ = State::kOpen;
  bool finish_ = false;
  bool consuming_ = false;
  bool paused_ = false;
  std::string held_;        // received, to be read after a pause; the network does not have it
  size_t ready_bytes_ = 0;  // replies that wait for earlier ones

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
  size_t unsent_bytes_ = 0;  // at the last sweep
  base::Instant sent_some_at_;
};

}  // namespace lariat::frontend::http

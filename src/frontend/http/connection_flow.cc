// SPDX-License-Identifier: Apache-2.0
// When a connection reads, and how long it waits.
#include "frontend/http/internal/connection.h"

namespace lariat::frontend::http {

bool HttpConnection::HasRoom() const {
  return !pipeline_.Full() && stream_.UnsentBytes() + ready_bytes_ <=
                                  static_cast<size_t>(shared_.settings.http_output_bytes_max);
}

void HttpConnection::Pause() {
  paused_ = true;
  stream_.PauseReading();
}

void HttpConnection::ResumeIfRoom() {
  if (!paused_ || consuming_ || !HasRoom()) return;
  paused_ = false;
  ConsumeHeld();  // may pause again
  if (!paused_ && Reading()) stream_.ResumeReading();
}

void HttpConnection::NoteAwaited() {
  const Awaiting awaiting = parser_.in_body()   ? Awaiting::kBody
                            : parser_.in_head() ? Awaiting::kHead
                                                : Awaiting::kRequest;
  if (awaiting == awaiting_ && requests_read_ == awaiting_request_) return;
  awaiting_ = awaiting;
  awaiting_request_ = requests_read_;
  // A clock reading less for the usual request, which came in one piece.
  awaiting_since_ = awaiting == Awaiting::kHead ? shared_.env.clock.Now() : started_;
}

base::Duration HttpConnection::TimeAllowed() const {
  switch (awaiting_) {
    case Awaiting::kRequest:
      return base::Millis(shared_.settings.http_idle_timeout_ms);
    case Awaiting::kHead:
      return base::Millis(shared_.settings.http_header_timeout_ms);
    case Awaiting::kBody:
      return base::Millis(shared_.settings.http_body_timeout_ms);
  }
  return base::Duration::zero();
}

void HttpConnection::CheckDeadlines(base::Instant now) {
  const size_t unsent = stream_.UnsentBytes();
  if (unsent == 0 || unsent < unsent_bytes_) sent_some_at_ = now;
  unsent_bytes_ = unsent;
  if (now - sent_some_at_ > base::Millis(shared_.settings.http_idle_timeout_ms)) {
    state_ = State::kClosed;
    sent_some_at_ = now;
    return stream_.Close();  // the peer reads no replies
  }
  if (!Reading()) return;
  const bool ours = paused_ || (awaiting_ == Awaiting::kRequest && !pipeline_.Empty());
  if (ours) awaiting_since_ = now;
  if (now - awaiting_since_ > TimeAllowed()) TimeOut();
}

void HttpConnection::TimeOut() {
  if (awaiting_ == Awaiting::kRequest) return CloseAfterWrite();
  const bool head = awaiting_ == Awaiting::kHead;
  RefuseAndStop({408, "request_timeout",
                 head ? "the request's head did not arrive within http.header_timeout_ms"
                      : "the request's body did not arrive within http.body_timeout_ms"});
  FinishIfDone();
}

}  // namespace lariat::frontend::http

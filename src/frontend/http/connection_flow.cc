// SPDX-License-Identifier: Apache-2.0
// When a connection reads, and how long it waits.
//
// An example with http.output_total_bytes_max = 8, and replies of 1: four clients that do not read
// ask for ten values each. Each gets its first reply, as it holds nothing; then each may hold
// another as long as all of them hold less than half, 4. So 4 are held and the rest waits unread. A
// fifth client that reads is served one request at a time. Were there four more that do not read,
// they would use up the other half, and from then on reads get 503 at once instead of waiting for
// somebody who may never read. One limit without the half would be used up by the first two
// clients, and the others would wait for them.
#include <algorithm>
#include <memory>
#include <utility>

#include "frontend/http/internal/connection.h"

namespace lariat::frontend::http {

namespace {

// Of Totals::queues.
constexpr size_t kFirst = 0;  // connections that hold nothing for their clients
constexpr size_t kMore = 1;
constexpr uint64_t kFading = 256;  // replies after which Totals::expected has lost two thirds

uint64_t TotalMax(const Shared& shared) {
  return static_cast<uint64_t>(shared.settings.http_output_total_bytes_max);
}

// A shard that holds nothing takes one request, however large its reply may be.
bool Allow(const Shared& shared, size_t queue) {
  const Totals& totals = shared.totals;
  const uint64_t used = totals.waiting + totals.fetching;
  const uint64_t most = queue == kFirst ? TotalMax(shared) : TotalMax(shared) / 2;
  return used == 0 || used + totals.expected <= most;
}

// Of what clients do not take: it may be long until there is room.
bool IsFull(const Shared& shared) {
  return shared.totals.waiting + shared.totals.expected > TotalMax(shared) &&
         shared.totals.waiting > 0;
}

// Whoever holds nothing does not wait for what may never come: its requests are read to be refused.
bool MayGoOn(const Shared& shared, size_t queue) {
  return Allow(shared, queue) || (queue == kFirst && IsFull(shared));
}

void WakeWaiting(Shared& shared) {
  for (size_t i = 0; i < shared.totals.queues.size(); ++i) {
    auto& queue = shared.totals.queues[i];
    while (!queue.empty() && shared.alive && MayGoOn(shared, i)) {
      const std::shared_ptr<Link> link = std::move(queue.front());
      queue.pop_front();
      if (link->connection != nullptr) link->connection->OnRoom(i);
    }
  }
}

// Of every change. Others go on later, never from inside a call of this connection.
void TellTotals(const std::shared_ptr<Shared>& shared) {
  if (!shared->alive) return;
  Totals& totals = shared->totals;
  shared->metrics.http_output_bytes.Set(static_cast<int64_t>(totals.waiting + totals.fetching));
  const bool nobody = totals.queues[kFirst].empty() && totals.queues[kMore].empty();
  if (nobody || std::exchange(totals.wake_posted, true)) return;
  shared->env.executor.Post([shared] {
    shared->totals.wake_posted = false;
    WakeWaiting(*shared);
  });
}

}  // namespace

// What this connection holds for its client, now or soon.
uint64_t HttpConnection::Held() const { return stream_.UnsentBytes() + ready_bytes_ + promised_; }

bool HttpConnection::HasRoom() const {
  if (pipeline_.Full()) return false;
  const uint64_t held = Held();
  if (held == 0) return MayGoOn(shared_, kFirst);
  const auto most = static_cast<uint64_t>(shared_.settings.http_output_bytes_max);
  return held + shared_.kv.ValueBytesMax() <= most && Allow(shared_, kMore);
}

bool HttpConnection::Promise(Pending& pending) {
  if (IsFull(shared_)) {
    shared_.metrics.http_refused[telemetry::HttpRefusal::kOverloaded].Add();
    return false;
  }
  pending.promised = shared_.kv.ValueBytesMax();
  pending.expected = shared_.totals.expected;
  promised_ += pending.promised;
  fetching_ += pending.expected;
  shared_.totals.fetching += pending.expected;
  return true;
}

bool HttpConnection::Redeem(Pending& pending, size_t size) {
  if (pending.promised == 0) return true;
  promised_ -= std::exchange(pending.promised, 0);
  const size_t expected = std::exchange(pending.expected, 0);
  fetching_ -= expected;
  Totals& totals = shared_.totals;
  totals.fetching -= expected;
  totals.expected = std::max<uint64_t>(size, totals.expected - totals.expected / kFading);
  // Many at once were larger than all of late: what was not reckoned with is not kept either.
  if (size <= expected || totals.waiting == 0 || totals.waiting + size <= TotalMax(shared_)) {
    return true;
  }
  shared_.metrics.http_refused[telemetry::HttpRefusal::kOverloaded].Add();
  return false;
}

void HttpConnection::NoteTotals() {
  Totals& totals = shared_.totals;
  const size_t waiting = stream_.UnsentBytes() + ready_bytes_;
  totals.waiting += waiting - counted_waiting_;
  counted_waiting_ = waiting;
  const size_t bodies = parser_.in_body() ? parser_.request().body.size() : 0;
  totals.bodies += bodies - counted_bodies_;
  counted_bodies_ = bodies;
  TellTotals(link_->shared);
}

void HttpConnection::LeaveTotals() {
  Totals& totals = shared_.totals;
  totals.waiting -= std::exchange(counted_waiting_, 0);
  totals.bodies -= std::exchange(counted_bodies_, 0);
  totals.fetching -= std::exchange(fetching_, 0);
  TellTotals(link_->shared);
}

void HttpConnection::WaitForOthers() {
  const size_t queue = Held() == 0 ? kFirst : kMore;
  if (queued_[queue] || MayGoOn(shared_, queue)) return;
  queued_[queue] = true;
  shared_.totals.queues[queue].push_back(link_);
}

void HttpConnection::OnRoom(size_t queue) {
  queued_[queue] = false;
  ResumeIfRoom();
}

void HttpConnection::OnDrained() {
  NoteTotals();
  ResumeIfRoom();
}

void HttpConnection::Pause() {
  paused_ = true;
  stream_.PauseReading();
  if (pipeline_.Full()) return;
  shared_.metrics.http_output_waits.Add();
  WaitForOthers();
}

void HttpConnection::ResumeIfRoom() {
  if (!paused_ || consuming_) return;
  if (!HasRoom()) return WaitForOthers();
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
  NoteTotals();
  const size_t unsent = stream_.UnsentBytes();
  const uint64_t sent = written_ - unsent;
  if (unsent == 0 || sent != sent_) sent_some_at_ = now;
  sent_ = sent;
  if (now - sent_some_at_ > base::Millis(shared_.settings.http_write_stall_ms)) {
    shared_.metrics.http_stalled.Add();
    state_ = State::kClosed;
    sent_some_at_ = now;
    return stream_.Close();  // the peer reads no replies
  }
  if (!Reading()) return;
  const bool ours = paused_ || (awaiting_ == Awaiting::kRequest && !pipeline_.Empty());
  if (ours) awaiting_since_ = now;
  if (now - awaiting_since_ > TimeAllowed()) TimeOut();
}

std::optional<base::Instant> HttpConnection::IdleSince() const {
  const bool idle = Reading() && !paused_ && awaiting_ == Awaiting::kRequest && pipeline_.Empty() &&
                    stream_.UnsentBytes() == 0;
  return idle ? std::optional(awaiting_since_) : std::nullopt;
}

void HttpConnection::ListAs(base::Instant idle_since) {
  auto node = shared_.connections.extract(place_);
  node.key() = idle_since;
  place_ = shared_.connections.insert(std::move(node));
}

// At once: the descriptor is wanted now, and there is nothing left to send.
void HttpConnection::CloseIdle() {
  state_ = State::kClosed;
  stream_.Close();
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

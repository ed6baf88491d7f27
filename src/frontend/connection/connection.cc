// SPDX-License-Identifier: Apache-2.0
#include "frontend/connection/connection.h"

#include <utility>

#include "base/check.h"

namespace lariat::frontend::connection {
namespace {

base::Duration TimeAllowed(const Limits& limits, Awaiting awaiting) {
  switch (awaiting) {
    case Awaiting::kRequest:
      return limits.idle_timeout;
    case Awaiting::kHead:
      return limits.head_timeout;
    case Awaiting::kBody:
      return limits.body_timeout;
  }
  return base::Duration::zero();
}

void WakeWaiting(Clients& clients) {
  for (const size_t i : {Room::kFirst, Room::kMore}) {
    auto& queue = clients.room.queues[i];
    while (!queue.empty() && clients.alive && clients.room.MayGoOn(i)) {
      const std::shared_ptr<Link> link = std::move(queue.front());
      queue.pop_front();
      link->queued[i] = false;
      if (link->connection != nullptr) link->connection->OnRoom();
    }
  }
}

// Of every change. Others go on later, never from inside a call of this connection.
void TellRoom(const std::shared_ptr<Clients>& clients) {
  if (!clients->alive) return;
  Room& room = clients->room;
  clients->counters.output_bytes.Set(static_cast<int64_t>(room.waiting + room.fetching));
  if (!room.SomebodyWaits() || std::exchange(room.wake_posted, true)) return;
  clients->env.executor.Post([clients] {
    clients->room.wake_posted = false;
    WakeWaiting(*clients);
  });
}

}  // namespace

void Turn::Answer(Reply reply) const {
  if (link_->connection != nullptr) link_->connection->Answer(number_, std::move(reply));
}

Connection::Connection(std::shared_ptr<Clients> clients, env::Stream& stream)
    : link_(std::make_shared<Link>(Link{this, std::move(clients)})),
      clients_(*link_->clients),
      place_(clients_.connections.emplace(clients_.env.clock.Now(), this)),
      stream_(stream),
      outbox_(clients_, stream, place_->first),
      began_(place_->first),
      awaiting_since_(place_->first) {
  clients_.counters.connections.Add(1);
}

Connection::~Connection() {
  link_->connection = nullptr;
  clients_.connections.erase(place_);
  LeaveTotals();
  if (clients_.alive) clients_.counters.connections.Add(-1);
}

size_t Connection::OnData(std::string_view bytes) {
  if (!Reading()) return bytes.size();
  if (!held_.empty()) {
    held_ += bytes;
    held_.erase(0, Consume(held_));
    return bytes.size();
  }
  const size_t used = Consume(bytes);
  if (!paused_) return used;  // an incomplete request stays with the network
  // The rest may be complete, and then nothing need come that would bring it again.
  held_ = bytes.substr(used);
  return bytes.size();
}

size_t Connection::Consume(std::string_view bytes) {
  LARIAT_CHECK(!consuming_, "one piece is read after the other");
  consuming_ = true;
  const Progress progress = Read(bytes);
  consuming_ = false;
  clients_.room.partial += progress.partial_bytes - partial_bytes_;
  partial_bytes_ = progress.partial_bytes;
  if (progress.awaiting != awaiting_ || outbox_.next() != awaiting_number_) {
    awaiting_ = progress.awaiting;
    awaiting_number_ = outbox_.next();
    // A clock reading less for the usual request, which came in one piece.
    awaiting_since_ = awaiting_ == Awaiting::kHead ? clients_.env.clock.Now() : began_;
  }
  CountTotals();
  FinishIfDone();
  return Reading() ? progress.used : bytes.size();
}

bool Connection::MayBegin() {
  if (!Reading()) return false;
  if (!alone_ && outbox_.HasRoom()) return true;
  paused_ = true;
  stream_.PauseReading();
  if (!alone_ && !outbox_.Full()) {
    clients_.counters.output_waits.Add();
    clients_.room.Wait(link_, outbox_.QueueOfRoom());
  }
  return false;
}

bool Connection::MayBeginAlone() {
  alone_ = !outbox_.Empty();
  return MayBegin();
}

uint64_t Connection::Begin(base::Instant now) {
  began_ = now;
  return outbox_.Push();
}

void Connection::StopReading() {
  state_ = State::kLast;
  finish_ = true;
}

void Connection::Answer(uint64_t number, Reply reply) {
  if (!outbox_.Redeem(number, reply.size())) reply = NoRoomFor(number);
  outbox_.Put(number, std::move(reply));
  if (outbox_.Flush()) return CloseAfterWrite();
  CountTotals();
  OnRoom();
  FinishIfDone();
}

void Connection::CountTotals() {
  outbox_.Count();
  TellRoom(link_->clients);
}

void Connection::LeaveTotals() {
  outbox_.Leave();
  clients_.room.partial -= std::exchange(partial_bytes_, 0);
  TellRoom(link_->clients);
}

void Connection::OnDrained() {
  CountTotals();
  OnRoom();
}

void Connection::OnRoom() {
  if (!paused_ || consuming_ || (alone_ && !outbox_.Empty())) return;
  alone_ = false;
  if (!outbox_.HasRoom()) return clients_.room.Wait(link_, outbox_.QueueOfRoom());
  paused_ = false;
  if (!held_.empty()) held_.erase(0, Consume(held_));  // may pause again
  if (!paused_ && Reading()) stream_.ResumeReading();
}

void Connection::CheckDeadlines(base::Instant now) {
  CountTotals();
  if (outbox_.Stalled(now)) {
    clients_.counters.stalled.Add();
    state_ = State::kClosed;
    return stream_.Close();  // the peer reads no replies
  }
  if (!Reading()) return;
  const bool ours = paused_ || (awaiting_ == Awaiting::kRequest && !outbox_.Empty());
  if (ours) awaiting_since_ = now;
  if (now - awaiting_since_ <= TimeAllowed(clients_.limits, awaiting_)) return;
  if (awaiting_ == Awaiting::kRequest) return CloseAfterWrite();
  OnLate(awaiting_);
  FinishIfDone();
}

std::optional<base::Instant> Connection::IdleSince() const {
  const bool idle = Reading() && !paused_ && awaiting_ == Awaiting::kRequest && outbox_.AllSent();
  return idle ? std::optional(awaiting_since_) : std::nullopt;
}

void Connection::ListAs(base::Instant idle_since) {
  auto node = clients_.connections.extract(place_);
  node.key() = idle_since;
  place_ = clients_.connections.insert(std::move(node));
}

void Connection::CloseNow() {
  state_ = State::kClosed;
  paused_ = false;
  link_->connection = nullptr;
  stream_.Close();
}

void Connection::CloseAfterWrite() {
  state_ = State::kClosed;
  stream_.CloseAfterWrite();
}

void Connection::Finish() {
  finish_ = true;
  if (awaiting_ != Awaiting::kHead) FinishIfDone();
}

void Connection::FinishIfDone() {
  const bool busy = consuming_ || paused_ || !outbox_.Empty();
  if (finish_ && !busy && state_ != State::kClosed) CloseAfterWrite();
}

bool Connection::KeepOpenAfterPeerClosed() {
  finish_ = true;
  if (Reading() && awaiting_ == Awaiting::kBody) OnCutOff();
  FinishIfDone();
  return true;
}

void Connection::OnClosed(const std::string&) {
  state_ = State::kClosed;
  LeaveTotals();
  link_->connection = nullptr;
}

}  // namespace lariat::frontend::connection

// SPDX-License-Identifier: Apache-2.0
#include "frontend/connection/outbox.h"

#include <utility>

#include "base/check.h"

namespace lariat::frontend::connection {

Outbox::Outbox(Clients& clients, env::Stream& stream, base::Instant now)
    : clients_(clients), stream_(stream), sent_some_at_(now) {}

bool Outbox::HasRoom() const {
  if (Full()) return false;
  const uint64_t held = Held();
  if (held == 0) return clients_.room.MayGoOn(Room::kFirst);
  return held + clients_.reply_bytes_max <= clients_.limits.output_bytes_max &&
         clients_.room.Allows(Room::kMore);
}

uint64_t Outbox::Push() {
  LARIAT_CHECK(!Full(), "the pipeline is full");
  Slot& slot = slots_.Add(first_, next_);
  slot.promised = slot.expected = 0;
  slot.answered = false;
  return next_++;
}

bool Outbox::Promise(uint64_t number, size_t bytes) {
  if (clients_.room.IsFull()) {
    clients_.counters.overloaded.Add();
    return false;
  }
  Slot& slot = slots_.At(number);
  slot.promised = bytes;
  slot.expected = clients_.room.expected;
  promised_ += slot.promised;
  fetching_ += slot.expected;
  clients_.room.fetching += slot.expected;
  return true;
}

bool Outbox::Redeem(uint64_t number, size_t size) {
  Slot& slot = slots_.At(number);
  LARIAT_CHECK(!slot.answered, "a request is answered once");
  if (slot.promised == 0) return true;
  promised_ -= std::exchange(slot.promised, 0);
  const size_t expected = std::exchange(slot.expected, 0);
  fetching_ -= expected;
  if (clients_.room.Redeem(expected, size)) return true;
  clients_.counters.overloaded.Add();
  return false;
}

void Outbox::Put(uint64_t number, Reply reply) {
  Slot& slot = slots_.At(number);
  slot.reply = std::move(reply);
  slot.answered = true;
  ready_bytes_ += slot.reply.size();
}

bool Outbox::Flush() {
  while (!Empty() && slots_.At(first_).answered) {
    Reply& reply = slots_.At(first_++).reply;
    const bool last = reply.last;
    Write(std::move(reply));
    if (last) return true;
  }
  SayIfDue();
  return false;
}

void Outbox::Write(Reply reply) {
  ready_bytes_ -= reply.size();
  written_ += reply.size();
  stream_.Write(std::move(reply.head));
  if (!reply.body.empty()) stream_.Write(std::move(reply.body));
}

void Outbox::SayBefore(uint64_t number, std::string_view text) {
  said_ = text;
  said_before_ = number;
  SayIfDue();
}

void Outbox::SayIfDue() {
  if (said_.empty() || said_before_ != first_ || Empty()) return;
  written_ += said_.size();
  stream_.Write(std::exchange(said_, {}));
}

void Outbox::Count() {
  const size_t waiting = stream_.UnsentBytes() + ready_bytes_;
  clients_.room.waiting += waiting - counted_;
  counted_ = waiting;
}

void Outbox::Leave() {
  clients_.room.waiting -= std::exchange(counted_, 0);
  clients_.room.fetching -= std::exchange(fetching_, 0);
}

bool Outbox::Stalled(base::Instant now) {
  const size_t unsent = stream_.UnsentBytes();
  const uint64_t sent = written_ - unsent;
  if (unsent == 0 || sent != sent_) sent_some_at_ = now;
  sent_ = sent;
  if (now - sent_some_at_ <= clients_.limits.write_stall_max) return false;
  sent_some_at_ = now;
  return true;
}

}  // namespace lariat::frontend::connection

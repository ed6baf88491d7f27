// SPDX-License-Identifier: Apache-2.0
#include "peers/calls.h"

#include <algorithm>
#include <utility>

namespace lariat::peers {

using base::Code;
using base::Fail;

uint64_t Calls::Add(PeerHandle peer, base::Instant due, Done done) {
  const uint64_t id = next_id_++;
  calls_.emplace(id, Call{peer, std::move(done)});
  deadlines_.Add(due, id);
  return id;
}

Calls::Done Calls::Withdraw(uint64_t id) {
  auto call = calls_.extract(id);
  return call.empty() ? Done() : std::move(call.mapped().done);
}

bool Calls::Resolve(uint64_t id, wire::Body body) {
  auto call = calls_.extract(id);
  if (call.empty()) return false;
  call.mapped().done(std::move(body));
  return true;
}

void Calls::Refuse(uint64_t id, base::Error why) {
  if (Done done = Withdraw(id)) done(Fail(std::move(why)));
}

void Calls::Expire(base::Instant now) {
  deadlines_.Expire(now, [this](uint64_t id) {
    auto call = calls_.extract(id);
    if (!call.empty())
      call.mapped().done(Fail(Code::kTimeout, "the replica did not answer in time"));
  });
}

void Calls::OnPeerDown(PeerHandle peer, const base::Error& why) {
  std::vector<uint64_t> ids;
  for (const auto& [id, call] : calls_) {
    if (call.peer == peer) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());  // an order that does not hang on the hash table
  for (const uint64_t id : ids) {
    auto call = calls_.extract(id);
    if (call.empty()) continue;  // an earlier callback has ended it
    call.mapped().done(Fail(Code::kTimeout, "the connection was lost: " + why.message));
  }
}

}  // namespace lariat::peers

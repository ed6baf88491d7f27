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
  const auto call = calls_.find(id);
  if (call == calls_.end()) return {};
  Done done = std::move(call->second.done);
  calls_.erase(call);
  return done;
}

bool Calls::Resolve(uint64_t id, wire::Body&& body) {
  Done done = Withdraw(id);
  if (!done) return false;
  done(std::move(body));
  return true;
}

void Calls::Refuse(uint64_t id, base::Error why) {
  if (Done done = Withdraw(id)) done(Fail(std::move(why)));
}

void Calls::Expire(base::Instant now) {
  deadlines_.Expire(now, [this](uint64_t id) {
    Refuse(id, {Code::kTimeout, "the replica did not answer in time"});
  });
}

void Calls::OnPeerDown(PeerHandle peer, const base::Error& why) {
  std::vector<uint64_t> ids;
  for (const auto& [id, call] : calls_) {
    if (call.peer == peer) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());  // an order that does not hang on the hash table
  for (const uint64_t id : ids) {
    // An earlier callback may have ended it.
    Refuse(id, {Code::kTimeout, "the connection was lost: " + why.message});
  }
}

}  // namespace lariat::peers

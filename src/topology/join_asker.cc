// SPDX-License-Identifier: Apache-2.0
#include "topology/join_asker.h"

#include <utility>

namespace lariat::topology {
namespace {

// Members may have to agree first, which takes some seconds where one of them does not vote:
// whoever hangs up before that never hears why.
constexpr base::Duration kJoinTimeout = base::Seconds(10);
constexpr base::Duration kAskSilentAgain = base::Seconds(2);
constexpr base::Duration kFlushAgain = base::Seconds(1);

}  // namespace

void JoinAsker::KeepIdentity() {
  engine_.Flush(storage::Space::kMeta, &home_.queue(), [this](const base::Status& status) {
    durable_identity_ = status.has_value();
    if (durable_identity_ || engine_.health() == storage::Health::kDead) return;
    home_.env().timers.After(kFlushAgain, [this] { KeepIdentity(); });
  });
}

void JoinAsker::Ask(const std::string& address, wire::JoinRequest request, OnReply on_reply) {
  const peers::PeerHandle peer = home_.peers().PeerAt(address);
  const base::Instant now = home_.env().clock.Now();
  const auto silent = asked_.find(address);
  const bool waits = silent != asked_.end() && now - silent->second < kAskSilentAgain;
  if (!durable_identity_ || waits) return;
  asked_[address] = now;
  home_.peers().Call(
      peer, std::move(request), kJoinTimeout,
      [this, address, on_reply = std::move(on_reply)](base::Result<wire::Body> reply) mutable {
        asked_.erase(address);
        on_reply(reply);
      });
}

}  // namespace lariat::topology

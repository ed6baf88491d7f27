// SPDX-License-Identifier: Apache-2.0
#include "node/topology/last_word.h"

#include <algorithm>
#include <variant>

namespace lariat::node {

namespace {

constexpr base::Duration kTimeout = base::Seconds(2);
constexpr base::Duration kAgainMax = base::Seconds(60);

}  // namespace

void LastWord::Tell(const membership::Topology& decided) {
  if (!document_.empty() || !home_.view()) return;
  document_ = membership::EncodeTopology(decided);
  for (const membership::Member& member : decided.members) waiting_.insert(member.id);
  TellThoseThatWait();
}

void LastWord::TellThoseThatWait() {
  const std::set<base::Uuid> now = waiting_;  // a call may fail before it returns
  for (const base::Uuid& id : now) {
    const auto peer = home_.PeerOf(id);
    if (!peer) continue;
    home_.Call(*peer, wire::DocumentPush{document_}, kTimeout,
               [this, id](const base::Result<wire::Body>& body) {
                 const auto* reply = body ? std::get_if<wire::DocumentReply>(&*body) : nullptr;
                 if (reply != nullptr && reply->outcome.ok()) waiting_.erase(id);
               });
  }
  home_.env().timers.After(again_, [this] {
    again_ = std::min<base::Duration>(again_ * 2, kAgainMax);
    if (!waiting_.empty()) TellThoseThatWait();
  });
}

}  // namespace lariat::node

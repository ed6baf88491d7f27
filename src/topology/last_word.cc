// SPDX-License-Identifier: Apache-2.0
#include "topology/last_word.h"

#include <algorithm>
#include <variant>

namespace lariat::topology {

namespace {

constexpr base::Duration kTimeout = base::Seconds(2);
constexpr base::Duration kAgainMax = base::Seconds(60);

}  // namespace

void LastWord::Tell(const membership::Topology& decided) {
  if (!document_.empty()) return;
  document_ = membership::EncodeTopology(decided);
  for (const membership::Member& member : decided.members) {
    if (member.id != home_.self().id) waiting_.insert(member.peer);
  }
  for (const std::string& address : list_) {
    if (address != home_.self().address) waiting_.insert(address);
  }
  TellThoseThatWait();
}

void LastWord::TellThoseThatWait() {
  const std::set<std::string> now = waiting_;  // a call may fail before it returns
  for (const std::string& address : now) {
    home_.peers().Call(home_.peers().PeerAt(address), wire::DocumentPush{document_}, kTimeout,
                       [this, address](const base::Result<wire::Body>& body) {
                         const auto* reply =
                             body ? std::get_if<wire::DocumentReply>(&*body) : nullptr;
                         if (reply != nullptr && reply->outcome.ok()) waiting_.erase(address);
                       });
  }
  home_.env().timers.After(again_, [this] {
    again_ = std::min<base::Duration>(again_ * 2, kAgainMax);
    if (!waiting_.empty()) TellThoseThatWait();
  });
}

}  // namespace lariat::topology

// SPDX-License-Identifier: Apache-2.0
// Asks others to take this node into their cluster: nobody before its identity is where neither a
// loss of power nor a cut of the log can take it from (they would refuse the same name under
// another one for ever), and nobody again who has not answered yet.
//
// Lives on shard 0 and is called on its thread only.
#pragma once

#include <map>
#include <string>

#include "peers/home.h"
#include "storage/engine.h"

namespace lariat::topology {

class JoinAsker {
 public:
  JoinAsker(peers::Home& home, storage::Engine& engine) : home_(home), engine_(engine) {}
  void KeepIdentity();  // once
  // Does nothing while it is too early. To be called again and again.
  using OnReply = base::UniqueFunction<void(const base::Result<wire::Body>&)>;
  void Ask(const std::string& address, wire::JoinRequest request, OnReply on_reply);

 private:
  peers::Home& home_;
  storage::Engine& engine_;
  bool durable_identity_ = false;
  std::map<std::string, base::Instant> asked_;  // when, by address; answered ones are not in it
};

}  // namespace lariat::topology

// SPDX-License-Identifier: Apache-2.0
// Whether a single request can be served by the members that a shard reaches: for people, while a
// cluster comes up. A value; the shard's thread.
#pragma once

#include <string>

#include "peers/peers.h"

namespace lariat::peers {

class Service {
 public:
  // Whenever members came, or are alive again.
  void Look(const Peers& peers);
  // Why not a single one can be served. Once there was one it stays empty.
  std::string WhyNot(const Peers& peers) const;

 private:
  bool has_served_ = false;
};

}  // namespace lariat::peers

// SPDX-License-Identifier: Apache-2.0
// A decision that was completed here and takes this node out: perhaps nobody else knows of it, and
// nobody asks a node that is out. So it tells the members, each until it has answered: at first
// every second, then ever more rarely, since some may be gone for good.
//
// Lives on shard 0 and is called on its thread only.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "membership/topology.h"
#include "peers/home.h"

namespace lariat::topology {

class LastWord {
 public:
  // `list`: where members may be beside where they were.
  LastWord(peers::Home& home, std::vector<std::string> list)
      : home_(home), list_(std::move(list)) {}
  void Tell(const membership::Topology& decided);  // the first one counts

 private:
  void TellThoseThatWait();

  peers::Home& home_;
  const std::vector<std::string> list_;
  std::string document_;           // empty: there is none yet
  std::set<std::string> waiting_;  // addresses
  base::Duration again_ = base::Seconds(1);
};

}  // namespace lariat::topology

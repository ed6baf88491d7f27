// SPDX-License-Identifier: Apache-2.0
// How a formed cluster changes: every function takes the decided document and gives the next one,
// or says why not. Consensus (consensus/README.md) makes one of the proposals for an epoch the
// decided one, so at most one change runs and a proposal never builds on what was overtaken.
//
//   queued -> prepare -> stream -> switch -> done          writes: old | both | both | both | new
//                 \         \         \                     reads:  old | old  | old  | new  | new
//                  +---------+- drop   +-> undo -> drop
//
// Between two steps everybody who holds data has to know the earlier one (the fence): then
// requests of at most two neighbouring steps meet, and any two neighbours share a list in which
// both have their quorum. `old only` and `read new` are no neighbours, hence prepare and undo.
// The write-both rule is that of joint consensus (Ongaro and Ousterhout, USENIX ATC 2014, section
// 6) applied to quorums of data; Cassandra's tickets named in docs/operations.md show what its
// absence costs.
//
// Pure. Nothing returned (an empty optional) means that there is nothing to do.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "membership/topology.h"
#include "membership/upgrade/feature_level.h"

namespace lariat::membership {

using Next = base::Result<std::optional<Topology>>;
using IsAlive = std::function<bool(const base::Uuid&)>;

struct Asked {
  base::WallTime now;
  IsAlive alive;  // as the node that was asked sees it
  // Whether it may have lost records, as it says itself; nothing: nobody may have.
  std::function<bool(const base::Uuid&)> in_doubt = nullptr;
  LevelsTold level = nullptr;
};

// Takes a newcomer in (it joins when its turn comes), or one that takes the place of the dead
// member named `replaces` (empty: none). If that one died before its own join or replacement was
// done, the newcomer joins, or replaces, in its stead. Nothing if it is a member already.
Next AskToJoin(const Topology& now, Member newcomer, const std::string& replaces,
               const Asked& asked);
// kLeave, kRemove, kReweight, kReplication; `change.node` and what the kind needs are set. Nothing
// if the same was asked before and has not ended; number it with TicketOf.
Next AskForChange(const Topology& now, Change change, const Asked& asked);
// The number of the change of this kind about this node or bucket that has not ended; 0: none.
uint64_t TicketOf(const Topology& topology, ChangeKind kind, const base::Uuid& node,
                  const std::string& bucket);
Next CommitStaged(const Topology& now);  // kNotFound if nothing is staged
// Number 0: what is staged, or else the running change. kNotFound if there is none.
Next CancelChange(const Topology& now, uint64_t number, base::WallTime when);
// Creates or changes a bucket. A change of n of an existing one is a kReplication change beside it.
Next SetBucket(const Topology& now, BucketProperties bucket, const Asked& asked);
// The bucket is gone with this document, which is a fence of its own: what was planned by an
// earlier one is refused. A waiting change of its n is dropped. kConflict: it is "default", or its
// n is about to change.
Next DeleteBucket(const Topology& now, const std::string& name, const Asked& asked);

}  // namespace lariat::membership

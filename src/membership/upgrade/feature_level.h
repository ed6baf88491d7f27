// SPDX-License-Identifier: Apache-2.0
// What all members of a cluster understand, while some of them may be of an older build.
//
//   level   since it
//     0     builds that know of no levels
//     1     buckets are deleted; buckets whose values merge, and serial ones
//
// Each build has a level, and each member tells its own in gossip. The level of the cluster is in
// the topology document. It decides what may be stored or agreed on: as long as it is low, every
// build of that level can take the place of a newer one. A new cluster begins with the lowest level
// of its first members; afterwards an operator raises it, when all members are of the new build and
// none is to go back (FinalizeUpgrade). Then older builds refuse the document, and start no more.
//
// A feature that older builds would not understand asks RequireLevel before it is agreed on. New
// features of the same build share a level: raise kFeatureLevel once between two releases.
//
// Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "membership/topology.h"

namespace lariat::membership {

// The level that a member tells; nothing: it has not been heard of. Null: nobody has been.
using LevelsTold = std::function<std::optional<uint32_t>(const base::Uuid&)>;

// kConflict unless the cluster has the level: with the names of the members to upgrade, or that
// the upgrade is to be finalized. `what` needs it: a phrase for people ("deleting a bucket").
base::Status RequireLevel(const Topology& now, uint32_t needed, std::string_view what,
                          const LevelsTold& told);
// The level that such a bucket needs; asked when one is created or changed.
uint32_t LevelOf(const BucketProperties& bucket);
// Raises the cluster's level to that of the lowest member. kConflict: a member is older than this
// build, or has not been heard of; or a change is under way. Nothing if it is raised already.
base::Result<std::optional<Topology>> FinalizeUpgrade(const Topology& now, const LevelsTold& told);
// What keeps the cluster from this build's level, in words; empty: it has it.
std::string WhyNotFinalized(const Topology& now, const LevelsTold& told);

}  // namespace lariat::membership

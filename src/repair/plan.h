// SPDX-License-Identifier: Apache-2.0
// From the topology document to the plans of this folder. Pure.
#pragma once

#include <cstdint>
#include <set>
#include <tuple>

#include "membership/topology.h"
#include "repair/cleaner_core.h"
#include "repair/stream.h"

namespace lariat::repair {

// What the node of the view has to fetch for the operation under way. Nodes that the operation
// takes out because they are dead are no sources. REQUIRES: an operation.
TransferPlan PlanTransfer(const membership::View& view);

// What others may copy of the node of the view although it may have lost records: the ranges that
// they copy from all other holders too. Number of the receiver, bucket, range of its stream.
// REQUIRES: an operation.
using InDoubtPlan = std::set<std::tuple<uint64_t, uint32_t, ring::TokenRange>>;
InDoubtPlan PlanInDoubt(const membership::View& view);

// What the node of the view may remove. REQUIRES: no operation.
CleanerPlan PlanCleaner(const membership::View& view);

}  // namespace lariat::repair

// SPDX-License-Identifier: Apache-2.0
// Which ranges a node sweeps: those that it is the first replica of. Of the others that it holds it
// counts what waits, in place of first replicas that are away. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "membership/topology.h"
#include "ring/diff.h"

namespace lariat::repair {

struct SweepPlan {
  uint64_t fence = 0;
  uint64_t self = 0;
  std::vector<uint64_t> members;  // numbers of all that hold data, this node included
  struct Item {
    uint32_t bucket = 0;
    uint64_t gc_grace_s = 0;
    ring::TokenRange range;          // does not go over zero
    std::vector<uint64_t> replicas;  // numbers, ascending
    std::vector<uint64_t> before;    // those in front of this node; none: it sweeps
  };
  std::vector<Item> items;  // those of a bucket follow each other
};

// REQUIRES: no operation.
SweepPlan PlanSweep(const membership::View& view);

}  // namespace lariat::repair

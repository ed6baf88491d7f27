// SPDX-License-Identifier: Apache-2.0
// From the topology to what is compared with whom. Pure.
#pragma once

#include <map>
#include <vector>

#include "membership/topology.h"
#include "repair/exchange/ranges.h"
#include "wire/messages.h"

namespace lariat::repair {

// Ranges with the same replicas, this node among them.
struct ReplicaSet {
  uint32_t bucket = 0;
  std::vector<uint64_t> partners;  // member numbers, ascending, without this node
  std::vector<wire::TokenSpan> ranges;
};

struct ExchangeMap {
  // What both hold, in the order of tokens, adjacent ranges as one, none over zero. Until a change
  // switches, that is what they hold without it; from then on nothing is compared before it ends.
  std::map<ExchangePair, std::vector<wire::TokenSpan>> pairs;
  std::vector<ReplicaSet> sets;  // by bucket and first range
  HeldRanges held;               // what others may ask for; during a change what is gained too
};
ExchangeMap MapOf(const membership::View& view);

}  // namespace lariat::repair

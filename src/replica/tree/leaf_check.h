// SPDX-License-Identifier: Apache-2.0
// What reading all records of a leaf again has shown.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "replica/tree/upkeep.h"

namespace lariat::replica {

struct DamagedRecord {
  std::string data_key;
  std::string bytes;  // as they are stored
};

struct LeafCheck {
  // kUnchecked: the sum is not known yet, or a record could not be read.
  TreeUpkeep::Settled sums = TreeUpkeep::Settled::kMatched;
  uint64_t records = 0;  // that could be read
  uint64_t bytes = 0;    // of keys and stored records, damaged ones too
  std::vector<DamagedRecord> damaged;
};

}  // namespace lariat::replica

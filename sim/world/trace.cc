// SPDX-License-Identifier: Apache-2.0
#include "sim/world/trace.h"

namespace lariat::sim {

void Trace::Mix(base::Instant at, int machine, std::string_view kind, std::string_view bytes) {
  struct Fields {
    int64_t at;
    uint64_t machine;
    uint64_t kind;
    uint64_t bytes;
  };
  const Fields fields{at.time_since_epoch().count(), static_cast<uint64_t>(machine),
                      base::Hash64(kind), base::Hash64(bytes)};
  hash_ = base::Hash64({reinterpret_cast<const char*>(&fields), sizeof(fields)}, hash_);
}

}  // namespace lariat::sim

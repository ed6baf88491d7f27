// SPDX-License-Identifier: Apache-2.0
// What consistency one request asks for, worked out from its headers, its bucket and n. Pure.
#pragma once

#include <algorithm>

#include "coordinator/kv_service.h"

namespace lariat::coordinator {

struct Quorum {
  uint32_t needed = 0;     // r or w: replicas that have to answer
  uint32_t primaries = 0;  // pr or pw: of those, primaries
  int64_t timeout_ms = 0;
  Level level = Level::kBucketDefault;  // where `needed` comes from; kBucketDefault: a number
  bool sloppy = false;                  // other nodes may stand in for replicas that are down
  // Replicas, or in a sloppy quorum fallbacks too, that have to be alive. Primaries are the only
  // replicas of a strict quorum.
  uint32_t MinimumAlive() const { return std::max(needed, primaries); }
  // The same demand of a list of n replicas, where that is not the bucket's present n: a level is
  // worked out for it, a number stays as far as it can be met.
  uint32_t NeededOf(uint32_t n) const;
  uint32_t PrimariesOf(uint32_t n) const { return std::min(primaries, n); }
};

inline constexpr int64_t kTimeoutMsMax = 600000;

// kInvalidArgument for what can never be met: r=4 with n=3, ANY on a read, SERIAL.
base::Result<Quorum> ReadQuorum(const Consistency& asked,
                                const membership::BucketProperties& bucket,
                                int64_t default_timeout_ms);
base::Result<Quorum> WriteQuorum(const Consistency& asked,
                                 const membership::BucketProperties& bucket,
                                 int64_t default_timeout_ms);

}  // namespace lariat::coordinator

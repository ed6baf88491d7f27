// SPDX-License-Identifier: Apache-2.0
// What consistency one request asks for, worked out from its headers, its bucket and n. Pure.
#pragma once

#include <algorithm>

#include "coordinator/kv_service.h"

namespace lariat::coordinator {

struct Quorum {
  uint32_t needed = 0;     // r or w: replicas of the bucket's n that have to answer
  uint32_t primaries = 0;  // pr or pw: of those, primaries
  int64_t timeout_ms = 0;
  // Where `needed` comes from; kBucketDefault: a number. A majority by the bucket is kQuorum.
  Level level = Level::kBucketDefault;
  bool sloppy = false;  // other nodes may stand in for replicas that are down
  // Of the read list, which has not the bucket's n while that changes: replicas, or in a sloppy
  // quorum fallbacks too, that have to be alive and to answer. A level is worked out for the list;
  // a number is what was asked for, and perhaps cannot be had.
  uint32_t NeededOf(uint32_t n) const;
  // Of another list: as much as it has.
  uint32_t NeededOfOther(uint32_t n) const { return std::min(NeededOf(n), n); }
  uint32_t PrimariesOf(uint32_t n) const { return std::min(primaries, n); }
};

inline constexpr int64_t kTimeoutMsMax = 600000;

// kInvalidArgument for what can never be met: r=4 with n=3, ANY on a read, SERIAL.
// Numbers may be as large as the bucket's n or `other_n`, that of the other list.
base::Result<Quorum> ReadQuorum(const Consistency& asked,
                                const membership::BucketProperties& bucket,
                                int64_t default_timeout_ms, uint32_t other_n = 0);
base::Result<Quorum> WriteQuorum(const Consistency& asked,
                                 const membership::BucketProperties& bucket,
                                 int64_t default_timeout_ms, uint32_t other_n = 0);

}  // namespace lariat::coordinator

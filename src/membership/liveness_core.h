// SPDX-License-Identifier: Apache-2.0
// Which peers answer, as one shard sees it. A peer is alive while it answered something within the
// limit: only replies count, since they prove both directions of the link. Pure; time is an
// argument. The seam for the phi-accrual detector: it will give the same answers from better
// evidence.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "base/time.h"

namespace lariat::membership {

class LivenessCore {
 public:
  explicit LivenessCore(base::Duration dead_after) : dead_after_(dead_after) {}

  void OnReply(uint64_t node, base::Instant now) { last_reply_[node] = now; }
  // The connection broke: not alive until it answers again.
  void OnDisconnected(uint64_t node) { last_reply_.erase(node); }
  bool IsAlive(uint64_t node, base::Instant now) const {
    const auto found = last_reply_.find(node);
    return found != last_reply_.end() && now - found->second < dead_after_;
  }

 private:
  base::Duration dead_after_;
  std::unordered_map<uint64_t, base::Instant> last_reply_;
};

}  // namespace lariat::membership

// SPDX-License-Identifier: Apache-2.0
// What a client has set for its connection. A value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "frontend/resp/internal/reply.h"

namespace lariat::frontend::resp {

inline constexpr uint32_t kDatabases = 16;

inline std::string BucketOf(uint32_t database) { return "redis-" + std::to_string(database); }

struct Session {
  void Select(uint32_t number) {
    database = number;
    bucket = BucketOf(number);
    bucket_hash = base::Hash64(bucket);
  }

  Protocol protocol = Protocol::kResp2;
  uint32_t database = 0;
  std::string bucket = BucketOf(0);
  uint64_t bucket_hash = base::Hash64(bucket);
  std::string name, library, library_version;
  std::optional<int64_t> r, w;  // LARIAT.CONSISTENCY
  uint32_t last_acks = 0;       // replicas that had the last write when it was answered
};

}  // namespace lariat::frontend::resp

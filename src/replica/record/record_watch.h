// SPDX-License-Identifier: Apache-2.0
// Looks at how large single records become: refuses writes that would make one too large, and says
// when a key has many concurrent values. A shard's thread.
#pragma once

#include <cstddef>
#include <limits>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace lariat::replica {

struct RecordLimits {
  size_t object_bytes = std::numeric_limits<size_t>::max();
  size_t siblings_warn = std::numeric_limits<size_t>::max();
};

class RecordWatch {
 public:
  RecordWatch(telemetry::Metrics& metrics, telemetry::LogSink& log)
      : metrics_(metrics), log_(log) {}
  void SetLimits(const RecordLimits& limits) { limits_ = limits; }

  // A client's write would make `after` bytes of the key's `before`. kObjectTooLarge: refused. One
  // that makes less of a key that is too large is a step in the right direction, and what nodes
  // took at the same time may add up to more than the limit: joins are not asked about.
  base::Status CheckSize(size_t before, size_t after);
  // The key has `after` concurrent values, and had `before`. Each of these writes is counted; a
  // line in the log comes once in a while.
  void OnValues(std::string_view data_key, size_t before, size_t after, base::WallTime now);

 private:
  telemetry::Metrics& metrics_;
  telemetry::LogSink& log_;
  RecordLimits limits_;
  base::WallTime said_{};
  size_t unsaid_ = 0;  // writes since then
};

}  // namespace lariat::replica

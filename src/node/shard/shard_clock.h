// SPDX-License-Identifier: Apache-2.0
// The hybrid clock of a shard, and its durable limit: no stamp is given out that a restart could
// give out again, and none far ahead of the time, which the others would refuse. The shard's
// thread.
#pragma once

#include <vector>

#include "base/result.h"
#include "base/unique_function.h"
#include "causal/hlc.h"
#include "config/settings.h"
#include "peers/judged_clock.h"
#include "replica/clock.h"
#include "storage/engine.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace lariat::node {

class ShardClock {
 public:
  // All outlive this. `settings`: as they are at each time.
  struct World {
    const peers::JudgedClock& judged;
    const config::Settings& settings;
    storage::Engine& engine;
    storage::CompletionQueue& queue;
    telemetry::Metrics& metrics;
    telemetry::LogSink& log;
  };
  // `floor`: above what any shard of an earlier run has given out (ClockFloor).
  ShardClock(uint32_t shard, const World& world, causal::HlcStamp floor);

  replica::Clock& hybrid() { return clock_; }
  const peers::JudgedClock& judged() const { return world_.judged; }
  // Every few milliseconds: takes the clock back that is far ahead of the time.
  void Mind();
  // Whether a stamp may be made at once; in any case the limit is extended when it comes near.
  bool IsReady();
  // Calls back when a stamp may be made, or with the reason why not.
  using Use = base::UniqueFunction<void(base::Status)>;
  void With(Use use);

 private:
  int64_t LimitWantedMs() const;
  void Extend();

  uint32_t shard_;
  World world_;
  replica::Clock clock_;
  std::vector<Use> waiters_;
  bool extending_ = false;
};

inline constexpr uint32_t kShardsMax = 1024;  // of a node

// The greatest durable limit of any shard of the last run: their number may have changed. Blocks;
// for start-up.
causal::HlcStamp ClockFloor(storage::Engine& engine);

}  // namespace lariat::node

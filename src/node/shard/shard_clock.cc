// SPDX-License-Identifier: Apache-2.0
#include "node/shard/shard_clock.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/coding.h"

namespace lariat::node {

namespace {

// The durable limit of the clock runs this far ahead: less than limits.clock_drift_ms, so that
// stamps given out right after a restart are still accepted by the others.
constexpr int64_t kClockAheadMs = 500;
constexpr int64_t kClockRefillMs = 200;
// A clock that is ahead of the wall already gets only this much: the unused rest of a limit is lost
// at a restart, so restarts in quick succession would drive the clock past what others accept.
constexpr int64_t kClockStepMs = 20;
constexpr int64_t kClockLeftMinMs = 10;

// The durable limit of a shard's clock, in Space::kMeta.
std::string ClockKey(uint32_t shard) { return "clock/" + std::to_string(shard); }

// If the log was cut, the newest limit may be lost with it: then what it was at most by now, unless
// the stamps of others were further ahead.
causal::HlcStamp FloorAfter(const storage::Engine& engine, causal::HlcStamp stored,
                            base::WallTime now) {
  if (!engine.Stats().log_truncated) return stored;
  return std::max(stored, causal::HlcStamp::FromWallMs(now.ms + kClockAheadMs));
}

}  // namespace

causal::HlcStamp ClockFloor(storage::Engine& engine) {
  causal::HlcStamp floor;
  for (uint32_t i = 0; i < kShardsMax; ++i) {
    auto stored = engine.GetBlocking(storage::Space::kMeta, ClockKey(i));
    if (!stored) continue;
    base::ByteReader r(*stored);
    const causal::HlcStamp limit{r.U64()};
    if (r.AtEnd()) floor = std::max(floor, limit);
  }
  return floor;
}

ShardClock::ShardClock(uint32_t shard, const World& world, causal::HlcStamp floor)
    : shard_(shard),
      world_(world),
      clock_(FloorAfter(world.engine, floor, world.judged.Wall()),
             world.settings.limits_clock_drift_ms) {}

// The limit of the last run, or the clock itself, may be of a time in which the wall clock was
// ahead: going on from there would have every stamp refused by the others until that time has come.
void ShardClock::Mind() {
  const bool right = world_.judged.CheckNow().has_value();
  world_.metrics.clock_off.Set(right ? 0 : 1);
  if (!right || extending_) return;
  const int64_t now_ms = world_.judged.Wall().ms;
  const int64_t ahead_ms = clock_.last().WallMs() - now_ms;
  if (ahead_ms <= world_.settings.limits_clock_drift_ms + kClockAheadMs) return;
  world_.metrics.clock_taken_back.Add();
  world_.log.Log(
      telemetry::LogLevel::kWarn, "clock",
      "the hybrid clock of shard {} is {} ms in the future, from a time when a wall clock was; "
      "it is taken back",
      shard_, ahead_ms);
  // Above all that was given out by right clocks.
  clock_.TakeBack(causal::HlcStamp::FromWallMs(now_ms + kClockAheadMs));
}

int64_t ShardClock::LimitWantedMs() const {
  return std::max(world_.judged.Wall().ms + kClockAheadMs, clock_.last().WallMs() + kClockStepMs);
}

bool ShardClock::IsReady() {
  const int64_t now_ms = std::max(world_.judged.Wall().ms, clock_.last().WallMs());
  const int64_t left_ms = clock_.limit().WallMs() - now_ms;
  const bool short_of = left_ms < kClockRefillMs && clock_.limit().WallMs() < LimitWantedMs();
  if (short_of && !extending_) Extend();
  return left_ms > kClockLeftMinMs;
}

void ShardClock::With(Use use) {
  if (IsReady()) return use({});
  waiters_.push_back(std::move(use));
}

void ShardClock::Extend() {
  extending_ = true;
  const auto limit = causal::HlcStamp::FromWallMs(LimitWantedMs());
  storage::WriteBatch batch;
  std::string value;
  base::ByteWriter(&value).U64(limit.packed);
  batch.Put(storage::Space::kMeta, ClockKey(shard_), std::move(value));
  auto finish = [this, limit](const base::Status& status) {
    extending_ = false;
    if (status) clock_.SetLimit(limit);
    for (auto& waiter : std::exchange(waiters_, {})) waiter(status);
  };
  if (auto status = world_.engine.Write(batch); !status) {
    world_.queue.Post([finish, status] { finish(status); });
    return;
  }
  world_.engine.Sync(&world_.queue, finish);
}

}  // namespace lariat::node

// SPDX-License-Identifier: Apache-2.0
// Writes on their way into the engine: gathered for one turn of the loop, written as one batch,
// synced together with everybody else's, then acknowledged. Until then the values are kept here, so
// that the next operation on a key sees them and readers know that they are not durable yet.
//
//   Stage ... Stage | end of turn: Write(batch) -> applied | Sync -> durable
//
// Threads: one shard's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/unique_function.h"
#include "storage/engine.h"
#include "telemetry/metrics.h"

namespace lariat::replica {

// When a write counts as done: a bucket's durability.
enum class AckWhen : uint8_t { kSynced, kWritten };

class PendingWrites {
 public:
  using Done = base::UniqueFunction<void(base::Status)>;
  // `on_failure` runs before the callbacks of a batch that the engine refused or could not sync.
  PendingWrites(storage::Engine& engine, storage::CompletionQueue& queue,
                telemetry::Metrics& metrics, std::function<void()> on_failure,
                std::shared_ptr<bool> owner_alive);

  struct Put {
    storage::Space space = storage::Space::kData;
    std::string key;
    std::string value;
  };
  // Adds the puts to the batch of this turn. `applied` (may be empty) is called when the batch is
  // in the engine or was refused; `durable` after it, when it is as durable as `when` says. The
  // first put is the one that later readers of its key wait for.
  void Stage(std::vector<Put> puts, AckWhen when, Done applied, Done durable);

  // The newest value staged and not yet durable, or null.
  const std::string* Find(storage::Space space, const std::string& key) const;
  // Runs `done` when what is pending for the key now is durable (at once, from the loop, if nothing
  // is). With an error if it failed: then look again. Never ok once the engine is dead.
  void WhenDurable(storage::Space space, const std::string& key, Done done);
  void Tick();  // tries a stalled batch again
  size_t Waiting() const { return staged_.size() + acks_in_flight_; }
  // The engine asks to wait and this much is waiting already.
  bool Stalled() const { return stalled_; }

 private:
  struct Value {
    std::string bytes;
    uint64_t batch = 0;
  };
  struct Ack {
    AckWhen when = AckWhen::kSynced;
    Done applied;
    Done durable;
  };
  struct InFlight {
    uint64_t batch = 0;
    std::vector<std::pair<storage::Space, std::string>> keys;
    std::vector<Done> done;
  };
  std::unordered_map<std::string, Value>& Values(storage::Space space) {
    return values_[static_cast<size_t>(space)];
  }

  void ScheduleFlush();
  void Flush();
  void FailBatch(const base::Error& error);
  void OnApplied();
  void OnSynced(const std::shared_ptr<InFlight>& flight, const base::Status& status);
  void Forget(const InFlight& flight);

  storage::Engine& engine_;
  storage::CompletionQueue& queue_;
  telemetry::Metrics& metrics_;
  std::function<void()> on_failure_;
  std::shared_ptr<bool> owner_alive_;
  std::array<std::unordered_map<std::string, Value>, storage::kSpaces> values_;
  storage::WriteBatch batch_;
  std::vector<Ack> staged_;
  std::unordered_map<uint64_t, std::vector<Done>> waiters_;  // by batch
  uint64_t batch_number_ = 1;                                // of the batch being gathered
  size_t acks_in_flight_ = 0;
  bool flush_scheduled_ = false;
  bool stalled_ = false;
};

}  // namespace lariat::replica

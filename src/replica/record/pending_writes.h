// SPDX-License-Identifier: Apache-2.0
// Writes on their way into the engine: gathered for one turn of the loop, written as one batch,
// synced together with everybody else's, then acknowledged. Until then the values are kept here, so
// that the next operation on a key sees them and readers know that they are not durable yet.
//
//   Stage ... Stage | end of turn: Write(batch) -> applied | Sync -> durable
//
// Threads: one shard's thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/lifetime.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "replica/record/riders.h"
#include "replica/requests/requests.h"
#include "storage/engine.h"
#include "telemetry/metrics.h"

namespace lariat::replica {

class PendingWrites {
 public:
  using Done = base::UniqueFunction<void(base::Status)>;
  // `on_failure` runs before the callbacks of a batch that the engine refused or could not sync.
  PendingWrites(storage::Engine& engine, storage::CompletionQueue& queue,
                telemetry::Metrics& metrics, Riders& riders, std::function<void()> on_failure);

  struct Put {
    storage::Space space = storage::Space::kData;
    std::string key;
    std::optional<std::string> value;  // nothing: the key is removed
    bool is_delete = false;            // as in storage::WriteBatch; a removal is one
  };
  // kDiskFull: the disk is nearly full, and this is no delete. kOverloaded: the batch of this turn,
  // which may be a stalled one, takes no more. Ask before Stage: such a write would be refused
  // together with the deletes of its turn, which go on.
  base::Status CheckRoom(bool is_delete) const;
  bool NearlyFull() const { return engine_.health() == storage::Health::kDiskFull; }
  // Adds the puts to the batch of this turn. `applied` (may be empty) is called when the batch is
  // in the engine or was refused; `durable` after it, when it is as durable as `when` says. The
  // first put is the one that later readers of its key wait for.
  void Stage(std::vector<Put> puts, AckWhen when, Done applied, Done durable);

  // What was staged last and is not durable yet (nothing in it: a removal), or null.
  const std::optional<std::string>* Find(storage::Space space, const std::string& key) const;
  // Runs `done` when what is pending for the key now is durable (at once, from the loop, if nothing
  // is). With an error if it failed: then look again. Never ok once the engine is dead.
  void WhenDurable(storage::Space space, const std::string& key, Done done);
  void Tick();  // tries a stalled batch again
  size_t Waiting() const { return staged_.size() + acks_in_flight_; }

 private:
  struct Value {
    std::optional<std::string> bytes;
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
  void AddRiders();
  void DropRiders();
  void FailBatch(const base::Error& error);
  void OnApplied();
  void OnSynced(const std::shared_ptr<InFlight>& flight, const base::Status& status);
  void Forget(const InFlight& flight);

  storage::Engine& engine_;
  storage::CompletionQueue& queue_;
  telemetry::Metrics& metrics_;
  Riders& riders_;
  std::function<void()> on_failure_;
  std::array<std::unordered_map<std::string, Value>, storage::kSpaces> values_;
  storage::WriteBatch batch_;
  bool only_deletes_ = true;  // are in it, but for the riders
  struct Boarded {
    size_t operations = 0, bytes = 0;  // of the batch without the riders
    uint64_t version = 0;
  };
  std::optional<Boarded> boarded_;  // the riders' puts are at the end of the batch
  std::vector<Ack> staged_;
  std::unordered_map<uint64_t, std::vector<Done>> waiters_;  // by batch
  uint64_t batch_number_ = 1;                                // of the batch being gathered
  size_t acks_in_flight_ = 0;
  bool flush_scheduled_ = false;
  bool stalled_ = false;
  base::Lifetime lifetime_;
};

}  // namespace lariat::replica

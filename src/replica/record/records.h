// SPDX-License-Identifier: Apache-2.0
// The records of one shard as the requests on them see them: looked up in what is pending, then in
// the engine's memory, then on its disk, and changed in one place, which tells the riders.
//
// Requests on one key that have to wait for the disk wait in one line: the first may change the
// record, and each of the others sees what those before it have done. A request stages its change
// in the turn in which it was given the record.
//
// Threads: one shard's thread. Every callback comes once, possibly before the call returns.
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/lifetime.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "replica/doubt.h"
#include "replica/hint_store.h"
#include "replica/record/pending_writes.h"
#include "replica/record/place.h"
#include "replica/record/riders.h"
#include "storage/engine.h"
#include "storage/record.h"
#include "telemetry/metrics.h"

namespace lariat::replica {

// What all parts of a replica work on. All of it outlives them.
struct ShardEnv {
  storage::Engine& engine;
  storage::CompletionQueue& queue;
  telemetry::Metrics& metrics;
};

class Records {
 public:
  using Loaded = base::UniqueFunction<void(Looked)>;

  // `queue_max`: requests that may wait for the disk, for their turn, or for a stalled engine.
  // `on_failure`: as in PendingWrites.
  Records(size_t queue_max, const ShardEnv& env, Riders& riders, HintStore& hints,
          std::function<void()> on_failure);

  // Gives the bytes at the key: pending ones first, then the engine's. kOverloaded: too many wait.
  void With(storage::Space space, std::string key, Loaded use);
  // Gives the record at the place, out of the hint around it: use(Place, Looked).
  template <typename Use>
  void LookAt(Place place, Use use) {
    Looked at_once;
    if (LookInMemory(place.space, place.key, &at_once)) {
      Unwrap(&place, &at_once);
      return use(std::move(place), std::move(at_once));
    }
    const storage::Space space = place.space;
    std::string key = place.key;
    WaitFor(space, std::move(key),
            [place = std::move(place), use = std::move(use)](Looked&& found) mutable {
              Unwrap(&place, &found);
              use(std::move(place), std::move(found));
            });
  }
  // Of the bytes that were found. A record that cannot be read is counted.
  base::Result<storage::RecordView> Parse(std::string_view bytes);

  // The change of the record at the place, as the put that makes it; the riders are told. The put
  // has to be staged in this turn. kUnavailable: hints have reached a limit, and nothing changes.
  base::Result<PendingWrites::Put> Change(const Place& place, const RecordChange& change,
                                          const std::optional<causal::Actor>& own_actor,
                                          base::WallTime now);
  // The same for a hint alone, with what is or will be the record in it ("": none).
  base::Result<PendingWrites::Put> PutHint(const Place& place, std::string_view record,
                                           base::WallTime now);
  PendingWrites& pending() { return pending_; }
  // Whether a request works on the key: a write of it is pending, or somebody waits for the disk
  // and will join what is read. What is there must not go away under either.
  bool IsBusy(storage::Space space, const std::string& key) const;
  std::vector<std::string> KeysLoading(storage::Space space) const;
  // What such an engine shows may never have reached the disk.
  bool EngineIsDead() const { return env_.engine.health() == storage::Health::kDead; }

  void SetDoubt(std::shared_ptr<const Doubt> doubt) { doubt_ = std::move(doubt); }  // null: none
  // Why records of the bucket may be missing here; null: none is.
  const Doubt* DoubtAbout(storage::BucketId bucket) const {
    return doubt_ && doubt_->Covers(bucket) ? doubt_.get() : nullptr;
  }

  // kOverloaded, and counted: too many writes wait for the engine.
  base::Status CheckQueue();
  // Those that wait before they may look are counted here too: false, and counted, if there are too
  // many, otherwise LeaveQueue is called once.
  bool JoinQueue();
  void JoinQueueAnyway() { ++waiting_; }  // for those that are not many
  void LeaveQueue() { --waiting_; }
  // Runs each behind those that wait for one key now, however many there are.
  void BehindLoads(const std::function<Loaded()>& make);

  // The other half is left to those who wait for an answer.
  bool HalfFull() const { return Waiting() >= queue_max_ / 2; }
  size_t Waiting() const { return pending_.Waiting() + waiting_; }
  void Tick() { pending_.Tick(); }

 private:
  using Loads = std::unordered_map<std::string, std::deque<Loaded>>;  // who waits, by key

  // False: it takes the disk, or others wait for this key, and updates have to see each other.
  bool LookInMemory(storage::Space space, const std::string& key, Looked* found);
  bool FindInMemory(storage::Space space, const std::string& key, Looked* found);
  void WaitFor(storage::Space space, std::string key, Loaded use);
  void StartLoad(storage::Space space, const std::string& key);
  void OnLoaded(storage::Space space, const std::string& key, base::Result<std::string> result);
  Loads& LoadsOf(storage::Space space) { return loads_[static_cast<size_t>(space)]; }
  const Loads& LoadsOf(storage::Space space) const { return loads_[static_cast<size_t>(space)]; }

  size_t queue_max_;
  ShardEnv env_;
  Riders& riders_;
  HintStore& hints_;
  std::array<Loads, storage::kSpaces> loads_;
  size_t waiting_ = 0;
  std::shared_ptr<const Doubt> doubt_;  // co-owned by the records of the other shards
  PendingWrites pending_;
  base::Lifetime lifetime_;
};

}  // namespace lariat::replica

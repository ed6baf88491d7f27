// SPDX-License-Identifier: Apache-2.0
// Keeps the node's replica::Doubt: raises it when the engine says that records were lost, has the
// ranges compared, and ends it bucket by bucket when each was compared, as a whole and from then
// on, with every other replica. Lives on shard 0 and is called on its thread only.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "coordinator/admin_service.h"
#include "healing/shards.h"
#include "peers/home.h"
#include "repair/exchange/pairs.h"
#include "replica/doubt.h"

namespace lariat::healing {

class Doubts {
 public:
  // Asks for a comparison soon; may be called again for the same pair.
  using Compare = std::function<void(const repair::ExchangePair& pair)>;
  // For start-up: reads from the engine, and blocks. Nothing is served before it returns.
  Doubts(Shards& shards, peers::Home& home, storage::Engine& engine, telemetry::LogSink& log,
         Compare compare);

  void Start();
  // Records may be missing from now on, for that reason; done when that is durable.
  void Raise(const std::string& why, base::UniqueFunction<void(base::Status)> done);
  void OnView(std::shared_ptr<const membership::View> view);
  void Stop() { view_ = nullptr; }
  // A complete comparison that began then.
  void OnPassed(const repair::ExchangePair& pair, base::Instant began);
  bool InDoubt() const { return doubt_ != nullptr; }
  // Why this node may lack records; empty if it does not.
  std::string Why() const;
  void FillStatus(std::vector<coordinator::RepairRange>* ranges) const;

 private:
  void Warn() const;
  void EachSecond();
  void Look();
  bool IsCompared(storage::BucketId bucket) const;
  void SetGauge();
  void Store();
  void TakeNote(storage::WriteBatch* batch);
  void Publish();

  Shards& shards_;
  peers::Home& home_;
  storage::Engine& engine_;
  telemetry::LogSink& log_;
  Compare compare_;
  std::shared_ptr<const replica::Doubt> doubt_;  // co-owned by the shards' replicas
  base::Instant since_;                          // of this process
  bool unsaved_ = false;
  bool noted_ = true;  // the engine's word is not needed any more
  std::shared_ptr<const membership::View> view_;
  base::Instant view_since_{};
  repair::ExchangeMap map_;
  std::set<repair::ExchangePair> passed_;  // since the doubt, by the present topology
};

}  // namespace lariat::healing

// SPDX-License-Identifier: Apache-2.0
// Data that moves because the topology changes, from one member's point of view: it fetches the
// ranges that it gains, gives pages of what it holds, and removes what it does not own any more.
// The shell of repair::Transfer, RangeSource and Cleaner. Lives on shard 0 and is called on its
// thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "healing/shards.h"
#include "peers/home.h"
#include "repair/cleaner.h"
#include "repair/plan.h"
#include "repair/range_source.h"
#include "repair/transfer.h"
#include "replica/meta_store.h"
#include "replica/range_reader.h"

namespace lariat::healing {

class Streams final : public repair::TransferPort, public repair::CleanerPort {
 public:
  // `in_doubt`: whether this node may have lost records.
  Streams(Shards& shards, peers::Home& home, storage::Engine& engine, telemetry::LogSink& log,
          std::function<bool()> in_doubt);
  ~Streams() override;

  void Start();
  // A view by which every shard of this node works, and before which nothing is unsettled.
  void OnView(std::shared_ptr<const membership::View> view);
  // The node is out of the cluster.
  void Stop();
  void ApplySettings(const config::Settings& settings);
  // While this node may have lost records it gives out only what the receiver copies from all other
  // holders too: the rest would look whole there.
  void Serve(const base::Uuid& from, wire::RangePull request,
             base::UniqueFunction<void(wire::RangePage)> done);
  // Why this node may hold old records of ranges that are not its own; empty: it does not.
  std::string Unclean() const;
  // What is about streams is filled in.
  wire::ProgressReply Progress() const;

  // repair::TransferPort
  void Pull(uint64_t source, wire::RangePull request, base::Duration timeout,
            PageDone done) override;
  void WriteLocal(Record record, TransferPort::StatusDone done) override;
  void LoadCursors(std::string prefix, ValuesDone done) override;
  void SaveCursors(std::vector<CursorUpdate> updates, TransferPort::StatusDone done) override;
  std::optional<base::Duration> ForegroundLatency() override;
  void OnTransferChanged() override {}  // the driver asks often enough

  // repair::CleanerPort
  void Remove(uint64_t fence, std::vector<std::string> data_keys, RemoveDone done) override;

 private:
  bool MayGiveInDoubt(const base::Uuid& to, const wire::RangePull& request);
  void EachSecond();
  void AskWhetherAllKnow();
  std::optional<base::Duration> LatencySince(uint64_t* count, base::Duration* sum) const;

  Shards& shards_;
  peers::Home& home_;
  std::function<bool()> in_doubt_now_;
  replica::RangeReader reader_;
  replica::MetaStore meta_;
  repair::RangeSource source_;
  repair::Transfer transfer_;
  repair::Cleaner cleaner_;
  std::shared_ptr<const membership::View> view_;
  std::optional<repair::InDoubtPlan> in_doubt_;  // of view_, worked out when it is asked for
  uint64_t streaming_ = 0;                       // the change whose ranges are given out
  uint64_t cleaned_fence_ = 0;                   // the fence that the cleaner was started for
  bool asking_ = false;
  uint64_t source_count_ = 0, transfer_count_ = 0;
  base::Duration source_sum_{}, transfer_sum_{};
};

}  // namespace lariat::healing

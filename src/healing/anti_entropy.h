// SPDX-License-Identifier: Apache-2.0
// This node compares its records with those of its fellow replicas, one after the other, and
// answers when they compare theirs: the shell of repair::ScheduleCore, Exchange and Source. What it
// tells of ranges and tasks is put together in anti_entropy_status.cc. Lives on shard 0 and is
// called on its thread only, except where said.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/admin_service.h"
#include "healing/own_records.h"
#include "healing/passes.h"
#include "healing/shards.h"
#include "peers/home.h"
#include "repair/exchange/exchange.h"
#include "repair/exchange/pairs.h"
#include "repair/exchange/schedule_core.h"
#include "repair/exchange/source.h"
#include "replica/dirty_marks.h"
#include "replica/range_reader.h"

namespace lariat::healing {

class AntiEntropy final : public repair::ExchangePort {
 public:
  using PushDone = base::UniqueFunction<void(wire::Body)>;
  struct Ports {
    // Joins the records into this node's own, by its present view, as if a partner had sent them.
    std::function<void(wire::RecordPush, PushDone)> push;
    // Where hints were dropped; null: nowhere.
    replica::DirtyMarks* marks = nullptr;
    // The pair is known to agree, as of `began` or later. May be empty.
    std::function<void(const repair::ExchangePair& pair, base::Instant began)> passed;
  };
  AntiEntropy(Shards& shards, peers::Home& home, storage::Engine& engine, telemetry::LogSink& log,
              Ports ports);
  ~AntiEntropy() override;

  void Start();
  void OnView(std::shared_ptr<const membership::View> view);
  void Stop();
  void ApplySettings(const config::Settings& settings);
  void OnLiveness() { Look(); }

  // TreeRequest, LeafRequest or FetchRequest of a partner that works by the same view.
  void Serve(wire::Body request, base::UniqueFunction<void(wire::Body)> done);
  // This node may have lost records: compare them before all others.
  void Doubt(const repair::ExchangePair& pair);

  // As Exchange::IsInHand.
  bool IsInHand(const std::string& data_key) const { return exchange_.IsInHand(data_key); }

  base::Result<coordinator::ChangeTicket> Repair(const coordinator::RepairRequest& request);
  void FillStatus(coordinator::RepairStatus* status) const;
  // Newest first. Thread-safe.
  std::shared_ptr<const std::vector<coordinator::TaskStatus>> TasksSeen() const;

  // repair::ExchangePort
  void Ask(repair::Side side, uint64_t partner, wire::Body request,
           ExchangePort::BodyDone done) override;

 private:
  void EachQuarter();
  void EachSecond();
  void Look();
  void Begin(repair::ScheduleCore::Pick pick);
  void OnEnded(repair::Exchange::Ended ended);
  void OnChange(uint64_t number);
  void TakeMarks();
  std::vector<replica::DirtyMarks::Seen> MarksOf(const repair::ExchangePair& pair) const;

  std::string NameOf(uint64_t number) const;
  std::string BucketName(uint32_t bucket) const;
  void FillRange(const repair::ReplicaSet& set, coordinator::RepairRange* range) const;
  coordinator::RepairSession Session() const;
  coordinator::TaskStatus StatusOf(const repair::RepairTask& task) const;
  void PublishTasks();

  Shards& shards_;
  peers::Home& home_;
  storage::Engine& engine_;
  telemetry::LogSink& log_;
  Ports ports_;
  replica::RangeReader reader_;
  Passes passes_;
  OwnRecords own_;
  repair::Throttle throttle_;
  repair::Source source_;
  repair::Exchange exchange_;
  repair::ScheduleCore schedule_;
  bool enabled_ = true;
  std::shared_ptr<const membership::View> view_;
  repair::ExchangeMap map_;
  uint64_t known_fence_ = 0;                           // what the schedule works by
  std::vector<replica::DirtyMarks::Seen> seen_marks_;  // when the running comparison began
  uint32_t quarters_ = 0;
  uint64_t latency_count_ = 0;
  base::Duration latency_sum_{};
  // Read and replaced atomically, co-owned by readers.
  std::shared_ptr<const std::vector<coordinator::TaskStatus>> tasks_seen_;
};

}  // namespace lariat::healing

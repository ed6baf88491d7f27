// SPDX-License-Identifier: Apache-2.0
// Hints of a node: delivers what it keeps for other members, joins what others deliver or repair
// here, and knows which keys have a hint. The shell of repair::HintDelivery. Lives on shard 0 and
// is called on its thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "coordinator/admin_service.h"
#include "healing/shards.h"
#include "peers/home.h"
#include "repair/hint_delivery.h"
#include "replica/dirty_marks.h"
#include "replica/hint_reader.h"

namespace lariat::healing {

class Handoff final : public repair::HintPort {
 public:
  // The member and this node shall exchange their documents.
  using Reconcile = std::function<void(std::shared_ptr<const membership::View>, ring::NodeIndex)>;
  Handoff(Shards& shards, peers::Home& home, storage::Engine& engine, telemetry::LogSink& log,
          replica::DirtyMarks& marks, Reconcile reconcile);

  void Start();
  void OnView(std::shared_ptr<const membership::View> view);
  void OnLiveness() { delivery_.OnLiveness(); }
  void Stop();
  void ApplySettings(const config::Settings& settings);

  // Joins the states into this node's records; answered with a wire::RecordPushReply when all are
  // durable. Refused if this node is no replica of one of them by its present view.
  void Join(wire::RecordPush push, base::UniqueFunction<void(wire::Body)> done);
  // Those of the data keys for which there is a hint here. One that was delivered and removed is
  // not among them, and will not be after a crash either.
  using KeysDone = base::UniqueFunction<void(base::Result<std::vector<std::string>>)>;
  void FindHinted(const std::vector<std::string>& data_keys, KeysDone done);
  void FillStatus(coordinator::RepairStatus* status) const;

  // repair::HintPort
  bool IsAlive(uint64_t member) const override;
  void ReadRecord(std::string data_key, ReadDone done) override;
  void Push(uint64_t member, uint64_t fence, Entries entries, StatusDone done) override;
  void RemoveHints(std::vector<replica::HintMark> hints, StatusDone done) override;
  void MarkDirty(std::vector<replica::DirtyMark> marks, StatusDone done) override;
  std::optional<base::Duration> ForegroundLatency() override;

 private:
  struct Joining;
  void EachSecond();
  bool IsSelf(uint64_t member) const;
  base::Status CheckPush(const wire::RecordPush& push) const;
  void JoinMore(const std::shared_ptr<Joining>& joining);

  Shards& shards_;
  peers::Home& home_;
  storage::Engine& engine_;
  replica::DirtyMarks& marks_;
  Reconcile reconcile_;
  replica::HintReader reader_;
  repair::HintDelivery delivery_;
  std::shared_ptr<const membership::View> view_;
  size_t joining_ = 0;                                      // pushes under way
  std::unordered_map<std::string, uint32_t> joining_keys_;  // in how many of them
  uint64_t latency_count_ = 0;
  base::Duration latency_sum_{};
};

}  // namespace lariat::healing

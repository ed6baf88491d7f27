// SPDX-License-Identifier: Apache-2.0
// What operators are told, from one shard's point of view. On the shard's thread.
#pragma once

#include "coordinator/admin_service.h"
#include "healing/sweeper.h"
#include "node/admin_host.h"
#include "node/shard/shard.h"

namespace lariat::node {

class NodeAdmin final : public coordinator::AdminService {
 public:
  NodeAdmin(AdminHost& node, Shard& shard);
  coordinator::ClusterStatus Status() const override;
  std::vector<coordinator::RingRange> Ring(uint32_t n) const override;
  void Explain(std::string bucket, std::string key, coordinator::Caller caller,
               coordinator::ExplainDone done) override;
  void Hot(coordinator::HotRequest request, HotDone done) override;
  coordinator::HealthSummary Health() const override;
  std::string MetricsText() const override;
  void RequestChange(coordinator::ChangeRequest request, coordinator::TicketDone done) override;
  void Commit(coordinator::Caller caller, coordinator::StatusDone done) override;
  void Cancel(uint64_t task, coordinator::Caller caller, coordinator::StatusDone done) override;
  void DeleteBucket(std::string bucket, coordinator::Caller caller,
                    coordinator::TicketDone done) override;
  void FinalizeUpgrade(coordinator::Caller caller, coordinator::StatusDone done) override;
  coordinator::ClusterPlan Plan() const override;
  std::vector<coordinator::TaskStatus> Tasks() const override;
  void Drain(bool on, coordinator::Caller caller, coordinator::StatusDone done) override;
  void Repair(coordinator::RepairRequest request, coordinator::TicketDone done) override;
  void GetRepairStatus(RepairStatusDone done) override;

 private:
  std::optional<coordinator::OperationStatus> Operation() const;
  // As the members told last.
  std::optional<uint32_t> FeatureLevelOf(const membership::Member& member) const;
  std::string Upgrade() const;  // ClusterStatus::upgrade
  coordinator::TaskStatus DeletionOf(const membership::DeletedBucket& deleted) const;
  void WhyKept(healing::KeptQuestion question, healing::Sweeper::TextDone done);
  void WaitForQuiet(base::Instant until, coordinator::StatusDone done);

  AdminHost& node_;
  Shard& shard_;
  base::Instant started_;
};

}  // namespace lariat::node

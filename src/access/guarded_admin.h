// SPDX-License-Identifier: Apache-2.0
// AdminService as protocols get it where clients log in: what changes something, or shows what a
// client has stored, passes the gate; the rest is for the doors (access_service.h). A method that
// the interface gets does not compile before it is here, too.
#pragma once

#include <string>

#include "access/gate.h"
#include "coordinator/admin_service.h"

namespace lariat::access {

class GuardedAdmin final : public coordinator::AdminService {
 public:
  // Both outlive this.
  GuardedAdmin(Gate& gate, coordinator::AdminService& admin) : gate_(gate), admin_(admin) {}
  coordinator::ClusterStatus Status() const override { return admin_.Status(); }
  std::vector<coordinator::RingRange> Ring(uint32_t n) const override { return admin_.Ring(n); }
  void Explain(std::string bucket, std::string key, coordinator::Caller caller,
               coordinator::ExplainDone done) override;
  void Hot(coordinator::HotRequest request, HotDone done) override;
  coordinator::HealthSummary Health() const override { return admin_.Health(); }
  std::string MetricsText() const override { return admin_.MetricsText(); }
  void RequestChange(coordinator::ChangeRequest request, coordinator::TicketDone done) override;
  void Commit(coordinator::Caller caller, coordinator::StatusDone done) override;
  void Cancel(uint64_t task, coordinator::Caller caller, coordinator::StatusDone done) override;
  void DeleteBucket(std::string bucket, coordinator::Caller caller,
                    coordinator::TicketDone done) override;
  void FinalizeUpgrade(coordinator::Caller caller, coordinator::StatusDone done) override;
  coordinator::ClusterPlan Plan() const override { return admin_.Plan(); }
  std::vector<coordinator::TaskStatus> Tasks() const override { return admin_.Tasks(); }
  void Drain(bool on, coordinator::Caller caller, coordinator::StatusDone done) override;
  void Repair(coordinator::RepairRequest request, coordinator::TicketDone done) override;
  void GetRepairStatus(RepairStatusDone done) override { admin_.GetRepairStatus(std::move(done)); }

 private:
  base::Status MayAdminister(const coordinator::Caller& caller);
  // Wraps a callback so that the end of the act is written down.
  template <typename Done>
  Done Noted(std::string act, std::string subject, coordinator::Caller caller, Done done);

  Gate& gate_;
  coordinator::AdminService& admin_;
};

}  // namespace lariat::access

// SPDX-License-Identifier: Apache-2.0
// The services of a node's shards as protocols get them where clients log in: behind the gate, with
// what all shards share of that. Built only if security.auth is not off.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "access/access.h"
#include "access/audit.h"
#include "access/first_book.h"
#include "access/gate.h"
#include "access/guarded_admin.h"
#include "access/guarded_kv.h"
#include "access/login_desk.h"
#include "node/shard/shard.h"
#include "topology/cluster.h"

namespace lariat::node {

class Guards final : public access::AccessHost {
 public:
  // All outlive this. `first_password`: as of access::FirstBook.
  struct World {
    const config::Settings& settings;
    std::string node;
    std::string first_password;
    const std::vector<std::unique_ptr<Shard>>& shards;
    const std::vector<std::unique_ptr<coordinator::AdminService>>& admins;
    std::function<topology::Cluster&()> cluster;
    env::Workers& workers;
    access::AuditSink* audit;  // nullptr: none
    telemetry::LogSink& log;
  };
  explicit Guards(const World& world);
  void Start();  // on shard 0's thread

  coordinator::KvService& kv(uint32_t shard) { return guards_[shard]->kv; }
  coordinator::AdminService& admin(uint32_t shard) { return guards_[shard]->admin; }
  access::AccessService& access(uint32_t shard) { return guards_[shard]->access; }

  // access::AccessHost
  void PostHome(env::Task task) override { world_.shards[0]->Post(std::move(task)); }
  access::LoginDesk& desk() override { return desk_; }
  void ProposeBook(Edit edit, StatusDone done) override;

 private:
  struct OfShard {
    OfShard(Guards& all, Shard& shard, coordinator::AdminService& admin_service);
    access::Audit audit;
    access::Gate gate;
    access::GuardedKv kv;
    access::GuardedAdmin admin;
    access::Access access;
  };

  const World world_;
  access::LoginDesk desk_;
  access::FirstBook first_book_;
  std::vector<std::unique_ptr<OfShard>> guards_;
};

}  // namespace lariat::node

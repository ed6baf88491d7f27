// SPDX-License-Identifier: Apache-2.0
// AccessService of one shard of a node where clients log in.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "access/access_service.h"
#include "access/gate.h"
#include "access/login_desk.h"
#include "env/env.h"
#include "security/book.h"
#include "telemetry/metrics.h"

namespace lariat::access {

// What the shards' parts need of their node. Called on any shard's thread.
class AccessHost {
 public:
  // The book after the one given, which is nullptr where there is none yet; nothing: it stays.
  using Edit = std::function<base::Result<std::optional<security::Book>>(const security::Book*)>;
  using StatusDone = base::UniqueFunction<void(base::Status)>;
  virtual ~AccessHost() = default;
  virtual void PostHome(env::Task task) = 0;
  virtual LoginDesk& desk() = 0;  // on shard 0's thread only
  // Has the members agree on the edited book. Calls back on shard 0's thread. REQUIRES: on it.
  virtual void ProposeBook(Edit edit, StatusDone done) = 0;
};

class Access final : public AccessService {
 public:
  struct Rules {
    base::Duration token_ttl = base::Seconds(43200);
    bool open_metrics = false;
  };
  struct World {
    Gate& gate;
    AccessHost& host;
    env::Env env;
    telemetry::Metrics& metrics;
  };
  Access(Rules rules, World world) : rules_(rules), world_(world) {}

  Mode mode() const override { return world_.gate.mode(); }
  base::Status Check(Door door, const coordinator::Caller& caller,
                     std::string_view bucket) override;
  bool Sees(const coordinator::Caller& caller, std::string_view bucket) override;
  void Login(Attempt attempt, LoginDone done) override;
  base::Result<Visit> ByToken(std::string_view token, std::string_view from,
                              std::string_view protocol) override;
  base::Result<coordinator::Caller> ByCertificate(std::string_view user, std::string_view from,
                                                  std::string_view protocol) override;
  base::Result<NewToken> MakeToken(const coordinator::Caller& caller) override;
  std::shared_ptr<const security::Rights> rights() override { return world_.gate.rights(); }
  void Change(AccessChange change, coordinator::Caller caller, StatusDone done) override;

 private:
  base::Error Wrong(const coordinator::Caller& caller);
  void Propose(security::BookChange change, StatusDone done);

  const Rules rules_;
  World world_;
};

}  // namespace lariat::access

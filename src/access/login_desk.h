// SPDX-License-Identifier: Apache-2.0
// Checks passwords for all shards of a node. Hashing one takes tens of milliseconds, so that is
// done by threads of its own with a short queue, never twice for the same attempt at once, and not
// again for a minute after it was right. On shard 0's thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "access/access_service.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "env/env.h"
#include "env/workers.h"
#include "security/login_limits.h"
#include "security/rights.h"
#include "telemetry/metrics.h"

namespace lariat::access {

class LoginDesk {
 public:
  // All outlive this, and the workers' tasks end before `env` does.
  struct World {
    env::Env env;
    env::Workers& workers;
    telemetry::Metrics& metrics;
  };
  LoginDesk(World world, int64_t failures_per_s);

  // The user's generation; errors as of AccessService::Login.
  using Checked = base::UniqueFunction<void(base::Result<uint64_t>)>;
  void Check(const std::shared_ptr<const security::Rights>& rights, Attempt attempt, Checked done);
  using Hashed = base::UniqueFunction<void(base::Result<std::string>)>;
  void Hash(std::string password, Hashed done);

  static constexpr base::Duration kRemembered = base::Seconds(60);
  static constexpr size_t kTogetherMax = 10000;  // attempts that wait for one hash

 private:
  struct Known {
    std::string mac;
    base::Instant until;
  };
  struct Waiting {
    std::string user, address;
    uint64_t generation;
    Checked done;
  };
  void End(const std::string& mac, bool right);
  std::string RandomBytes(size_t size);

  World world_;
  security::LoginLimits limits_;
  const std::string key_;               // of what is remembered; it never leaves the process
  std::map<std::string, Known> known_;  // by user; of right passwords only
  std::map<std::string, std::vector<Waiting>> in_work_;  // by the keyed hash of the attempt
};

}  // namespace lariat::access

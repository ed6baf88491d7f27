// SPDX-License-Identifier: Apache-2.0
// How often somebody may guess a password: so many failures a second for one user from one address.
// An attempt is charged when it begins, so that many at once are no way around it, and given back
// when it was right. Bounded: what is known longest is forgotten first.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/time.h"

namespace lariat::security {

class LoginLimits {
 public:
  explicit LoginLimits(int64_t failures_per_s) : failures_per_s_(failures_per_s) {}
  // False: too many have failed lately; nothing was charged.
  bool Begin(const std::string& user, const std::string& address, base::Instant now);
  void GiveBack(const std::string& user, const std::string& address);
  size_t size() const { return paid_until_.size(); }

  static constexpr size_t kEntriesMax = 10000;

 private:
  base::Duration Cost() const { return base::Seconds(1) / failures_per_s_; }

  const int64_t failures_per_s_;
  std::map<std::string, base::Instant> paid_until_;  // by user and address
};

}  // namespace lariat::security

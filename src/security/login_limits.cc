// SPDX-License-Identifier: Apache-2.0
#include "security/login_limits.h"

#include <algorithm>

namespace lariat::security {
namespace {

std::string PairOf(const std::string& user, const std::string& address) {
  return user + '\0' + address;
}

}  // namespace

bool LoginLimits::Begin(const std::string& user, const std::string& address, base::Instant now) {
  const std::string pair = PairOf(user, address);
  if (!paid_until_.contains(pair) && paid_until_.size() >= kEntriesMax) {
    std::erase_if(paid_until_, [now](const auto& entry) { return entry.second <= now; });
    if (paid_until_.size() >= kEntriesMax) {
      paid_until_.erase(std::ranges::min_element(paid_until_, {},
                                                 [](const auto& entry) { return entry.second; }));
    }
  }
  base::Instant& until = paid_until_[pair];
  const base::Instant paid = std::max(until, now) + Cost();
  if (paid > now + base::Seconds(1)) return false;
  until = paid;
  return true;
}

void LoginLimits::GiveBack(const std::string& user, const std::string& address) {
  const auto found = paid_until_.find(PairOf(user, address));
  if (found != paid_until_.end()) found->second -= Cost();
}

}  // namespace lariat::security

// SPDX-License-Identifier: Apache-2.0
#include "security/rights.h"

#include <algorithm>
#include <utility>

namespace lariat::security {
namespace {

bool IsFor(const Grant& grant, Action action, std::string_view bucket) {
  return (grant.actions & static_cast<uint8_t>(action)) != 0 &&
         (grant.bucket == bucket || grant.bucket == kAllBuckets);
}

}  // namespace

Rights::Rights(Book book) : book_(std::move(book)) {
  for (const auto& [name, user] : book_.users) {
    OfUser& own = users_[name];
    own.generation = user.generation;
    for (const std::string& role : user.roles) {
      const auto found = book_.roles.find(role);
      if (found == book_.roles.end()) continue;
      own.grants.insert(own.grants.end(), found->second.grants.begin(), found->second.grants.end());
    }
  }
}

const Rights::OfUser* Rights::Find(std::string_view user, uint64_t generation) const {
  const auto found = users_.find(user);
  if (found == users_.end() || found->second.generation != generation) return nullptr;
  return &found->second;
}

bool Rights::OfUser::Allows(Action action, std::string_view bucket, std::string_view key) const {
  return std::ranges::any_of(grants, [&](const Grant& grant) {
    return IsFor(grant, action, bucket) && key.starts_with(grant.prefix);
  });
}

bool Rights::OfUser::AllowsRange(Action action, std::string_view bucket, std::string_view start,
                                 std::string_view end) const {
  return std::ranges::any_of(grants, [&](const Grant& grant) {
    if (!IsFor(grant, action, bucket)) return false;
    if (grant.prefix.empty()) return true;
    const std::string past = EndOfPrefix(grant.prefix);
    const bool ends_inside = past.empty() || (!end.empty() && end <= past);
    return start >= grant.prefix && ends_inside;
  });
}

bool Rights::OfUser::AllowsAnythingIn(std::string_view bucket) const {
  return std::ranges::any_of(grants, [bucket](const Grant& grant) {
    return grant.bucket == bucket || grant.bucket == kAllBuckets;
  });
}

std::string EndOfPrefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<uint8_t>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<uint8_t>(end.back()) + 1);
  return end;
}

}  // namespace lariat::security

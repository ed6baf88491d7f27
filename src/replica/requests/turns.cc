// SPDX-License-Identifier: Apache-2.0
#include "replica/requests/turns.h"

#include <utility>

#include "base/check.h"

namespace lariat::replica {

void Turns::Take(const std::string& answer_key, StatusDone turn) {
  const auto [others, is_free] = turns_.try_emplace(answer_key);
  if (is_free) return turn({});
  if (!records_.JoinQueue()) {
    return turn(base::Fail(base::Code::kOverloaded, "too many requests with one Idempotency-Key"));
  }
  others->second.push_back(std::move(turn));
}

void Turns::End(const std::string& answer_key) {
  const auto others = turns_.find(answer_key);
  LARIAT_CHECK(others != turns_.end(), "a turn ends once");
  if (others->second.empty()) {
    turns_.erase(others);
    return;
  }
  StatusDone next = std::move(others->second.front());
  others->second.pop_front();
  // From the loop: a thousand repeated requests must not be a thousand calls deep.
  queue_.Post(lifetime_.Guard([this, next = std::move(next)]() mutable {
    records_.LeaveQueue();
    next({});
  }));
}

void Turns::BehindAll(const std::function<StatusDone(const std::string&)>& make) {
  for (auto& [answer_key, others] : turns_) {
    records_.JoinQueueAnyway();
    others.push_back(make(answer_key));
  }
}

}  // namespace lariat::replica

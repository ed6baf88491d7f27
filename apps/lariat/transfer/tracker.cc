// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/tracker.h"

#include "base/check.h"

namespace lariat::cli::transfer {

uint64_t Tracker::Begin(uint64_t end) {
  if (frozen_) return 0;
  pending_.push_back({end, false});
  return first_ticket_ + pending_.size() - 1;
}

void Tracker::End(uint64_t ticket) {
  if (frozen_) return;
  LARIAT_CHECK(ticket >= first_ticket_, "a record ended twice");
  LARIAT_CHECK(ticket - first_ticket_ < pending_.size(), "a record ended that was not begun");
  pending_[ticket - first_ticket_].ended = true;
  while (!pending_.empty() && pending_.front().ended) {
    offset_ = pending_.front().end;
    ++records_;
    ++first_ticket_;
    pending_.pop_front();
  }
}

void Tracker::Freeze() {
  frozen_ = true;
  pending_.clear();
}

}  // namespace lariat::cli::transfer

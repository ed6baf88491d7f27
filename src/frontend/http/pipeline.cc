// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/pipeline.h"

#include <utility>

#include "base/check.h"

namespace lariat::frontend::http {

uint64_t Pipeline::Push() {
  LARIAT_CHECK(!Full(), "the pipeline is full");
  if (next_ - first_ == places_.size()) {
    std::vector<Pending> larger(places_.empty() ? 1 : places_.size() * 2);
    for (uint64_t n = first_; n != next_; ++n) {
      larger[n & (larger.size() - 1)] = std::move(Place(n));
    }
    places_ = std::move(larger);
  }
  Pending& pending = Place(next_);
  pending.form = {};
  pending.key.clear();
  pending.answered = false;
  pending.reply = {};
  return next_++;
}

Pending* Pipeline::At(uint64_t number) {
  return number >= first_ && number < next_ ? &Place(number) : nullptr;
}

}  // namespace lariat::frontend::http

// SPDX-License-Identifier: Apache-2.0
// Several answers that come in any order, and one continuation when the last one is there:
//
//   base::Gather<Sum> gather(Sum(), [done](Sum sum) mutable { done(sum); });
//   for (Place& place : places) {
//     gather.Expect();
//     place.Ask([gather](int n) { gather->total += n; gather.Arrive(); });
//   }
//   gather.Arrive();  // for the loop itself: all have been asked
//
// Without the last line an answer that comes before its question returns would end it too early.
// Counting destructors instead would too: callbacks that are dropped with their world would go on.
//
// A handle: copies stand for the same gathering, which they own together. Only one thread calls
// Expect and Arrive and touches the state; handles may be copied, moved and dropped on others.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/unique_function.h"

namespace lariat::base {

template <typename State>
class Gather {
 public:
  using Done = UniqueFunction<void(State)>;
  // Expects one arrival: that of whoever asks.
  Gather(State state, Done done)
      : shared_(std::make_shared<Shared>(Shared{1, std::move(state), std::move(done)})) {}

  // REQUIRES: not all have arrived.
  void Expect(size_t more = 1) const {
    LARIAT_CHECK(shared_->open > 0, "nothing is expected after the end");
    shared_->open += more;
  }
  // The last one calls `done` with the state, and leaves nothing of either. REQUIRES: not all have
  // arrived.
  void Arrive() const {
    LARIAT_CHECK(shared_->open > 0, "more has arrived than was expected");
    if (--shared_->open > 0) return;
    Done done = std::move(shared_->done);
    done(std::move(shared_->state));
  }
  State* operator->() const { return &shared_->state; }
  State& operator*() const { return shared_->state; }

 private:
  struct Shared {
    size_t open;
    State state;
    Done done;
  };
  std::shared_ptr<Shared> shared_;  // co-owned by the copies of this
};

}  // namespace lariat::base

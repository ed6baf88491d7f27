// SPDX-License-Identifier: Apache-2.0
// What a topology change asks of a replica.
#include <utility>

#include "replica/replica.h"

namespace lariat::replica {

using storage::Space;

void Replica::WhenSettled(base::UniqueFunction<void()> done) {
  // Co-owned by everything that is waited for: whoever lets go last stages the end.
  struct Barrier {
    Replica* replica;
    base::UniqueFunction<void()> done;
    size_t open = 1;
    void Close() {
      if (--open > 0) return;
      // Behind all that is staged. A refused batch has settled too.
      replica->pending_.Stage(
          {}, AckWhen::kWritten, [end = std::move(done)](const base::Status&) mutable { end(); },
          [](const base::Status&) {});
    }
  };
  auto barrier = std::make_shared<Barrier>();
  barrier->replica = this;
  barrier->done = std::move(done);
  // Behind those that wait for their turn or for the disk; each of them stages before it makes way.
  for (auto& [answer_key, others] : turns_) {
    ++barrier->open;
    ++waiting_loads_;
    others.push_back([this, barrier, key = answer_key](const base::Status&) {
      EndTurn(key);
      barrier->Close();
    });
  }
  for (const Space space : {Space::kData, Space::kHints}) {
    for (auto& [key, load] : Loads(space)) {
      ++barrier->open;
      ++waiting_loads_;
      load.waiting.push_back([barrier](const Looked&) { barrier->Close(); });
    }
  }
  barrier->Close();
}

}  // namespace lariat::replica

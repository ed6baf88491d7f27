// SPDX-License-Identifier: Apache-2.0
// What a topology change asks of a replica.
#include <utility>

#include "replica/replica.h"

namespace lariat::replica {

using storage::Space;

base::Result<std::vector<std::string>> Replica::Remove(const std::vector<std::string>& data_keys) {
  std::vector<std::string> skipped;
  storage::WriteBatch batch;
  for (const std::string& key : data_keys) {
    // A write in memory is not in the engine yet, and one that waits for the disk will join what it
    // is about to read: neither may find that the record went away under it.
    if (pending_.Find(Space::kData, key) != nullptr || Loads(Space::kData).contains(key)) {
      skipped.push_back(key);
    } else {
      batch.Remove(Space::kData, key);
    }
  }
  if (batch.Empty()) return skipped;
  if (auto status = engine_.Write(batch); !status) return base::Fail(status.error());
  return skipped;
}

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

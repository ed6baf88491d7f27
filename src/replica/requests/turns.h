// SPDX-License-Identifier: Apache-2.0
// Updates with one Idempotency-Key run one after the other: from the look at the recorded answer
// until the event is staged nobody else may look. A shard's thread.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <unordered_map>

#include "base/lifetime.h"
#include "replica/record/records.h"
#include "replica/requests/requests.h"
#include "storage/engine.h"

namespace lariat::replica {

class Turns {
 public:
  Turns(Records& records, storage::CompletionQueue& queue) : records_(records), queue_(queue) {}

  // Runs `turn`, at once if nobody has it; it ends with End. kOverloaded: too many wait.
  void Take(const std::string& answer_key, StatusDone turn);
  void End(const std::string& answer_key);
  // Takes a turn behind those that wait now, for each key, however many there are; `make` is given
  // the key that the turn has to end.
  void BehindAll(const std::function<StatusDone(const std::string&)>& make);

 private:
  Records& records_;
  storage::CompletionQueue& queue_;
  std::unordered_map<std::string, std::deque<StatusDone>> turns_;  // by answer key, while taken
  base::Lifetime lifetime_;
};

}  // namespace lariat::replica

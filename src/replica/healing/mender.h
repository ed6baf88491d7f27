// SPDX-License-Identifier: Apache-2.0
// Changes of records that no client has asked for: forgetting them, folding their history,
// replacing damaged ones. Each record is looked at and changed in one turn. A shard's thread;
// Replica says what a caller may rely on.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "replica/record/records.h"
#include "replica/requests/requests.h"

namespace lariat::replica {

class Mender {
 public:
  explicit Mender(Records& records) : records_(records) {}

  void RemoveIf(std::vector<RecordVersion> records, std::function<bool()> allowed, StatesDone done);
  void FoldIf(std::vector<RecordVersion> records, std::function<bool()> allowed, StatesDone done);
  void Replace(std::string data_key, std::string damaged, std::string object, StateDone done);

 private:
  void ChangeEach(std::vector<RecordVersion> records, std::function<bool()> allowed,
                  StatesDone done,
                  void (Mender::*change)(const RecordVersion&, std::string_view, StateDone));
  void RemoveOne(const RecordVersion& record, std::string_view found, StateDone done);
  void FoldOne(const RecordVersion& record, std::string_view found, StateDone done);
  void Stage(const RecordChange& change, const std::optional<causal::Actor>& own_actor,
             std::vector<PendingWrites::Put> beside, StateDone done);

  Records& records_;
};

}  // namespace lariat::replica

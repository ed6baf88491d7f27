// SPDX-License-Identifier: Apache-2.0
// Makes new events as the coordinator of a client's write: looks up the record, checks the client's
// condition, makes the event under an actor (or stamp) of this incarnation, and stages it. A
// shard's thread; Replica::Update says what a caller may rely on.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "causal/object.h"
#include "replica/record/record_watch.h"
#include "replica/record/records.h"
#include "replica/registers/register_rules.h"
#include "replica/requests/incarnation.h"
#include "replica/requests/requests.h"
#include "replica/requests/turns.h"
#include "telemetry/metrics.h"

namespace lariat::replica {

class EventMaker {
 public:
  struct Parts {
    Records& records;
    RegisterRules& registers;
    RecordWatch& watch;
    Incarnation& incarnation;
  };
  EventMaker(const Parts& parts, storage::CompletionQueue& queue, telemetry::Metrics& metrics)
      : records_(parts.records),
        registers_(parts.registers),
        watch_(parts.watch),
        incarnation_(parts.incarnation),
        turns_(parts.records, queue),
        metrics_(metrics) {}

  // The request is moved from.
  void Update(UpdateRequest& request, UpdateDone&& updated, StatusDone&& durable);
  Turns& turns() { return turns_; }

 private:
  void UpdateOnce(UpdateRequest& request, Place&& place, UpdateDone&& updated,
                  StatusDone&& durable);
  void Replay(const std::string& answer_key, std::string answer, UpdateDone&& updated,
              StatusDone&& durable);
  void Start(UpdateRequest& request, Place&& place, UpdateDone&& updated, StatusDone&& durable);
  void Apply(UpdateRequest& request, const Place& place, UpdateDone&& updated, StatusDone&& durable,
             const Looked& record);
  struct Record {
    causal::Object object;
    std::optional<causal::Actor> own_actor;
    std::optional<RecordImage> stored;
  };
  base::Result<Record> RecordOf(const Looked& found, causal::Kind kind);
  // The change's value and context are moved out.
  base::Result<UpdateResult> MakeEvent(causal::Change* change, const Place& place, Record* record);
  void Stage(UpdateRequest& request, const Place& place, const Record& record,
             UpdateResult&& result, UpdateDone&& updated, StatusDone&& durable);

  Records& records_;
  RegisterRules& registers_;
  RecordWatch& watch_;
  Incarnation& incarnation_;
  Turns turns_;
  telemetry::Metrics& metrics_;
};

}  // namespace lariat::replica

// SPDX-License-Identifier: Apache-2.0
// Joins what peers send into the records. A shard's thread; Replica::Write says what a caller may
// rely on.
#pragma once

#include <optional>
#include <string>

#include "replica/record/record_watch.h"
#include "replica/record/records.h"
#include "replica/registers/register_rules.h"
#include "replica/requests/requests.h"
#include "replica/requests/voter.h"
#include "telemetry/metrics.h"

namespace lariat::replica {

class Merger {
 public:
  Merger(Records& records, RegisterRules& registers, RecordWatch& watch, Voter& voter,
         telemetry::Metrics& metrics)
      : records_(records), registers_(registers), watch_(watch), voter_(voter), metrics_(metrics) {}

  void Write(const KeyRef& key, std::string&& object, WriteOptions&& options, StatusDone&& done);

 private:
  void Merge(const Place& place, std::string&& object, WriteOptions&& options, StatusDone&& done,
             const Looked& record);
  void Stage(const Place& place, const RecordChange& change,
             const std::optional<causal::Actor>& own_actor, WriteOptions&& options,
             StatusDone&& done);

  Records& records_;
  RegisterRules& registers_;
  RecordWatch& watch_;
  Voter& voter_;
  telemetry::Metrics& metrics_;
};

}  // namespace lariat::replica

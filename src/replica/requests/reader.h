// SPDX-License-Identifier: Apache-2.0
// Reads records, gives out only what is durable, and tells the registers what was shown. A shard's
// thread; Replica::Read says what a caller may rely on.
#pragma once

#include <string>

#include "replica/record/records.h"
#include "replica/registers/register_rules.h"
#include "replica/requests/requests.h"
#include "replica/requests/voter.h"
#include "telemetry/metrics.h"

namespace lariat::replica {

class Reader {
 public:
  Reader(Records& records, RegisterRules& registers, Voter& voter, telemetry::Metrics& metrics)
      : records_(records), registers_(registers), voter_(voter), metrics_(metrics) {}

  void Read(const KeyRef& key, ReadOptions&& options, ReadDone&& done);

 private:
  void ReadAnswer(Place&& place, ReadOptions&& options, ReadDone&& done);
  void ReadRecord(Place&& place, ReadOptions&& options, ReadDone&& done, std::string&& answer);
  void Finish(Place&& place, ReadOptions&& options, ReadDone&& done, Looked&& record,
              std::string&& answer);

  Records& records_;
  RegisterRules& registers_;
  Voter& voter_;
  telemetry::Metrics& metrics_;
};

}  // namespace lariat::replica

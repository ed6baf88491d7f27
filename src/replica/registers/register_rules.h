// SPDX-License-Identifier: Apache-2.0
// What happens to registers (objects ordered by clock) at this replica: which of those that peers
// send may come, what a coordinator is told of them, and what the next event of this node is. The
// facts come from RegisterWatch, the stamps from the shard's clock.
//
// Why these are no rider of record changes: the answers are needed before anything is staged, also
// for a register that changes nothing.
//
// Threads: one shard's thread.
#pragma once

#include <string_view>

#include "base/result.h"
#include "causal/object.h"
#include "replica/clock.h"
#include "replica/record/records.h"
#include "replica/registers/register_watch.h"
#include "replica/requests/incarnation.h"
#include "replica/requests/requests.h"
#include "telemetry/metrics.h"

namespace lariat::replica {

class RegisterRules {
 public:
  // `since`: of RegisterWatch.
  RegisterRules(const Records& records, Clock& clock, const Incarnation& incarnation,
                causal::HlcStamp since, telemetry::Metrics& metrics)
      : records_(records),
        clock_(clock),
        incarnation_(incarnation),
        watch_(since),
        metrics_(metrics) {}

  // May a peer's object come to where `present` is stored (null: nothing)? Fills in options.answer.
  // One that is no register always may.
  base::Status Judge(const Place& place, const causal::Object& sent, const causal::Object* present,
                     const WriteOptions& options);
  // Makes the change's event in the register; its value is moved out. An error: none was made.
  base::Result<UpdateResult> Make(causal::Change* change, const Place& place,
                                  causal::Object* object);
  // A read is given the object, if it is a register.
  void OnRead(const Place& place, std::string_view object);

 private:
  // Whether records were lost here among which there may have been greater ones than this.
  bool MayLack(const Place& place, causal::HlcStamp stamp) const;
  base::Result<causal::HlcStamp> Stamp(const causal::Change& change, causal::HlcStamp present,
                                       UpdateResult* result);

  const Records& records_;
  Clock& clock_;
  const Incarnation& incarnation_;
  RegisterWatch watch_;
  telemetry::Metrics& metrics_;
};

}  // namespace lariat::replica

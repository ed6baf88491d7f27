// SPDX-License-Identifier: Apache-2.0
// The acceptors of the keys of serial buckets: each record of such a key is one acceptor of its
// register (consensus/acceptor.h). The accepted state is the record's object; the promise lies
// where other records have their own actor (docs/formats/record.md), because both are this node's
// alone and never leave it. A key that was only promised for is a record with an empty object: no
// reader finds it, and no hash tree counts it.
//
// What is told here is durable first, whatever the bucket's durability says. While records of the
// bucket are in doubt this acceptor may have forgotten promises, and abstains; it goes on to take
// states from repair, which ends the doubt.
//
// A shard's thread; Replica::Read and Replica::Write say what a caller may rely on.
#pragma once

#include <optional>
#include <string>

#include "consensus/acceptor.h"
#include "replica/record/records.h"
#include "replica/requests/requests.h"
#include "telemetry/metrics.h"

namespace lariat::replica {

class Voter {
 public:
  Voter(Records& records, telemetry::Metrics& metrics) : records_(records), metrics_(metrics) {}

  // A read that also promises. With `promised` other than what was asked for nothing else is told.
  void Promise(Place&& place, ReadOptions&& options, ReadDone&& done);
  // Accepts the object, unless more is promised: then `options.answer` says so, or, for whoever
  // wants none (repair, streams), the error is kConflict. REQUIRES: Object::IsAgreed(object).
  void Accept(const Place& place, std::string&& object, WriteOptions&& options, StatusDone&& done,
              const Looked& record);

 private:
  // A record as an acceptor.
  struct Stored {
    consensus::Acceptor acceptor;
    std::optional<std::string> object;  // as it lies there
  };
  base::Result<Stored> AcceptorIn(const std::optional<std::string>& record);
  void OnPromise(const Place& place, const ReadOptions& options, ReadDone&& done,
                 const Looked& record);
  // Puts the acceptor's state in the place of the record; `done` when it is durable.
  void Keep(const Place& place, const Stored& stored, base::WallTime now, StatusDone&& done);

  Records& records_;
  telemetry::Metrics& metrics_;
};

}  // namespace lariat::replica

// SPDX-License-Identifier: Apache-2.0
// Clients' reads. Reads of one key with the same r share flights: while one is under way, later
// ones wait and then share the next. (Joining the flight that is under way could return data older
// than a write that was done before the later read began.)
//
//   GET k, GET k, GET k, one after another -> flight 1 for the first; it lands -> flight 2 for both
//
// The shard's thread.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/prng.h"
#include "coordinator/deadlines.h"
#include "coordinator/internal/admission.h"
#include "coordinator/internal/op_context.h"
#include "coordinator/internal/reads.h"
#include "coordinator/kv_service.h"
#include "coordinator/quorum.h"

namespace lariat::coordinator {

class ReadFlights {
 public:
  ReadFlights(OpContext& context, Admission& admission, Reads& reads)
      : context_(context),
        admission_(admission),
        reads_(reads),
        random_(context.entropy().Next()) {}

  // As KvService::Get. What still flies when the coordinator goes is never answered.
  void Get(GetRequest request, GetDone done);
  // Ends those that have waited for their flight too long.
  void Tick(base::Instant now);

 private:
  struct Flight {
    std::vector<GetDone> riding;           // get the reply of the read under way
    std::vector<GetRequest> next_request;  // at most one: what the next flight asks for
    std::vector<GetDone> next;             // wait for the next flight
    base::Instant next_due{};              // the latest deadline of those
  };
  // A read that waits for its flight, with its own deadline. Co-owned by its flight and, for a
  // moment, by whoever ends it.
  struct Waiter {
    GetDone done;
    uint32_t needed = 0;
    void End(base::Result<GetReply> reply);
  };
  struct Plan {
    std::string key;  // of flights_
    GetRequest request;
    base::Instant deadline;
  };

  base::Status Check(const Target& target, const Quorum& quorum) const;
  GetDone Leaving(GetDone done);
  GetDone Waiting(GetDone done, uint32_t needed, base::Instant due);
  void Prepare(Plan plan);
  void Start(Plan plan, const Target& target, const Quorum& quorum);
  void Land(Plan plan, base::Result<GetReply> reply);

  OpContext& context_;
  Admission& admission_;
  Reads& reads_;
  base::Prng random_;  // which reads compare all replicas
  std::unordered_map<std::string, Flight> flights_;
  Deadlines<std::weak_ptr<Waiter>> waiters_;
};

}  // namespace lariat::coordinator

// SPDX-License-Identifier: Apache-2.0
// Reads of serial buckets. One round trip and no disk write when a majority of the replicas, and of
// the move list's while the key's range moves, has accepted the same ballot: one of them sends the
// value, the others digests, which cover the ballot:
//
//   A (5,"x")  B (5,"x")  C (4,"w")     A and B agree: "x". Any write that was done before the read
//                                       began left a majority at its ballot or above; it meets A, B
//   A (6,"y")  B (5,"x")  C no answer   "y" may be decided, now or never: asked again, then a round
//
// Promises do not matter: a proposer leaves one behind after every write. The price is that such a
// read does not stop a write whose outcome is unknown; a round does (GetRequest::confirm).
//
// The shard's thread. Answered exactly once.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "coordinator/deadlines.h"
#include "coordinator/internal/admission.h"
#include "coordinator/internal/op_context.h"
#include "coordinator/kv_service.h"
#include "coordinator/serial/rounds.h"

namespace lariat::coordinator {

class SerialReads {
 public:
  SerialReads(OpContext& context, Admission& admission, SerialRounds& rounds);

  // Whether the bucket is served here. False also if there is none.
  bool Serves(const std::string& bucket) const;
  void Get(GetRequest request, GetDone done);
  // A full round without a client, for keys that repair could not mend by copies. At most
  // kSettlesMax at once; others are found again.
  void Settle(const std::string& bucket, const std::string& key);
  void Tick(base::Instant now);

 private:
  static constexpr size_t kSettlesMax = 64;
  struct Job;
  using JobPtr = std::shared_ptr<Job>;  // co-owned by its requests and pauses

  void Ask(const JobPtr& job);
  void OnReply(const JobPtr& job, uint32_t ask, size_t replica, wire::ReadReply&& reply);
  // Answers if a majority agrees, or goes on once it is clear that none will.
  void Judge(const JobPtr& job);
  void GoOn(const JobPtr& job);
  void RunRound(const JobPtr& job);
  void Show(const JobPtr& job, const causal::SerialState& state);
  void End(const JobPtr& job, base::Result<GetReply> reply);

  OpContext& context_;
  Admission& admission_;
  SerialRounds& rounds_;
  Deadlines<std::weak_ptr<Job>> deadlines_;
  // And the ask that they follow. They own the job: all its requests may have been answered.
  Deadlines<std::pair<JobPtr, uint32_t>> pauses_;
  std::set<std::pair<std::string, std::string>> settling_;
};

}  // namespace lariat::coordinator

// SPDX-License-Identifier: Apache-2.0
// The proposer of the keys of serial buckets: for each key one line of operations and at most one
// round at a time, which takes up to kSerialBatchMax of them (consensus/proposer_core.h decides,
// serial/ops.h says what they do to the key). Acceptors are the key's replicas; while its range
// moves a round needs a majority of both lists.
//
//   prepare = wire::ReadRequest with `promise`     accept = wire::WriteRequest with the new state
//
// Any node may propose. Writes are brought to the first live replica (write_jobs.h), so that those
// on one key meet in one line, and so that its next round needs no prepare.
//
// Threads: the shard's. An operation is answered exactly once: kUnavailable, kInsufficientReplicas
// = nothing of it can take effect; kUnknown = its proposal went out. Reads fail with kTimeout.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/prng.h"
#include "base/unique_function.h"
#include "consensus/proposer_core.h"
#include "coordinator/deadlines.h"
#include "coordinator/internal/op_context.h"
#include "coordinator/plan.h"
#include "serial/ops.h"

namespace lariat::coordinator {

inline constexpr size_t kSerialBatchMax = 64;

class SerialRounds {
 public:
  using Done = base::UniqueFunction<void(base::Result<serial::Outcome>)>;
  struct Place {
    std::string bucket, key;
  };

  explicit SerialRounds(OpContext& context);

  void Submit(const Place& place, serial::Op op, base::Instant deadline, Done done);
  void Tick(base::Instant now);

 private:
  // An operation from its arrival to its answer.
  struct Waiter {
    serial::Op op;
    base::Instant deadline{};
    Done done;          // empty: it was answered
    bool sent = false;  // in a proposal
    void End(base::Result<serial::Outcome> result);
  };
  using WaiterPtr = std::shared_ptr<Waiter>;  // co-owned by its line, its round and its deadline
  struct Round;
  using RoundPtr = std::shared_ptr<Round>;  // co-owned by its key and its requests
  struct Line {
    std::deque<WaiterPtr> waiting;
    RoundPtr round;  // null: none is under way
    consensus::ProposerCache cache;
    uint64_t cache_fence = 0;
    base::Instant cache_until{};
  };
  using Action = consensus::ProposerCore::Action;
  using Actions = consensus::ProposerCore::Actions;

  void StartRound(const std::string& name);
  std::vector<WaiterPtr> TakeBatch(Line& line);
  RoundPtr MakeRound(const std::string& name, Line& line, Target target,
                     std::vector<WaiterPtr> batch);
  std::optional<std::string> Change(Round& round, std::optional<std::string_view> current);
  void Run(const RoundPtr& round, const Actions& actions);
  void Prepare(const RoundPtr& round, const Action& action);
  void OnPrepared(const RoundPtr& round, const Action& action, const wire::ReadReply& reply);
  void Accept(const RoundPtr& round, const Action& action);
  void OnAccepted(const RoundPtr& round, const Action& action, const wire::WriteReply& reply);
  void Failed(const RoundPtr& round, const Action& action, base::Code code);
  void SendAgain(const RoundPtr& round, const Action& action);
  void BackOff(const RoundPtr& round, uint32_t attempt);
  void Finish(const RoundPtr& round);
  // After an outcome that is not known: what became of each all the same, or which go again.
  void Resolve(const RoundPtr& round, const consensus::ProposerCore::Result& result,
               std::vector<WaiterPtr>* again);
  void Leave(const RoundPtr& round, std::vector<WaiterPtr> again);
  // Nothing waits: kept for its cache, or forgotten.
  void Rest(const std::string& name, const Line& line);
  base::Duration TimeLeft(const Round& round) const;
  serial::Terms Terms() const;

  OpContext& context_;
  base::Prng prng_;
  std::optional<consensus::BallotSource> ballots_;  // from the first round on
  std::unordered_map<std::string, Line> lines_;     // by bucket and key
  Deadlines<std::weak_ptr<Waiter>> waiters_;
  Deadlines<std::weak_ptr<Round>> rounds_;
  Deadlines<std::function<void()>> back_offs_;
  Deadlines<std::string> idle_;  // lines kept for their cache
};

}  // namespace lariat::coordinator

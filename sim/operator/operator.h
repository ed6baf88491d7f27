// SPDX-License-Identifier: Apache-2.0
// The people who run the cluster: they ask for changes of its topology while the traffic runs,
// start the machines that join, cancel some of it, and see all of it to its end. strikes.h is about
// the participants that are struck meanwhile.
#pragma once

#include <map>
#include <set>
#include <string>

#include "coordinator/admin_service.h"
#include "sim/operator/strikes.h"
#include "sim/report/report.h"
#include "sim/world/cluster.h"

namespace lariat::sim {

class Operator {
 public:
  // `on_step`: the topology has changed.
  Operator(Cluster& cluster, Faults& faults, Report& report, uint64_t seed,
           std::function<void()> on_step);
  void Start();
  // Asks for nothing more, strikes nobody any more.
  void Stop();
  // The chosen participant was struck, and the others have had time to go on without it.
  bool Over() const;
  // Ends all faults, waits for the end of every change, and brings back what was out for good: it
  // has to be a member or to be refused. Reports what does not come to its end.
  void Settle();

 private:
  using Order = void (Operator::*)();
  void Schedule(int64_t times, Order order);
  struct Held {
    std::function<void()> release;  // null: done
    membership::Phase until{};
  };
  void HoldUp();
  void ReleaseIn(membership::Phase step);
  void Join();
  void Leave();
  void Remove();
  void Replace();
  void Reweight();

  void Replicate();

  // Asks some member, and again until one takes it.
  using Taken = std::shared_ptr<bool>;  // co-owned by the callbacks of one question
  void AskUntilTaken(const std::function<void(Machine&, const Taken&)>& ask);
  void Ask(const coordinator::ChangeRequest& request);
  void Cancel(uint64_t number);
  void AskToCancel(uint64_t number);

  void Look();
  void OnQueued(const membership::Change& change);
  void OnStep(const membership::Operation& operation);

  void After(base::Duration delay, env::Task task);
  void Say(const std::string& what);
  // A member that nothing was asked about yet.
  std::optional<size_t> PickTarget();
  // Takes a member down, or cuts it off, until the end.
  std::optional<size_t> PutOneOut();
  Machine* SomeMember();
  // Nothing is under way or waiting, and whoever runs is a member with the same document, or has
  // left. `refused_too`: or wanted to replace somebody who is not dead.
  bool Settled(bool refused_too) const;
  void CancelWhatWaits();
  void RemoveTheGivenUp();
  void BringBack();
  std::string WhyNotSettled();

  Cluster& cluster_;
  Faults& faults_;
  Report& report_;
  base::Prng prng_;
  std::function<void()> on_step_;
  Strikes strikes_;
  bool stopped_ = false;
  uint64_t fence_ = 0;  // the last one seen
  bool one_is_out_ = false;
  membership::Phase let_in_at_{};  // the step of its removal in which it comes back
  size_t next_late_;               // the next machine that was never started
  std::vector<Held> held_;         // links of one shard
  std::set<size_t> targets_;       // machines that something was asked about
  std::map<uint64_t, membership::Phase> cancel_in_;  // by number of the change
  std::set<uint64_t> seen_;                          // changes by number
  std::pair<uint64_t, membership::Phase> step_{};    // the one seen last; 0: no change
};

}  // namespace lariat::sim

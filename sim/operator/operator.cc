// SPDX-License-Identifier: Apache-2.0
#include "sim/operator/operator.h"

#include <fmt/format.h>

#include <utility>

#include "membership/drive_core.h"
#include "sim/report/coverage.h"

namespace lariat::sim {

using coordinator::ChangeVerb;
using membership::ChangeKind;
using membership::Phase;

namespace {

constexpr base::Duration kOperatorLook = base::Millis(2);
constexpr base::Duration kAskAgain = base::Millis(300);
constexpr base::Duration kOperatorPatience = base::Seconds(15);  // with what is out for good
constexpr base::Duration kLookAgain = base::Seconds(5);
constexpr int kLooksMax = 8;
constexpr base::Duration kAfterStrike = base::Seconds(1);
constexpr base::Duration kStep = base::Millis(20);
constexpr int64_t kReleaseWithinUs = 300000;
constexpr int64_t kCancelWithinUs = 5000;

}  // namespace

Operator::Operator(Cluster& cluster, Faults& faults, Report& report, uint64_t seed,
                   std::function<void()> on_step)
    : cluster_(cluster),
      faults_(faults),
      report_(report),
      prng_(seed),
      on_step_(std::move(on_step)),
      strikes_(cluster, faults, report, prng_.Next()),
      next_late_(static_cast<size_t>(cluster.options().nodes)) {}

void Operator::After(base::Duration delay, env::Task task) {
  cluster_.scheduler().After(delay, std::move(task));
}

void Operator::Say(const std::string& what) {
  cluster_.trace().Note(cluster_.scheduler().Now(), -1, "", what,
                        [&] { return "operator: " + what; });
}

void Operator::Start() {
  const Options& o = cluster_.options();
  if (!o.Changes()) return;
  Schedule(o.joins, &Operator::Join);
  Schedule(o.leaves, &Operator::Leave);
  Schedule(o.removes, &Operator::Remove);
  Schedule(o.replaces, &Operator::Replace);
  Schedule(o.reweights, &Operator::Reweight);
  Schedule(o.n_later > 0 ? 1 : 0, &Operator::Replicate);
  Look();
}

void Operator::Schedule(int64_t times, Order order) {
  for (int64_t i = 0; i < times; ++i) {
    After(base::Millis(prng_.Between(0, cluster_.options().changes_within_ms)), [this, order] {
      if (stopped_) return;
      HoldUp();
      (this->*order)();
    });
  }
}

// --- what is asked for -------------------------------------------------------------------------

std::optional<size_t> Operator::PickTarget() {
  std::vector<size_t> free;
  for (const size_t machine : cluster_.Members()) {
    if (!targets_.contains(machine)) free.push_back(machine);
  }
  // Where one participant is chosen they have to be different ones.
  if (cluster_.options().strike_step != 0) {
    const auto driver = membership::Drivers(cluster_.Newest()->topology).front();
    std::erase_if(free, [&](size_t m) { return cluster_.machine(m).Id() == driver; });
  }
  if (free.empty()) return std::nullopt;
  const size_t machine = free[prng_.Below(free.size())];
  targets_.insert(machine);
  return machine;
}

Machine* Operator::SomeMember() {
  const std::vector<size_t> members = cluster_.Members();
  return members.empty() ? nullptr : &cluster_.machine(members[prng_.Below(members.size())]);
}

// What one shard has sent by the topology of now arrives when the change is well under way, or
// over.
void Operator::HoldUp() {
  if (!prng_.Chance(static_cast<double>(cluster_.options().late_percent) / 100)) return;
  const std::vector<size_t> members = cluster_.Members();
  const Machine* machine = SomeMember();
  if (machine == nullptr || !held_.empty()) return;
  const int from = machine->number();
  const auto shard = static_cast<uint32_t>(cluster_.options().shards - 1);
  for (const size_t member : members) {
    const int to = static_cast<int>(member);
    if (to == from) continue;
    cluster_.network().Hold(from, shard, to);
    // The end of the change is "no step".
    const Phase until = prng_.Chance(0.4) ? Phase::kSwitch : Phase{};
    held_.push_back({[this, from, shard, to] {
                       Say(fmt::format("m{}.{} reaches m{} again", from + 1, shard, to + 1));
                       cluster_.network().Release(from, shard, to);
                     },
                     until});
  }
  report_.Count("faults: shards held up");
  Say(fmt::format("m{}.{} is held up", from + 1, shard));
}

void Operator::ReleaseIn(Phase step) {
  const auto late = [this] { return base::Duration(1000 * prng_.Between(0, kReleaseWithinUs)); };
  for (Held& held : held_) {
    if (held.release && held.until == step) After(late(), std::exchange(held.release, nullptr));
  }
}

void Operator::Join() {
  Machine& machine = cluster_.machine(next_late_++);
  std::vector<std::string> addresses;
  for (const size_t member : cluster_.Members()) {
    addresses.push_back(cluster_.machine(member).Address());
  }
  if (cluster_.options().move_every_ms > 0) machine.SetJoin(std::move(addresses));
  Say("starts " + machine.Name());
  machine.Start();
}

void Operator::Leave() {
  if (const auto machine = PickTarget()) {
    Ask({ChangeVerb::kDecommission, cluster_.machine(*machine).Name()});
  }
}

// One in a run: a second one would take the other copy of what two replicas acknowledged.
std::optional<size_t> Operator::PutOneOut() {
  if (std::exchange(one_is_out_, true)) return std::nullopt;
  const auto machine = PickTarget();
  let_in_at_ = static_cast<Phase>(prng_.Between(1, 3));
  const bool chosen = cluster_.options().strike_step != 0;
  const Blow blow = chosen ? Blow::kKill : static_cast<Blow>(prng_.Below(kBlows));
  if (machine) faults_.PutOut(*machine, blow);
  return machine;
}

void Operator::Remove() {
  const auto machine = PutOneOut();
  if (!machine) return;
  Ask({ChangeVerb::kRemove, cluster_.machine(*machine).Name()});
}

void Operator::Replace() {
  const auto machine = PutOneOut();
  if (!machine) return;
  Machine& newcomer = cluster_.machine(next_late_++);
  newcomer.SetReplaces(cluster_.machine(*machine).Name());
  Say("starts " + newcomer.Name() + " in the place of " + cluster_.machine(*machine).Name());
  newcomer.Start();
}

void Operator::Reweight() {
  const auto machine = PickTarget();
  if (!machine) return;
  Ask({ChangeVerb::kReweight, cluster_.machine(*machine).Name(), prng_.Chance(0.5) ? 0.4 : 2.5});
}

void Operator::Replicate() {
  AskUntilTaken([this](Machine& machine, const Taken& taken) {
    coordinator::Coordinator& coordinator = machine.node().shard(0).coordinator();
    membership::BucketProperties bucket = *machine.View()->FindBucket(kBucket);
    bucket.n = static_cast<uint32_t>(cluster_.options().n_later);
    coordinator.SetBucket(bucket, {}, [this, taken](const base::Status& status) {
      *taken = status.has_value();
      Say(fmt::format("asked for another n: {}", status ? "taken" : status.error().message));
    });
  });
}

void Operator::Ask(const coordinator::ChangeRequest& request) {
  AskUntilTaken([this, request](Machine& machine, const Taken& taken) {
    machine.node().admin(0).RequestChange(
        request, [this, request, taken](const base::Result<coordinator::ChangeTicket>& ticket) {
          *taken = ticket.has_value();
          Say(fmt::format("asked about {}: {}", request.node,
                          ticket ? fmt::format("task {}", ticket->task) : ticket.error().message));
        });
  });
}

void Operator::AskUntilTaken(const std::function<void(Machine&, const Taken&)>& ask) {
  if (stopped_) return;
  Machine* machine = SomeMember();
  const auto taken = std::make_shared<bool>(false);
  if (machine != nullptr) machine->Post(0, [machine, ask, taken] { ask(*machine, taken); });
  After(kAskAgain, [this, ask, taken] {
    if (!*taken) AskUntilTaken(ask);
  });
}

void Operator::AskToCancel(uint64_t number) {
  Machine* machine = SomeMember();
  if (machine == nullptr) return;
  machine->Post(0, [this, machine, number] {
    machine->node().admin(0).Cancel(number, {}, [this, number](const base::Status& status) {
      Say(fmt::format("cancels task {}: {}", number, status ? "done" : status.error().message));
    });
  });
}

void Operator::Cancel(uint64_t number) {
  report_.Count("changes: asked to cancel");
  AskToCancel(number);
}

// --- steps -------------------------------------------------------------------------------------

void Operator::Look() {
  if (stopped_) return;
  cluster_.NoteLeavers();
  if (const auto view = cluster_.Newest()) {
    if (std::exchange(fence_, view->fence()) != view->fence()) on_step_();
    for (const membership::Change& change : view->topology.queue) OnQueued(change);
    if (const auto& operation = view->topology.operation) {
      OnQueued(operation->change);
      const std::pair<uint64_t, Phase> step{operation->change.number, operation->phase};
      if (std::exchange(step_, step) != step) {
        OnStep(*operation);
        strikes_.OnStep(*view);
      }
    } else if (std::exchange(step_, {}).first != 0) {
      ReleaseIn(Phase{});
      strikes_.OnEnd(*view);
    }
  }
  strikes_.OnLook();
  After(kOperatorLook, [this] { Look(); });
}

// Decides once what will become of it.
void Operator::OnQueued(const membership::Change& change) {
  if (!seen_.insert(change.number).second) return;
  const int64_t strike_step = cluster_.options().strike_step;
  if (strike_step == static_cast<int64_t>(Step::kUndo)) {
    cancel_in_[change.number] = Phase::kSwitch;
  }
  if (strike_step == static_cast<int64_t>(Step::kDropped)) {
    cancel_in_[change.number] = Phase::kStream;
  }
  if (!prng_.Chance(static_cast<double>(cluster_.options().cancel_percent) / 100)) return;
  const uint64_t when = prng_.Below(5);
  if (when == 0) return Cancel(change.number);
  // The switch twice as often: from nowhere else does an undo begin.
  cancel_in_[change.number] = static_cast<Phase>(std::min<uint64_t>(when, 3));
}

void Operator::OnStep(const membership::Operation& operation) {
  report_.Count(
      fmt::format("changes: steps seen ({})", StepName(static_cast<Step>(operation.phase))));
  ReleaseIn(operation.phase);
  const uint64_t number = operation.change.number;
  const auto cancel = cancel_in_.find(number);
  if (cancel != cancel_in_.end() && cancel->second == operation.phase) {
    const auto delay = base::Duration(1000 * prng_.Between(0, kCancelWithinUs));
    After(delay, [this, number] { Cancel(number); });
  }
  const ChangeKind kind = operation.change.kind;
  const bool of_dead = kind == ChangeKind::kRemove || kind == ChangeKind::kReplace;
  if (of_dead && operation.phase == let_in_at_) faults_.LetIn();
}

// --- the end -----------------------------------------------------------------------------------

bool Operator::Settled(bool refused_too) const {
  const auto newest = cluster_.Newest();
  if (!newest || newest->topology.operation || !newest->topology.queue.empty()) return false;
  for (size_t i = 0; i < cluster_.size(); ++i) {
    Machine& machine = cluster_.machine(i);
    if (!machine.Running()) {
      if (machine.Wanted()) return false;
      continue;
    }
    const base::Uuid& id = *machine.Id();
    if (newest->topology.FindRemoved(id) != nullptr) continue;
    const auto view = machine.View();
    const bool member = newest->topology.Find(id) != nullptr;
    if (!member && !(refused_too && machine.Replaces())) return false;
    if (member && (!view || view->digest != newest->digest)) return false;
  }
  return true;
}

void Operator::CancelWhatWaits() {
  const auto newest = cluster_.Newest();
  if (!newest) return;
  for (const membership::Change& change : newest->topology.queue) {
    report_.Count("changes: cancelled while they waited");
    AskToCancel(change.number);
  }
}

// Its replacement was cancelled when there was no way back for it any more.
void Operator::RemoveTheGivenUp() {
  const auto newest = cluster_.Newest();
  Machine* machine = SomeMember();
  if (!newest || machine == nullptr) return;
  for (const membership::Member& member : newest->topology.members) {
    if (!member.given_up || newest->topology.TakenOutBy(member.id) != nullptr) continue;
    machine->Post(0, [machine, name = member.name] {
      machine->node().admin(0).RequestChange({ChangeVerb::kRemove, name},
                                             [](const base::Result<coordinator::ChangeTicket>&) {});
    });
  }
}

void Operator::BringBack() {
  for (size_t i = 0; i < cluster_.size(); ++i) {
    Machine& machine = cluster_.machine(i);
    if (!machine.Running() && machine.Id()) machine.Start();
  }
}

std::string Operator::WhyNotSettled() {
  Machine* machine = SomeMember();
  if (machine == nullptr) return "nobody runs";
  const std::string why = machine->node().admin(0).Plan().why;
  if (!why.empty()) return why;
  const auto newest = cluster_.Newest();
  for (size_t i = 0; newest && i < cluster_.size(); ++i) {
    Machine& m = cluster_.machine(i);
    if (!m.Running() && m.Wanted()) return m.Name() + " does not run";
    if (!m.Running() || newest->topology.FindRemoved(*m.Id()) != nullptr) continue;
    const auto view = m.View();
    const bool member = newest->topology.Find(*m.Id()) != nullptr;
    if (member && view && view->digest == newest->digest) continue;
    return m.Name() + (member ? " has another document: " : " is no member: ") +
           m.node().WaitingFor();
  }
  return "changes wait";
}

bool Operator::Over() const {
  const auto& struck = strikes_.Struck();
  return struck && cluster_.scheduler().Now() >= *struck + kAfterStrike;
}

void Operator::Stop() {
  stopped_ = true;
  strikes_.Stop();
}

void Operator::Settle() {
  Stop();
  cluster_.EndFaults();
  Scheduler& scheduler = cluster_.scheduler();
  scheduler.RunUntilTrue([this] { return Settled(false); }, kOperatorPatience, kStep);
  BringBack();
  bool settled = false;
  for (int i = 0; i < kLooksMax && !settled; ++i) {
    // The removal of a node that is back waits for ever, and says so.
    if (i > 0) CancelWhatWaits();
    RemoveTheGivenUp();
    settled = scheduler.RunUntilTrue([this] { return Settled(true); }, kLookAgain, kStep);
  }
  if (!settled) {
    WhyNotSettled();  // the first look only makes the node gather it
    cluster_.RunFor(base::Seconds(1));
    report_.Fail("settles", "", "a change does not end: " + WhyNotSettled(), scheduler.Now());
  }
  cluster_.NoteLeavers();
  on_step_();
}

}  // namespace lariat::sim

// SPDX-License-Identifier: Apache-2.0
#include "sim/operator/strikes.h"

#include <fmt/format.h>

#include <algorithm>

#include "membership/drive_core.h"
#include "sim/check/topology.h"

namespace lariat::sim {

using membership::ChangeKind;
using membership::Phase;
using membership::Topology;

namespace {

constexpr int64_t kWithinUs = 15000;
constexpr int64_t kAfterEndUs = 50000;
constexpr base::Duration kPatience = base::Millis(1500);  // with a removal that does not begin

Step StepOf(const membership::Operation& operation) { return static_cast<Step>(operation.phase); }

}  // namespace

Strikes::Strikes(Cluster& cluster, Faults& faults, Report& report, uint64_t seed)
    : cluster_(cluster), faults_(faults), report_(report), prng_(seed) {}

void Strikes::After(base::Duration delay, env::Task task) {
  cluster_.scheduler().After(delay, [this, task = std::move(task)]() mutable {
    if (!stopped_) task();
  });
}

void Strikes::Say(const std::string& what) {
  cluster_.trace().Note(cluster_.scheduler().Now(), -1, "", what,
                        [&] { return "operator: " + what; });
}

// --- when --------------------------------------------------------------------------------------

void Strikes::OnStep(const membership::View& view) {
  const membership::Operation& operation = *view.topology.operation;
  if (change_.number != operation.change.number) {
    change_ = operation.change;
    moving_.clear();
    const auto* bucket = view.FindBucket(kBucket);
    for (const membership::Member& member : view.topology.members) {
      for (const auto& tokens : {member.tokens, member.next_tokens}) {
        for (const ring::Token token : tokens) {
          const auto replicas = view.ReplicasOf(token, *bucket);
          if (replicas.other.empty()) continue;
          for (const size_t m : cluster_.MachinesOf(view, replicas.read)) moving_.insert(m);
          for (const size_t m : cluster_.MachinesOf(view, replicas.other)) moving_.insert(m);
        }
      }
    }
  }
  const Options& o = cluster_.options();
  const auto delay = base::Duration(1000 * prng_.Between(0, kWithinUs));
  if (o.strike_step == 0) {
    if (!prng_.Chance(static_cast<double>(o.strike_percent) / 100)) return;
    return After(delay, [this, operation] { ByChance(operation); });
  }
  if (o.strike_step != static_cast<int64_t>(operation.phase) || struck_) return;
  After(delay, [this, operation] {
    const auto now = cluster_.Newest();
    const bool same = now && now->topology.operation && *now->topology.operation == operation;
    const Strike strike{change_.kind, StepOf(operation),
                        static_cast<uint64_t>(cluster_.options().strike_role)};
    if (same) Chosen(strike);
  });
}

void Strikes::OnEnd(const membership::View& view) {
  if (view.topology.finished.empty()) return;  // those that know the end are down
  const Step step = view.topology.finished.back().done ? Step::kAfter : Step::kDropped;
  if (cluster_.options().strike_step != static_cast<int64_t>(step) || struck_) return;
  const std::vector<Misplaced> misplaced = FindMisplaced(cluster_);
  misplaced_ = misplaced.size();
  // Half of the time the removal has begun on one machine, and another one has still to begin.
  const bool on_several = std::any_of(
      misplaced.begin(), misplaced.end(),
      [&misplaced](const Misplaced& one) { return one.machine != misplaced.front().machine; });
  wait_for_removal_ = on_several && prng_.Chance(0.5);
  const auto delay = base::Duration(1000 * prng_.Between(0, kAfterEndUs));
  strike_at_ = cluster_.scheduler().Now() + (wait_for_removal_ ? kPatience : delay);
}

bool Strikes::SomeRemoved() const { return FindMisplaced(cluster_).size() < misplaced_; }

void Strikes::OnLook() {
  if (!strike_at_ || stopped_) return;
  const bool now = cluster_.scheduler().Now() >= *strike_at_;
  if (!now && !(wait_for_removal_ && SomeRemoved())) return;
  strike_at_.reset();
  if (misplaced_ > 0 && FindMisplaced(cluster_).empty()) return;  // too late
  const Step step = static_cast<Step>(cluster_.options().strike_step);
  Chosen({change_.kind, step, static_cast<uint64_t>(cluster_.options().strike_role)});
}

// --- whom --------------------------------------------------------------------------------------

std::optional<size_t> Strikes::Pick(const Topology& now, uint64_t role) {
  const auto subject = cluster_.MachineOf(change_.node);
  if (role == kSubject) return subject;
  std::optional<size_t> driver;
  for (const base::Uuid& voter : membership::Drivers(now)) {
    const auto machine = cluster_.MachineOf(voter);
    if (!driver && machine && cluster_.machine(*machine).Running()) driver = machine;
  }
  if (role == kDriver) return driver;
  std::vector<size_t> others;
  for (const size_t machine : cluster_.Members()) {
    const bool fits = moving_.contains(machine) == (role == kHolder);
    if (fits && machine != driver && machine != subject) others.push_back(machine);
  }
  if (others.empty()) return std::nullopt;
  return others[prng_.Below(others.size())];
}

void Strikes::Hit(size_t machine, const Strike& strike, Blow blow) {
  const std::string what = StrikeName(strike, BlowName(blow));
  Say(fmt::format("m{} is struck in {}", machine + 1, what));
  report_.Count(std::string(kStrikes) + what);
  faults_.Strike(machine, blow);
}

void Strikes::ByChance(const membership::Operation& operation) {
  const auto view = cluster_.Newest();
  if (!view || !view->topology.operation || !(*view->topology.operation == operation)) return;
  const uint64_t role = prng_.Below(kRoles);
  const Blow blow = static_cast<Blow>(prng_.Below(kBlows));
  const auto machine = Pick(view->topology, role);
  if (!machine || !cluster_.machine(*machine).Running()) return;
  Hit(*machine, {change_.kind, StepOf(operation), role}, blow);
}

void Strikes::Chosen(const Strike& strike) {
  const auto machine = Pick(cluster_.Newest()->topology, strike.role);
  if (!machine) return;
  struck_ = cluster_.scheduler().Now();
  if (cluster_.machine(*machine).Running()) return Hit(*machine, strike, Blow::kKill);
  if (change_.kind != ChangeKind::kRemove || strike.role != kSubject) return;
  // It is dead; what can happen to it is that it comes back.
  const std::string what = StrikeName(strike, "start");
  Say(fmt::format("m{} comes back: {}", *machine + 1, what));
  report_.Count(std::string(kStrikes) + what);
  cluster_.machine(*machine).Start();
}

}  // namespace lariat::sim

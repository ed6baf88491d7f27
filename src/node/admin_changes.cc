// SPDX-License-Identifier: Apache-2.0
// The part of NodeAdmin that is about changes of the topology: asking for them, and showing what
// they move and how far they are.
#include <algorithm>
#include <cmath>
#include <utility>

#include "membership/drive_core.h"
#include "node/admin.h"
#include "ring/diff.h"

namespace lariat::node {

using base::Code;
using base::Fail;
using membership::Change;
using membership::ChangeKind;
using membership::Topology;

namespace {

const membership::Member* FindMember(const Topology& topology, const std::string& name_or_id) {
  if (const membership::Member* member = topology.FindByName(name_or_id)) return member;
  for (const membership::Member& member : topology.members) {
    if (member.id.ToString() == name_or_id) return &member;
  }
  return nullptr;
}

ChangeKind KindOf(coordinator::ChangeVerb verb) {
  switch (verb) {
    case coordinator::ChangeVerb::kDecommission:
      return ChangeKind::kLeave;
    case coordinator::ChangeVerb::kRemove:
      return ChangeKind::kRemove;
    case coordinator::ChangeVerb::kReweight:
      return ChangeKind::kReweight;
  }
  return ChangeKind::kLeave;
}

std::string Behind(const Change& before) {
  return " behind the " + std::string(ChangeKindText(before.kind)) + " of '" + before.name +
         "' (task " + std::to_string(before.number) + ")";
}

coordinator::ChangeTicket TicketFor(const Topology& topology, uint64_t number) {
  const Change* before = topology.operation ? &topology.operation->change : nullptr;
  for (const Change& change : topology.queue) {
    if (change.number == number) {
      if (!change.committed) return {number, false, "staged; 'lariat cluster commit' starts it"};
      return {number, before == nullptr, before == nullptr ? "queued" : "queued" + Behind(*before)};
    }
    if (change.committed) before = &change;
  }
  return {number, true, "under way"};
}

// Both rings over the members of `now`, with the tokens of `after`; members that go have none.
std::vector<ring::RingNode> NodesAfter(const Topology& now, const Topology& after) {
  std::vector<ring::RingNode> nodes = membership::NodesOf(now);
  for (ring::RingNode& node : nodes) {
    const membership::Member* later = after.Find(node.id);
    node.tokens = later == nullptr ? std::vector<ring::Token>() : later->tokens;
  }
  return nodes;
}

coordinator::PlannedChange DescribeChange(const Change& change, const char* state) {
  coordinator::PlannedChange planned;
  planned.task = change.number;
  planned.kind = ChangeKindText(change.kind);
  planned.node = change.name;
  planned.state = state;
  planned.asked_ms = change.asked_ms;
  return planned;
}

coordinator::TaskStatus Task(const Change& change, const char* state, int64_t ended_ms) {
  coordinator::TaskStatus task;
  task.task = change.number;
  task.kind = ChangeKindText(change.kind);
  task.node = change.name;
  task.state = state;
  task.asked_ms = change.asked_ms;
  task.ended_ms = ended_ms;
  return task;
}

void FillOwners(const ring::Ring& before, const ring::Ring& after, uint32_t n,
                coordinator::ClusterPlan* plan) {
  const std::vector<double> was = before.Ownership(n);
  const std::vector<double> will = after.Ownership(n);
  for (size_t i = 0; i < was.size(); ++i) {
    const ring::RingNode& node = before.nodes()[i];
    plan->owners.push_back({node.name, node.rack, was[i], will[i]});
  }
  std::sort(plan->owners.begin(), plan->owners.end(),
            [](const auto& a, const auto& b) { return a.node < b.node; });
}

std::string NamesOf(const ring::Ring& ring, const std::vector<ring::NodeIndex>& nodes) {
  std::string names;
  for (const ring::NodeIndex node : nodes) {
    names += (names.empty() ? "" : "+") + ring.nodes()[node].name;
  }
  return names;
}

}  // namespace

void NodeAdmin::RequestChange(coordinator::ChangeRequest request, coordinator::TicketDone done) {
  const ChangeKind kind = KindOf(request.verb);
  node_.Propose(
      [&node = node_, request, kind](const Topology& now) -> membership::Next {
        const membership::Member* member = FindMember(now, request.node);
        if (member == nullptr) {
          return Fail(Code::kNotFound, "there is no node '" + request.node + "' in the cluster");
        }
        Change change;
        change.kind = kind;
        change.node = member->id;
        change.weight = request.weight;
        change.committed = !request.staged;
        return membership::AskForChange(now, change, node.Asked());
      },
      shard_,
      [request, kind, done = std::move(done)](base::Result<Topology> result) mutable {
        if (!result) return done(Fail(result.error()));
        const membership::Member* member = FindMember(*result, request.node);
        const uint64_t number =
            member == nullptr ? 0 : membership::TicketOf(*result, kind, member->id, "");
        done(TicketFor(*result, number));
      });
}

void NodeAdmin::Commit(coordinator::Caller /*caller*/, coordinator::StatusDone done) {
  node_.Propose([](const Topology& now) { return membership::CommitStaged(now); }, shard_,
                [done = std::move(done)](const base::Result<Topology>& result) mutable {
                  if (!result) return done(Fail(result.error()));
                  done({});
                });
}

void NodeAdmin::Cancel(uint64_t task, coordinator::Caller /*caller*/,
                       coordinator::StatusDone done) {
  const base::WallTime when = shard_.home().env().clock.Wall();
  node_.Propose(
      [task, when](const Topology& now) { return membership::CancelChange(now, task, when); },
      shard_,
      [done = std::move(done)](const base::Result<Topology>& result) mutable {
        if (!result) return done(Fail(result.error()));
        done({});
      });
}

std::optional<coordinator::OperationStatus> NodeAdmin::Operation() const {
  const auto& view = shard_.view();
  if (!view || !view->topology.operation) return std::nullopt;
  node_.WatchChanges();
  const membership::Operation& operation = *view->topology.operation;
  coordinator::OperationStatus status;
  status.task = operation.change.number;
  status.kind = ChangeKindText(operation.change.kind);
  status.node = operation.change.name;
  status.phase = PhaseText(operation.phase);
  status.started_ms = operation.started_ms;
  const auto seen = node_.notices().changes_seen();
  if (!seen) return status;
  for (const auto& [id, report] : seen->reports) {
    if (report.change != operation.change.number) continue;
    status.ranges_done += report.ranges_done;
    status.ranges_total += report.ranges_total;
    status.bytes_done += report.bytes_done;
    status.keys_done += report.keys_done;
  }
  status.bytes_per_s = seen->bytes_per_s;
  status.waiting_for = seen->waiting_for;
  // Ranges are of like size: what the finished ones held tells what the others will.
  if (status.ranges_done > 0 && status.ranges_total > 0) {
    status.bytes_total = static_cast<uint64_t>(static_cast<double>(status.bytes_done) *
                                               static_cast<double>(status.ranges_total) /
                                               static_cast<double>(status.ranges_done));
    const double left = static_cast<double>(status.bytes_total - status.bytes_done);
    if (status.bytes_per_s > 0) status.left_s = left / status.bytes_per_s;
  }
  return status;
}

coordinator::ClusterPlan NodeAdmin::Plan() const {
  coordinator::ClusterPlan plan;
  const auto& view = shard_.view();
  if (!view) {
    plan.why = node_.notices().WaitingFor();
    return plan;
  }
  const Topology& now = view->topology;
  if (now.operation) {
    plan.changes.push_back(DescribeChange(now.operation->change, "running"));
    plan.changes.back().phase = PhaseText(now.operation->phase);
  }
  for (const Change& change : now.queue) {
    plan.changes.push_back(DescribeChange(change, change.committed ? "queued" : "staged"));
  }
  const bool any = !plan.changes.empty();
  for (auto it = now.finished.rbegin(); it != now.finished.rend(); ++it) {
    plan.changes.push_back(DescribeChange(it->change, it->done ? "done" : "cancelled"));
  }
  if (!any) {
    plan.why = shard_.WhyNotServing();
    return plan;
  }
  node_.WatchChanges();
  const auto seen = node_.notices().changes_seen();
  if (seen) plan.why = seen->waiting_for;

  const config::Settings& s = node_.options().settings;
  const Topology after = membership::AfterAll(
      now, {static_cast<uint32_t>(s.node_vnodes), static_cast<uint32_t>(s.cluster_default_n)});
  const ring::Ring later(NodesAfter(now, after));
  const uint32_t n = static_cast<uint32_t>(s.cluster_default_n);
  FillOwners(view->ring, later, n, &plan);
  // What this node stores for each share that it holds stands for the others.
  const double own_share = view->ring.Ownership(n)[view->self] * n;
  const double stored = static_cast<double>(node_.engine().Stats().disk_bytes);
  std::vector<ring::NodeIndex> gone;
  for (size_t i = 0; i < now.members.size(); ++i) {
    if (now.IsGone(now.members[i].id)) gone.push_back(static_cast<ring::NodeIndex>(i));
  }
  std::map<std::pair<std::string, std::string>, coordinator::PlannedMove> moves;
  for (const ring::Move& move : ring::Diff(view->ring, n, later, n, gone)) {
    const std::string from = NamesOf(view->ring, move.sources);
    const std::string to = view->ring.nodes()[move.receiver].name;
    coordinator::PlannedMove& sum = moves[{from, to}];
    sum.from = from;
    sum.to = to;
    ++sum.ranges;
    sum.share += move.range.Share();
  }
  for (auto& [names, move] : moves) {
    if (own_share > 0) move.bytes = static_cast<uint64_t>(stored * move.share / own_share);
    plan.bytes += move.bytes;
    plan.moves.push_back(std::move(move));
  }
  double rate = static_cast<double>(s.stream_max_bytes_per_s);
  if (seen && seen->bytes_per_s > 0) rate = seen->bytes_per_s;
  if (rate > 0) plan.seconds = static_cast<double>(plan.bytes) / rate;
  return plan;
}

std::vector<coordinator::TaskStatus> NodeAdmin::Tasks() const {
  std::vector<coordinator::TaskStatus> tasks;
  const auto& view = shard_.view();
  if (!view) return tasks;
  const Topology& now = view->topology;
  for (auto it = now.queue.rbegin(); it != now.queue.rend(); ++it) {
    tasks.push_back(Task(*it, it->committed ? "queued" : "staged", 0));
  }
  if (now.operation) {
    tasks.push_back(Task(now.operation->change, "running", 0));
    tasks.back().progress = Operation();
  }
  for (auto it = now.finished.rbegin(); it != now.finished.rend(); ++it) {
    tasks.push_back(Task(it->change, it->done ? "done" : "cancelled", it->ended_ms));
  }
  const size_t deletions = std::min(now.deleted.size(), membership::kFinishedMax);
  for (auto it = now.deleted.rbegin(); it != now.deleted.rbegin() + deletions; ++it) {
    tasks.push_back(DeletionOf(*it));
  }
  const auto repairs = node_.healing().TasksSeen();
  tasks.insert(tasks.end(), repairs->begin(), repairs->end());
  return tasks;
}

void NodeAdmin::Drain(bool on, coordinator::Caller /*caller*/, coordinator::StatusDone done) {
  node_.notices().SetDraining(on);
  if (!on) return done({});
  WaitForQuiet(
      shard_.home().env().clock.Now() + base::Millis(node_.options().settings.shutdown_drain_ms),
      std::move(done));
}

// This shard's requests stand for all: each shard's own admin would say the same of its own.
void NodeAdmin::WaitForQuiet(base::Instant until, coordinator::StatusDone done) {
  if (!node_.notices().draining() || shard_.Busy() == 0 ||
      shard_.home().env().clock.Now() >= until) {
    return done({});
  }
  shard_.home().env().timers.After(
      base::Millis(20),
      [this, until, done = std::move(done)]() mutable { WaitForQuiet(until, std::move(done)); });
}

}  // namespace lariat::node

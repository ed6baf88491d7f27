// SPDX-License-Identifier: Apache-2.0
#include "membership/drive_core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "membership/internal/edits.h"
#include "ring/placement.h"

namespace lariat::membership {

namespace {

ring::NodeIndex IndexOf(const Topology& topology, const base::Uuid& id) {
  for (size_t i = 0; i < topology.members.size(); ++i) {
    if (topology.members[i].id == id) return static_cast<ring::NodeIndex>(i);
  }
  LARIAT_CHECK(false, "a change is about a member");
  return 0;
}

// Sets what the tokens will be.
void Plan(Topology* topology, const Change& change, const ring::AllocationOptions& allocation) {
  const std::vector<ring::RingNode> nodes = NodesOf(*topology);
  std::vector<std::vector<ring::Token>> next;
  for (const ring::RingNode& node : nodes) next.push_back(node.tokens);
  if (change.kind != ChangeKind::kReplication) {
    const ring::NodeIndex node = IndexOf(*topology, change.node);
    switch (change.kind) {
      case ChangeKind::kJoin:
        next[node] = ring::AllocateTokens(nodes, nodes[node], allocation);
        break;
      case ChangeKind::kReplace:
        next = ring::PlanReplace(nodes, IndexOf(*topology, change.replaced), node);
        break;
      case ChangeKind::kReweight:
        next = ring::PlanReweight(nodes, node, change.weight, allocation);
        break;
      default:
        next = ring::PlanLeave(nodes, node, allocation);
    }
  }
  for (size_t i = 0; i < next.size(); ++i) topology->members[i].next_tokens = std::move(next[i]);
}

// The step after the last: what was planned is so.
void Conclude(Topology* topology, base::WallTime when) {
  const Change change = std::exchange(topology->operation, std::nullopt)->change;
  for (Member& member : topology->members) member.tokens = std::exchange(member.next_tokens, {});
  switch (change.kind) {
    case ChangeKind::kJoin:
      FindMember(topology, change.node)->state = MemberState::kNormal;
      break;
    case ChangeKind::kReplace:
      FindMember(topology, change.node)->state = MemberState::kNormal;
      TakeOut(topology, change.replaced);
      break;
    case ChangeKind::kLeave:
    case ChangeKind::kRemove:
      TakeOut(topology, change.node);
      break;
    case ChangeKind::kReweight:
      FindMember(topology, change.node)->weight = change.weight;
      break;
    case ChangeKind::kReplication: {
      BucketProperties& bucket = topology->buckets.at(change.bucket);
      bucket.n = change.n;
      if (change.r > 0) bucket.r = change.r, bucket.w = change.w;
      ++bucket.version;
      break;
    }
  }
  Finish(topology, change, true, when);
}

void Begin(Topology* topology, size_t place, const Asked& asked,
           const ring::AllocationOptions& allocation) {
  const Change change = topology->queue[place];
  topology->queue.erase(topology->queue.begin() + static_cast<std::ptrdiff_t>(place));
  Plan(topology, change, allocation);
  if (TakesOut(change)) FindMember(topology, change.node)->state = MemberState::kLeaving;
  topology->operation = {change, Phase::kPrepare, asked.now.ms};
}

std::string NameOf(const Topology& topology, const base::Uuid& id) {
  const Member* member = topology.Find(id);
  return member == nullptr ? "a former member" : "node '" + member->name + "'";
}

std::string Describe(const Change& change) {
  return std::string(ChangeKindText(change.kind)) + " of '" + change.name + "' (task " +
         std::to_string(change.number) + ")";
}

// Why a waiting change cannot start now; empty if it can.
std::string HeldBack(const Topology& now, const Change& change, const Asked& asked) {
  if (!change.committed) return "it is staged; 'lariat cluster commit' starts it";
  const bool needs_node = IsJoin(change) || change.kind == ChangeKind::kLeave;
  if (needs_node && !asked.alive(change.node)) return NameOf(now, change.node) + " is down";
  const bool takes_dead = change.kind == ChangeKind::kRemove;
  if (takes_dead && !IsGivenUp(now, change.node) && asked.alive(change.node)) {
    return NameOf(now, change.node) +
           " is alive again; decommission it instead, or cancel this (lariat cluster cancel)";
  }
  if (change.kind == ChangeKind::kReplace && !IsGivenUp(now, change.replaced) &&
      asked.alive(change.replaced)) {
    return NameOf(now, change.replaced) + ", which is to be replaced, is alive again";
  }
  return "";
}

using Doubtful = std::vector<ring::NodeIndex>;

Doubtful InDoubt(const Topology& now, const Asked& asked) {
  Doubtful doubtful;
  if (!asked.in_doubt) return doubtful;
  for (ring::NodeIndex i = 0; i < now.members.size(); ++i) {
    const Member& member = now.members[i];
    const bool counts = !member.tokens.empty() && !member.given_up;
    if (counts && asked.alive(member.id) && asked.in_doubt(member.id)) doubtful.push_back(i);
  }
  return doubtful;
}

// Whether a receiver of the operation would copy from that member what it may have lost, and not
// from all other holders too.
bool IsCopiedAlone(const Topology& running, ring::NodeIndex doubtful) {
  const auto view = MakeView(running, running.members[doubtful].id);
  for (const auto& [name, bucket] : running.buckets) {
    for (const ring::Move& move : view->MovesOf(bucket)) {
      const bool gives = std::binary_search(move.sources.begin(), move.sources.end(), doubtful);
      if (gives && !move.from_all) return true;
    }
  }
  return false;
}

// As HeldBack, of the change at that place of the queue.
std::string HeldBackByDoubt(const Topology& now, size_t place, const Asked& asked,
                            const ring::AllocationOptions& allocation) {
  const Doubtful doubtful = InDoubt(now, asked);
  if (doubtful.empty()) return "";
  const ChangeKind kind = now.queue[place].kind;
  if (kind != ChangeKind::kRemove && kind != ChangeKind::kReplace) {
    return NameOf(now, now.members[doubtful.front()].id) +
           " may have lost records and is compared with the others first";
  }
  Topology running = now;
  Begin(&running, place, asked, allocation);
  for (const ring::NodeIndex node : doubtful) {
    if (!IsCopiedAlone(running, node)) continue;
    return NameOf(now, now.members[node].id) +
           " may have lost records, and some would be copied from it alone; it is compared with "
           "the others first, and if it cannot be, stop it and remove it too";
  }
  return "";
}

Drive StartOne(const Topology& now, const Asked& asked, const ring::AllocationOptions& allocation) {
  Drive drive;
  for (size_t i = 0; i < now.queue.size(); ++i) {
    std::string why = HeldBack(now, now.queue[i], asked);
    if (why.empty()) why = HeldBackByDoubt(now, i, asked, allocation);
    if (why.empty()) {
      drive.next = now;
      drive.next->fence = ++drive.next->epoch;
      Begin(&*drive.next, i, asked, allocation);
      drive.waiting_for.clear();
      return drive;
    }
    if (drive.waiting_for.empty())
      drive.waiting_for = Describe(now.queue[i]) + " cannot start: " + why;
  }
  return drive;
}

// Who has not fetched all it gains, in words; empty if all have.
std::string StillStreaming(const Topology& now, const Reports& reports) {
  for (const base::Uuid& id : Participants(now)) {
    const auto report = reports.find(id);
    if (report == reports.end()) return NameOf(now, id) + " does not answer";
    const wire::ProgressReply& r = report->second;
    if (r.change != now.operation->change.number) return NameOf(now, id) + " begins to fetch";
    if (!r.trouble.empty()) return NameOf(now, id) + ": " + r.trouble;
    if (r.ranges_done < r.ranges_total) {
      return NameOf(now, id) + " has fetched " + std::to_string(r.ranges_done) + " of " +
             std::to_string(r.ranges_total) + " ranges";
    }
  }
  return "";
}

bool Knows(const Topology& now, const Reports& reports, const base::Uuid& id) {
  const auto report = reports.find(id);
  return report != reports.end() && report->second.fence >= now.fence;
}

// Those that would be waited for and are to be taken out anyway; nothing if there are none.
std::optional<Topology> GiveUpTheDead(const Topology& now, const Reports& reports,
                                      const Asked& asked) {
  Topology next = now;
  bool any = false;
  for (const base::Uuid& id : Participants(now)) {
    const Change* change = now.TakenOutBy(id);
    if (change == nullptr || !change->committed) continue;
    if (Knows(now, reports, id) || asked.alive(id)) continue;
    FindMember(&next, id)->given_up = any = true;
  }
  if (!any) return std::nullopt;
  // Who fetches from it begins anew, without it; the lists of prepare and stream are the same.
  if (next.operation->phase == Phase::kStream) next.operation->phase = Phase::kPrepare;
  next.fence = ++next.epoch;
  return next;
}

void Advance(Topology* topology, base::WallTime when) {
  ++topology->epoch;
  switch (topology->operation->phase) {
    case Phase::kPrepare:
      topology->operation->phase = Phase::kStream;
      return;  // the same replicas are read and written as before: no new fence
    case Phase::kStream:
      topology->operation->phase = Phase::kSwitch;
      break;
    case Phase::kSwitch:
      Conclude(topology, when);
      break;
    case Phase::kUndo:
      Drop(topology, std::exchange(topology->operation, std::nullopt)->change, when);
      break;
  }
  topology->fence = topology->epoch;
}

}  // namespace

std::vector<base::Uuid> Participants(const Topology& now) {
  std::vector<base::Uuid> participants;
  for (const Member& member : now.members) {
    const bool holds = !member.tokens.empty() || (now.operation && !member.next_tokens.empty());
    if (holds && !now.IsGone(member.id)) participants.push_back(member.id);
  }
  return participants;
}

std::vector<base::Uuid> Drivers(const Topology& now) {
  std::vector<base::Uuid> drivers = now.Voters();
  std::erase_if(drivers, [&now](const base::Uuid& id) {
    const bool leaves = now.operation && now.operation->change.kind == ChangeKind::kLeave &&
                        now.operation->change.node == id;
    return leaves || now.IsGone(id);
  });
  return drivers;
}

bool AllKnowTheFence(const Topology& now, const Reports& reports, std::string* missing) {
  for (const base::Uuid& id : Participants(now)) {
    const auto report = reports.find(id);
    if (Knows(now, reports, id)) continue;
    const bool comes =
        now.operation && IsJoin(now.operation->change) && now.operation->change.node == id;
    const char* silent = comes ? " does not answer; if it is dead, cancel this or replace it"
                               : " does not answer; if it is dead, remove or replace it";
    *missing = NameOf(now, id) +
               (report == reports.end() ? silent : " has not heard of the last step yet");
    return false;
  }
  return true;
}

Drive DriveOn(const Topology& now, const Reports& reports, const Asked& asked,
              const ring::AllocationOptions& allocation) {
  if (!now.operation) return StartOne(now, asked, allocation);
  Drive drive;
  if (!AllKnowTheFence(now, reports, &drive.waiting_for)) {
    drive.next = GiveUpTheDead(now, reports, asked);
    return drive;
  }
  if (now.operation->phase == Phase::kStream) {
    drive.waiting_for = StillStreaming(now, reports);
    if (!drive.waiting_for.empty()) return drive;
  }
  drive.next = now;
  Advance(&*drive.next, asked.now);
  return drive;
}

Topology AfterAll(const Topology& now, const ring::AllocationOptions& allocation) {
  Topology after = now;
  if (after.operation) Conclude(&after, {});
  const Asked asked{{}, [](const base::Uuid&) { return true; }};
  while (!after.queue.empty()) {
    ++after.epoch;
    Begin(&after, 0, asked, allocation);
    Conclude(&after, {});
  }
  return after;
}

}  // namespace lariat::membership

// SPDX-License-Identifier: Apache-2.0
#include "membership/change_core.h"

#include <algorithm>
#include <utility>

#include "membership/internal/edits.h"

namespace lariat::membership {

using base::Code;
using base::Fail;

namespace {

void InsertMember(Topology* topology, Member member) {
  const auto place = std::lower_bound(topology->members.begin(), topology->members.end(), member,
                                      [](const Member& a, const Member& b) { return a.id < b.id; });
  topology->members.insert(place, std::move(member));
}

// Every change that has not ended, the running one first.
std::vector<const Change*> Unfinished(const Topology& topology) {
  std::vector<const Change*> changes;
  if (topology.operation) changes.push_back(&topology.operation->change);
  for (const Change& change : topology.queue) changes.push_back(&change);
  return changes;
}

base::Status CheckEnoughStay(const Topology& now) {
  size_t stay = 0;
  for (const Member& member : now.members) stay += member.state == MemberState::kNormal ? 1 : 0;
  for (const Change* change : Unfinished(now)) {
    const Member* member = now.Find(change->node);
    const bool counted = member != nullptr && member->state == MemberState::kNormal;
    if (TakesOut(*change) && counted) --stay;
  }
  --stay;  // the one that is asked for
  for (const auto& [name, bucket] : now.buckets) {
    const uint32_t n = std::max(bucket.n, now.NextN(bucket));
    if (stay >= n) continue;
    return Fail(Code::kConflict, "bucket '" + name + "' keeps " + std::to_string(n) +
                                     " replicas and only " + std::to_string(stay) +
                                     " node(s) would be left; add or replace a node first");
  }
  return {};
}

// What speaks against a change about a member.
base::Status CheckMember(const Topology& now, const Change& change, const Asked& asked) {
  const Member* member = now.Find(change.node);
  if (member == nullptr) return Fail(Code::kNotFound, "there is no such node");
  if (member->state == MemberState::kJoining) {
    return Fail(
        Code::kConflict,
        "node '" + member->name + "' is still joining; cancel that first (lariat cluster cancel)");
  }
  for (const Change* other : Unfinished(now)) {
    const bool same = other->node == change.node || other->replaced == change.node;
    if (!same) continue;
    return Fail(Code::kConflict, "node '" + member->name + "' has a change that has not ended: " +
                                     std::string(ChangeKindText(other->kind)) + ", task " +
                                     std::to_string(other->number));
  }
  const bool removes = change.kind == ChangeKind::kRemove;
  if (member->given_up && !removes) {
    return Fail(Code::kConflict, "the others went on without node '" + member->name +
                                     "', which cannot return; remove or replace it");
  }
  if (removes && !member->given_up && asked.alive(change.node)) {
    return Fail(Code::kConflict, "node '" + member->name +
                                     "' is alive: decommission it, so that it hands over its data; "
                                     "or stop it first");
  }
  if (change.kind == ChangeKind::kReweight && !(change.weight >= 0.01 && change.weight <= 100)) {
    return Fail(Code::kInvalidArgument, "a weight is 0.01 to 100");
  }
  if (TakesOut(change)) return CheckEnoughStay(now);
  return {};
}

base::Status CheckReplication(const Topology& now, const Change& change) {
  if (!now.buckets.contains(change.bucket)) {
    return Fail(Code::kNotFound, "there is no bucket '" + change.bucket + "'");
  }
  size_t normal = 0;
  size_t joining = 0;
  for (const Member& m : now.members) {
    normal += m.state == MemberState::kNormal ? 1 : 0;
    joining += m.state == MemberState::kJoining ? 1 : 0;
  }
  if (change.n <= normal) return {};
  std::string why =
      "n=" + std::to_string(change.n) + " needs as many nodes; there are " + std::to_string(normal);
  if (joining > 0) why += ", and " + std::to_string(joining) + " that have not joined yet";
  return Fail(Code::kConflict, std::move(why));
}

base::Status CheckNewcomer(const Topology& now, const Member& newcomer, bool replaces_namesake) {
  if (const Removed* gone = now.FindRemoved(newcomer.id)) {
    return Fail(Code::kConflict, "this identity was removed from the cluster (as '" + gone->name +
                                     "', epoch " + std::to_string(gone->epoch) +
                                     ") and cannot return; start the node with an empty data "
                                     "directory");
  }
  for (const Member& member : now.members) {
    if (member.Number() == newcomer.Number()) {
      return Fail(Code::kConflict,
                  "the node's id is too close to another's; start it with an "
                  "empty data directory");
    }
  }
  if (now.FindByName(newcomer.name) != nullptr && !replaces_namesake) {
    return Fail(Code::kConflict, "the cluster has another node named '" + newcomer.name +
                                     "'; give this one its own name (--name), or let it take that "
                                     "one's place (--replace) if it is dead");
  }
  if (now.queue.size() >= kQueueMax) return Fail(Code::kOverloaded, "too many changes wait");
  return {};
}

base::Result<base::Uuid> FindReplaced(const Topology& now, const std::string& name,
                                      const Asked& asked) {
  const Member* dead = now.FindByName(name);
  if (dead == nullptr) {
    return Fail(Code::kConflict, "there is no node named '" + name + "' to replace");
  }
  if (!dead->given_up && asked.alive(dead->id)) {
    return Fail(Code::kConflict, "node '" + name +
                                     "' is alive and cannot be replaced; stop it "
                                     "first, or let this node join and decommission that one");
  }
  const Change* taken_out = now.TakenOutBy(dead->id);
  if (taken_out != nullptr && taken_out->kind == ChangeKind::kReplace) {
    return Fail(Code::kConflict, "node '" + name + "' is being replaced by '" + taken_out->name +
                                     "' already; replace that one if it is dead");
  }
  if (dead->state != MemberState::kNormal) {
    return Fail(Code::kConflict, "node '" + name +
                                     "' is joining or leaving; cancel that first (lariat cluster "
                                     "cancel)");
  }
  for (const Change* change : Unfinished(now)) {
    if (change->node == dead->id) {
      return Fail(Code::kConflict, "node '" + name + "' has a change that has not ended: task " +
                                       std::to_string(change->number));
    }
  }
  return dead->id;
}

// The join or replacement by which this node, dead before its end, came in.
const Change* UnfinishedJoinOf(const Topology& now, const std::string& name, const Asked& asked) {
  const Member* newcomer = now.FindByName(name);
  if (newcomer == nullptr || asked.alive(newcomer->id)) return nullptr;
  for (const Change* change : Unfinished(now)) {
    if (change->node == newcomer->id && IsJoin(*change)) return change;
  }
  return nullptr;
}

// The removal of a member that is given up goes on: to cancel it would not bring the member back.
// (A replacement may be cancelled, for its newcomer may be dead too; then somebody asks for a
// removal or another replacement.)
base::Status CheckCancel(const Topology& now, const Change& change) {
  const bool removal = change.kind == ChangeKind::kRemove && change.committed;
  if (!removal || !IsGivenUp(now, change.node)) return {};
  return Fail(Code::kConflict, "node '" + change.name +
                                   "' was left out of a finished step and cannot return; its "
                                   "removal goes on");
}

// It can be, and every member understands it.
base::Status CheckKnown(const Topology& now, const BucketProperties& bucket, const Asked& asked) {
  if (auto status = CheckBucket(bucket); !status) return status;
  return RequireLevel(now, LevelOf(bucket), "bucket '" + bucket.name + "'", asked.level);
}

}  // namespace

uint64_t TicketOf(const Topology& topology, ChangeKind kind, const base::Uuid& node,
                  const std::string& bucket) {
  for (const Change* change : Unfinished(topology)) {
    if (change->kind == kind && change->node == node && change->bucket == bucket) {
      return change->number;
    }
  }
  return 0;
}

// Who died before its own join or replacement was done is not replaced: its change is cancelled and
// asked for again by the newcomer, in one document.
static Next JoinInsteadOf(const Topology& now, const Change& unfinished, Member newcomer,
                          const Asked& asked) {
  const base::Uuid place = unfinished.replaced;
  const base::Uuid dead = unfinished.node;
  const bool replaces = unfinished.kind == ChangeKind::kReplace;
  Next cancelled = CancelChange(now, unfinished.number, asked.now);
  if (!cancelled) return cancelled;
  if (!*cancelled || (*cancelled)->Find(dead) != nullptr) {
    return Fail(Code::kConflict, "node '" + unfinished.name +
                                     "' takes over already, and is dead; cancel that (lariat "
                                     "cluster cancel) and start this node again then");
  }
  Topology next = std::move(**cancelled);
  --next.epoch;  // AskToJoin counts it
  return AskToJoin(next, std::move(newcomer), replaces ? next.Find(place)->name : "", asked);
}

Next AskToJoin(const Topology& now, Member newcomer, const std::string& replaces,
               const Asked& asked) {
  if (now.Find(newcomer.id) != nullptr) return std::nullopt;
  if (const Change* join = UnfinishedJoinOf(now, replaces, asked)) {
    return JoinInsteadOf(now, *join, std::move(newcomer), asked);
  }
  const bool namesake = !replaces.empty() && newcomer.name == replaces;
  if (auto status = CheckNewcomer(now, newcomer, namesake); !status) return Fail(status.error());
  Topology next = now;
  ++next.epoch;
  Change change;
  change.number = next.epoch;
  change.node = newcomer.id;
  change.name = newcomer.name;
  change.asked_ms = asked.now.ms;
  if (!replaces.empty()) {
    auto dead = FindReplaced(now, replaces, asked);
    if (!dead) return Fail(dead.error());
    change.kind = ChangeKind::kReplace;
    change.replaced = *dead;
    // Names are unique; the dead one's is free for its successor.
    if (namesake) FindMember(&next, *dead)->name += "#" + std::to_string(next.epoch);
  }
  newcomer.state = MemberState::kJoining;
  newcomer.given_up = false;
  newcomer.tokens.clear();
  newcomer.next_tokens.clear();
  InsertMember(&next, std::move(newcomer));
  next.queue.push_back(std::move(change));
  return next;
}

Next AskForChange(const Topology& now, Change change, const Asked& asked) {
  if (TicketOf(now, change.kind, change.node, change.bucket) != 0) return std::nullopt;
  const bool of_bucket = change.kind == ChangeKind::kReplication;
  const base::Status fits =
      of_bucket ? CheckReplication(now, change) : CheckMember(now, change, asked);
  if (!fits) return Fail(fits.error());
  if (now.queue.size() >= kQueueMax) return Fail(Code::kOverloaded, "too many changes wait");
  Topology next = now;
  change.number = ++next.epoch;
  change.asked_ms = asked.now.ms;
  change.name = of_bucket ? change.bucket : now.Find(change.node)->name;
  next.queue.push_back(std::move(change));
  return next;
}

Next CommitStaged(const Topology& now) {
  Topology next = now;
  bool any = false;
  for (Change& change : next.queue) any |= !std::exchange(change.committed, true);
  if (!any) return Fail(Code::kNotFound, "nothing is staged");
  ++next.epoch;
  return next;
}

Next CancelChange(const Topology& now, uint64_t number, base::WallTime when) {
  Topology next = now;
  ++next.epoch;
  const auto waits = [number](const Change& change) {
    return number == 0 ? !change.committed : change.number == number;
  };
  bool any = false;
  for (auto it = next.queue.begin(); it != next.queue.end();) {
    if (!waits(*it)) {
      ++it;
      continue;
    }
    const Change change = *it;
    if (auto status = CheckCancel(now, change); !status) return Fail(status.error());
    it = next.queue.erase(it);
    if (IsJoin(change)) TakeOut(&next, change.node);
    Finish(&next, change, false, when);
    any = true;
  }
  if (any) return next;
  const bool running = next.operation && (number == 0 || next.operation->change.number == number);
  if (!running) {
    return Fail(Code::kNotFound, number == 0 ? "no change is under way or staged"
                                             : "task " + std::to_string(number) +
                                                   " is neither under way nor waiting");
  }
  if (auto status = CheckCancel(now, next.operation->change); !status) return Fail(status.error());
  if (next.operation->phase == Phase::kUndo) return std::nullopt;
  next.fence = next.epoch;
  if (next.operation->phase == Phase::kSwitch) {
    next.operation->phase = Phase::kUndo;
    return next;
  }
  const Change change = std::exchange(next.operation, std::nullopt)->change;
  Drop(&next, change, when);
  return next;
}

// The change of the bucket's n that has not ended; null: there is none.
static Change* ComingN(Topology* topology, const std::string& bucket) {
  const auto is_it = [&bucket](const Change& change) {
    return change.kind == ChangeKind::kReplication && change.bucket == bucket;
  };
  if (topology->operation && is_it(topology->operation->change)) {
    return &topology->operation->change;
  }
  const auto found = std::find_if(topology->queue.begin(), topology->queue.end(), is_it);
  return found == topology->queue.end() ? nullptr : &*found;
}

// What the bucket is until the n of `asked` is in force: majorities of that one are now majorities
// of the present n. In each list what is read and what is written meet, meanwhile and when the
// numbers change.
static base::Result<BucketProperties> WhileNMoves(const BucketProperties& own,
                                                  const BucketProperties& asked) {
  BucketProperties meanwhile = asked;
  meanwhile.n = own.n;
  meanwhile.r = asked.ReadersOf(own.n);
  meanwhile.w = asked.WritersOf(own.n);
  if (auto status = CheckBucket(meanwhile); !status) return Fail(status.error());
  const uint32_t r = meanwhile.ReadersOf(asked.n);
  const uint32_t w = meanwhile.WritersOf(asked.n);
  const bool meet = r + w > asked.n && asked.r + w > asked.n && r + asked.w > asked.n;
  if (meet || asked.allow_eventual) return meanwhile;
  return Fail(Code::kConflict, "r and w would not meet");
}

Next SetBucket(const Topology& now, BucketProperties bucket, const Asked& asked) {
  if (auto may = CheckKnown(now, bucket, asked); !may) return Fail(std::move(may.error()));
  const auto found = now.buckets.find(bucket.name);
  Topology next = now;
  ++next.epoch;
  if (found == now.buckets.end()) {
    const auto id = NewBucketId(now, bucket.name);
    if (!id) return Fail(Code::kConflict, "the name collides with a bucket's; choose another");
    bucket.id = *id;
    bucket.version = 1;
    next.buckets.emplace(bucket.name, bucket);
    return next;
  }
  const BucketProperties& own = found->second;
  bucket.id = own.id;
  if (own.conflict != bucket.conflict) {
    return Fail(Code::kConflict, "the conflict kind of a bucket cannot change");
  }
  const uint32_t n = bucket.n;
  bucket.version = own.version;
  bucket.editor = own.editor;
  if (bucket == own) return std::nullopt;
  ++bucket.version;
  Change* const coming = ComingN(&next, bucket.name);
  if (coming != nullptr && (bucket.r != own.r || bucket.w != own.w)) {
    // What is set now has to fit the n that is coming, too.
    BucketProperties later = bucket;
    later.n = coming->n;
    if (auto status = CheckBucket(later); !status) {
      return Fail(Code::kConflict, "n of this bucket is about to become " +
                                       std::to_string(coming->n) + ": " + status.error().message);
    }
    coming->r = bucket.r;
    coming->w = bucket.w;
  }
  if (n == own.n) {
    next.buckets.at(bucket.name) = bucket;
    return next;
  }
  // The other properties wait with it: r and w have to fit the n that is in force.
  if (TicketOf(now, ChangeKind::kReplication, {}, bucket.name) != 0) {
    return Fail(Code::kConflict, "a change of n of this bucket has not ended; cancel it or wait");
  }
  // Fewer replicas could have a majority that none of the others' majorities meets: each key would
  // have to be confirmed first.
  if (causal::IsAgreed(bucket.conflict) && n < own.n) {
    return Fail(Code::kUnsupported, "n of a serial bucket can grow but not shrink in this version");
  }
  Change change;
  change.kind = ChangeKind::kReplication;
  change.bucket = bucket.name;
  change.n = n;
  change.r = bucket.r;
  change.w = bucket.w;
  if (auto status = CheckReplication(now, change); !status) return Fail(status.error());
  const auto meanwhile = WhileNMoves(own, bucket);
  if (!meanwhile) {
    return Fail(Code::kConflict, "while the data moves n stays " + std::to_string(own.n) +
                                     "; change n first and the other properties after it: " +
                                     meanwhile.error().message);
  }
  next.buckets.at(bucket.name) = *meanwhile;
  change.number = next.epoch;
  change.name = bucket.name;
  change.asked_ms = asked.now.ms;
  next.queue.push_back(std::move(change));
  return next;
}

Next DeleteBucket(const Topology& now, const std::string& name, const Asked& asked) {
  const auto found = now.buckets.find(name);
  if (found == now.buckets.end()) {
    return Fail(Code::kNotFound, "there is no bucket '" + name + "'");
  }
  if (name == kDefaultBucket) {
    return Fail(Code::kConflict, "bucket 'default' is always there and cannot be deleted");
  }
  if (auto may = RequireLevel(now, 1, "deleting a bucket", asked.level); !may)
    return Fail(may.error());
  Topology next = now;
  next.fence = ++next.epoch;
  const Change* const coming = ComingN(&next, name);
  if (coming != nullptr && next.operation && coming == &next.operation->change) {
    return Fail(Code::kConflict, "n of this bucket is changing (task " +
                                     std::to_string(coming->number) + "); cancel that or wait");
  }
  if (coming != nullptr) {
    const Change waiting = *coming;
    next.queue.erase(next.queue.begin() + (coming - next.queue.data()));
    Finish(&next, waiting, false, asked.now);
  }
  next.deleted.push_back({next.epoch, found->second.id, name, asked.now.ms});
  next.buckets.erase(name);
  return next;
}

}  // namespace lariat::membership

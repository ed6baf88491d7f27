// SPDX-License-Identifier: Apache-2.0
#include "membership/topology.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/hash.h"
#include "messages.pb.h"

namespace lariat::membership {
namespace {

namespace pb = wire::pb;

constexpr int kMembersMax = 10000;
constexpr int kTokensMax = 4096 * 100;
constexpr int kBucketsMax = 100000;

void PutUuid(const base::Uuid& from, pb::Uuid* to) {
  to->set_high(from.high);
  to->set_low(from.low);
}
base::Uuid TakeUuid(const pb::Uuid& from) { return {from.high(), from.low()}; }

void PutMember(const Member& from, pb::Member* to) {
  PutUuid(from.id, to->mutable_id());
  to->set_name(from.name);
  to->set_http(from.http);
  to->set_resp(from.resp);
  to->set_peer(from.peer);
  to->set_dc(from.dc);
  to->set_rack(from.rack);
  to->set_weight(from.weight);
  for (const ring::Token token : from.tokens) to->add_tokens(token.value);
  for (const ring::Token token : from.next_tokens) to->add_next_tokens(token.value);
  to->set_state(static_cast<uint32_t>(from.state));
  to->set_info_version(from.info_version);
  to->set_given_up(from.given_up);
}

std::optional<Member> TakeMember(const pb::Member& from) {
  Member to;
  to.id = TakeUuid(from.id());
  to.name = from.name();
  to.http = from.http();
  to.resp = from.resp();
  to.peer = from.peer();
  to.dc = from.dc();
  to.rack = from.rack();
  to.weight = from.weight();
  for (const uint64_t token : from.tokens()) to.tokens.push_back({token});
  for (const uint64_t token : from.next_tokens()) to.next_tokens.push_back({token});
  to.state = static_cast<MemberState>(from.state());
  to.info_version = from.info_version();
  to.given_up = from.given_up();
  const bool state_ok = from.state() >= 1 && from.state() <= 4;
  const bool weight_ok = std::isfinite(to.weight) && to.weight > 0 && to.weight <= 100;
  const bool text_ok = !to.name.empty() && to.name.size() <= 256 && to.peer.size() <= 512 &&
                       to.http.size() <= 512 && to.resp.size() <= 512 && to.dc.size() <= 256 &&
                       to.rack.size() <= 256;
  if (to.id.IsNil() || !state_ok || !weight_ok || !text_ok) return std::nullopt;
  if (from.tokens_size() > kTokensMax || from.next_tokens_size() > kTokensMax) return std::nullopt;
  if (!std::is_sorted(to.tokens.begin(), to.tokens.end())) return std::nullopt;
  if (!std::is_sorted(to.next_tokens.begin(), to.next_tokens.end())) return std::nullopt;
  return to;
}

void PutBucket(const BucketProperties& from, pb::Bucket* to) {
  to->set_name(from.name);
  to->set_id(from.id);
  to->set_n(from.n);
  to->set_r(from.r);
  to->set_w(from.w);
  to->set_pr(from.pr);
  to->set_pw(from.pw);
  to->set_sloppy(from.sloppy);
  to->set_allow_eventual(from.allow_eventual);
  to->set_conflict(static_cast<uint32_t>(from.conflict));
  to->set_durability(static_cast<uint32_t>(from.durability));
  to->set_ttl_s(from.ttl_s);
  to->set_gc_grace_s(from.gc_grace_s);
  to->set_read_repair(from.read_repair);
  to->set_version(from.version);
  to->set_editor(from.editor);
}

std::optional<BucketProperties> TakeBucket(const pb::Bucket& from) {
  BucketProperties to;
  to.name = from.name();
  to.id = from.id();
  to.n = from.n();
  to.r = from.r();
  to.w = from.w();
  to.pr = from.pr();
  to.pw = from.pw();
  to.sloppy = from.sloppy();
  to.allow_eventual = from.allow_eventual();
  const auto conflict = causal::KindOf(from.conflict());
  to.conflict = conflict.value_or(causal::Kind::kSiblings);
  to.durability = static_cast<Durability>(from.durability());
  to.ttl_s = from.ttl_s();
  to.gc_grace_s = from.gc_grace_s();
  to.read_repair = from.has_read_repair() ? from.read_repair() : kReadRepairDefault;
  to.version = from.version();
  to.editor = from.editor();
  const bool durability_ok = from.durability() >= 1 && from.durability() <= 3;
  if (!conflict || !durability_ok || !CheckBucket(to)) return std::nullopt;
  return to;
}

void PutChange(const Change& from, pb::Change* to) {
  to->set_number(from.number);
  to->set_kind(static_cast<uint32_t>(from.kind));
  PutUuid(from.node, to->mutable_node());
  to->set_name(from.name);
  if (!from.replaced.IsNil()) PutUuid(from.replaced, to->mutable_replaced());
  to->set_weight(from.weight);
  to->set_bucket(from.bucket);
  to->set_n(from.n);
  to->set_r(from.r);
  to->set_w(from.w);
  to->set_committed(from.committed);
  to->set_asked_ms(from.asked_ms);
}

std::optional<Change> TakeChange(const pb::Change& from) {
  Change to;
  to.number = from.number();
  to.kind = static_cast<ChangeKind>(from.kind());
  to.node = TakeUuid(from.node());
  to.name = from.name();
  to.replaced = TakeUuid(from.replaced());
  to.weight = from.weight();
  to.bucket = from.bucket();
  to.n = from.n();
  to.r = from.r();
  to.w = from.w();
  to.committed = from.committed();
  to.asked_ms = from.asked_ms();
  const bool kind_ok = from.kind() >= 1 && from.kind() <= 6;
  const bool weight_ok = std::isfinite(to.weight) && to.weight >= 0 && to.weight <= 100;
  const bool size_ok = to.name.size() <= 256 && to.bucket.size() <= kBucketNameBytesMax;
  const bool counts_ok = to.n <= kReplicationMax && to.r <= to.n && to.w <= to.n;
  if (!kind_ok || !weight_ok || !size_ok || !counts_ok) return std::nullopt;
  return to;
}

void PutChanges(const Topology& from, pb::Topology* to) {
  if (from.operation) {
    PutChange(from.operation->change, to->mutable_operation()->mutable_change());
    to->mutable_operation()->set_phase(static_cast<uint32_t>(from.operation->phase));
    to->mutable_operation()->set_started_ms(from.operation->started_ms);
  }
  for (const Change& change : from.queue) PutChange(change, to->add_queue());
  for (const Finished& finished : from.finished) {
    auto* m = to->add_finished();
    PutChange(finished.change, m->mutable_change());
    m->set_done(finished.done);
    m->set_ended_ms(finished.ended_ms);
  }
  for (const Removed& removed : from.removed) {
    auto* m = to->add_removed();
    PutUuid(removed.id, m->mutable_id());
    m->set_name(removed.name);
    m->set_epoch(removed.epoch);
  }
}

bool TakeChanges(const pb::Topology& from, Topology* to) {
  if (from.has_operation()) {
    auto change = TakeChange(from.operation().change());
    const uint32_t phase = from.operation().phase();
    if (!change || phase < 1 || phase > 4) return false;
    to->operation = {std::move(*change), static_cast<Phase>(phase), from.operation().started_ms()};
  }
  for (const pb::Change& m : from.queue()) {
    auto change = TakeChange(m);
    if (!change) return false;
    to->queue.push_back(std::move(*change));
  }
  for (const auto& m : from.finished()) {
    auto change = TakeChange(m.change());
    if (!change) return false;
    to->finished.push_back({std::move(*change), m.done(), m.ended_ms()});
  }
  for (const auto& m : from.removed()) {
    to->removed.push_back({TakeUuid(m.id()), m.name(), m.epoch()});
  }
  return true;
}

// What a document of a level above 0 has, and how the one of level 0 lacks it.
bool TakeLevel(const pb::Topology& from, Topology* to) {
  to->feature_level = from.feature_level();
  to->fence = from.fence();
  if (to->feature_level == 0) return from.deleted_size() == 0 && from.fence_of_level() == 0;
  to->fence = from.fence_of_level();
  if (from.deleted_size() > kBucketsMax) return false;
  for (const pb::DeletedBucket& m : from.deleted()) {
    to->deleted.push_back({m.number(), m.id(), m.name(), m.asked_ms()});
  }
  return from.fence() == UINT64_MAX && to->feature_level <= kFeatureLevel &&
         std::is_sorted(
             to->deleted.begin(), to->deleted.end(),
             [](const DeletedBucket& a, const DeletedBucket& b) { return a.number < b.number; });
}

void PutLevel(const Topology& from, pb::Topology* to) {
  to->set_fence(from.feature_level == 0 ? from.fence : UINT64_MAX);
  if (from.feature_level == 0) return;
  to->set_feature_level(from.feature_level);
  to->set_fence_of_level(from.fence);
  for (const DeletedBucket& deleted : from.deleted) {
    auto* m = to->add_deleted();
    m->set_number(deleted.number);
    m->set_id(deleted.id);
    m->set_name(deleted.name);
    m->set_asked_ms(deleted.asked_ms);
  }
}

// No id twice; at level 0 those that the names give.
bool BucketIdsConsistent(const Topology& topology) {
  std::set<uint32_t> ids;
  for (const DeletedBucket& deleted : topology.deleted) {
    if (deleted.id == 0 || !ids.insert(deleted.id).second) return false;
  }
  for (const auto& [name, bucket] : topology.buckets) {
    if (bucket.id == 0 || !ids.insert(bucket.id).second) return false;
    if (topology.feature_level == 0 && bucket.id != BucketIdOf(name)) return false;
  }
  return true;
}

// No token twice; `after`: in the ring after the operation.
bool TokensConsistent(const std::vector<Member>& members, bool after) {
  std::vector<uint64_t> tokens;
  for (const Member& member : members) {
    for (const ring::Token t : after ? member.next_tokens : member.tokens) {
      tokens.push_back(t.value);
    }
  }
  std::sort(tokens.begin(), tokens.end());
  return std::adjacent_find(tokens.begin(), tokens.end()) == tokens.end();
}

bool MembersConsistent(const std::vector<Member>& members) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < members.size(); ++i) {
    // Sorted by id, and no number (the first half of an id) twice.
    if (i > 0 && members[i - 1].Number() >= members[i].Number()) return false;
    if (!names.insert(members[i].name).second) return false;
  }
  return TokensConsistent(members, false) && TokensConsistent(members, true);
}

// Addresses: each node speaks for itself, whoever's list was taken.
bool MergeAddresses(const std::vector<Member>& others, std::vector<Member>* members) {
  bool changed = false;
  for (const Member& other : others) {
    for (Member& member : *members) {
      if (member.id != other.id || member.info_version >= other.info_version) continue;
      member.http = other.http;
      member.resp = other.resp;
      member.peer = other.peer;
      member.info_version = other.info_version;
      changed = true;
    }
  }
  return changed;
}

}  // namespace

std::string_view MemberStateText(MemberState state) {
  switch (state) {
    case MemberState::kJoining:
      return "joining";
    case MemberState::kNormal:
      return "normal";
    case MemberState::kLeaving:
      return "leaving";
    case MemberState::kRemoved:
      return "removed";
  }
  return "normal";
}

std::string_view ChangeKindText(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kJoin:
      return "join";
    case ChangeKind::kLeave:
      return "decommission";
    case ChangeKind::kRemove:
      return "remove";
    case ChangeKind::kReplace:
      return "replace";
    case ChangeKind::kReweight:
      return "reweight";
    case ChangeKind::kReplication:
      return "replication";
  }
  return "change";
}

std::string_view PhaseText(Phase phase) {
  switch (phase) {
    case Phase::kPrepare:
      return "prepare";
    case Phase::kStream:
      return "stream";
    case Phase::kSwitch:
      return "switch";
    case Phase::kUndo:
      return "undo";
  }
  return "unknown";
}

const Member* Topology::Find(const base::Uuid& id) const {
  for (const Member& member : members) {
    if (member.id == id) return &member;
  }
  return nullptr;
}

const Member* Topology::FindByName(std::string_view name) const {
  for (const Member& member : members) {
    if (member.name == name) return &member;
  }
  return nullptr;
}

const Removed* Topology::FindRemoved(const base::Uuid& id) const {
  for (const Removed& gone : removed) {
    if (gone.id == id) return &gone;
  }
  return nullptr;
}

std::vector<base::Uuid> Topology::Voters() const {
  std::vector<base::Uuid> voters;
  for (const Member& member : members) {
    if (member.state != MemberState::kJoining) voters.push_back(member.id);
  }
  return voters;
}

bool Topology::IsGone(const base::Uuid& id) const {
  const Member* member = Find(id);
  if (member != nullptr && member->given_up) return true;
  return operation && TakenOutBy(id) == &operation->change;
}

const Change* Topology::TakenOutBy(const base::Uuid& id) const {
  const auto takes_out = [&id](const Change& change) {
    const bool removes = change.kind == ChangeKind::kRemove && change.node == id;
    const bool replaces = change.kind == ChangeKind::kReplace && change.replaced == id;
    return removes || replaces;
  };
  if (operation && takes_out(operation->change)) return &operation->change;
  const auto found = std::find_if(queue.begin(), queue.end(), takes_out);
  return found == queue.end() ? nullptr : &*found;
}

uint32_t Topology::NextN(const BucketProperties& bucket) const {
  const bool moves = operation && operation->change.kind == ChangeKind::kReplication &&
                     operation->change.bucket == bucket.name;
  return moves ? operation->change.n : bucket.n;
}

Topology::ListNs Topology::NsOf(const BucketProperties& bucket) const {
  const uint32_t next = NextN(bucket);
  return operation && operation->ReadsNext() ? ListNs{next, bucket.n} : ListNs{bucket.n, next};
}

std::string EncodeMember(const Member& member) {
  pb::Member m;
  PutMember(member, &m);
  return m.SerializeAsString();
}

std::optional<Member> DecodeMember(std::string_view bytes) {
  pb::Member m;
  if (!m.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  return TakeMember(m);
}

std::string EncodeTopology(const Topology& topology) {
  pb::Topology m;
  PutUuid(topology.cluster, m.mutable_cluster());
  m.set_epoch(topology.epoch);
  PutUuid(topology.founder, m.mutable_founder());
  m.set_sealed(topology.sealed);
  for (const Member& member : topology.members) PutMember(member, m.add_members());
  for (const auto& [name, bucket] : topology.buckets) PutBucket(bucket, m.add_buckets());
  PutLevel(topology, &m);
  PutChanges(topology, &m);
  if (topology.access) m.set_access(*topology.access);
  return m.SerializeAsString();
}

std::optional<Topology> DecodeTopology(std::string_view bytes) {
  pb::Topology m;
  if (!m.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  if (m.members_size() > kMembersMax || m.buckets_size() > kBucketsMax) return std::nullopt;
  Topology topology;
  topology.cluster = TakeUuid(m.cluster());
  topology.epoch = m.epoch();
  if (!TakeLevel(m, &topology)) return std::nullopt;
  topology.founder = TakeUuid(m.founder());
  topology.sealed = m.sealed();
  for (const pb::Member& from : m.members()) {
    auto member = TakeMember(from);
    if (!member) return std::nullopt;
    topology.members.push_back(std::move(*member));
  }
  for (const pb::Bucket& from : m.buckets()) {
    auto bucket = TakeBucket(from);
    if (!bucket) return std::nullopt;
    std::string name = bucket->name;
    if (!topology.buckets.emplace(std::move(name), std::move(*bucket)).second) return std::nullopt;
  }
  if (!TakeChanges(m, &topology) || topology.fence > topology.epoch) return std::nullopt;
  if (!topology.Formed() || !MembersConsistent(topology.members)) return std::nullopt;
  if (!BucketIdsConsistent(topology)) return std::nullopt;
  if (m.access().size() > kAccessBytesMax) return std::nullopt;
  if (!m.access().empty()) topology.access = std::make_shared<const std::string>(m.access());
  return topology;
}

std::string WhyUnreadable(std::string_view bytes) {
  pb::Topology m;
  const bool parsed = m.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  if (parsed && m.feature_level() > kFeatureLevel) {
    return "the topology document is of feature level " + std::to_string(m.feature_level()) +
           ", and this build knows " + std::to_string(kFeatureLevel) + ": start a newer build";
  }
  return "the topology document is malformed";
}

base::Result<bool> MergeTopology(const Topology& theirs, Topology* mine) {
  if (theirs.cluster != mine->cluster) {
    return base::Fail(base::Code::kConflict, "the document is of another cluster");
  }
  // A seal is never undone, not even by a greater epoch: that would be a founder's that was put
  // back to before it, while data lies by the sealed list.
  if (std::tie(theirs.sealed, theirs.epoch) <= std::tie(mine->sealed, mine->epoch)) {
    return MergeAddresses(theirs.members, &mine->members);
  }
  const std::vector<Member> before = std::exchange(*mine, theirs).members;
  MergeAddresses(before, &mine->members);
  return true;
}

const BucketProperties* View::FindBucket(const std::string& name) const {
  const auto found = topology.buckets.find(name);
  return found == topology.buckets.end() ? nullptr : &found->second;
}

const BucketProperties* View::FindBucket(uint32_t id) const {
  const auto found = bucket_by_id.find(id);
  return found == bucket_by_id.end() ? nullptr : found->second;
}

bool View::WasDeleted(uint32_t bucket) const {
  const auto found = bucket_by_id.find(bucket);
  return found != bucket_by_id.end() && found->second == nullptr;
}

bool View::IsReplica(ring::Token token, const BucketProperties& bucket) const {
  const Replicas replicas = ReplicasOf(token, bucket);
  const auto has_self = [this](const std::vector<ring::NodeIndex>& list) {
    return std::find(list.begin(), list.end(), self) != list.end();
  };
  return has_self(replicas.read) || has_self(replicas.other);
}

View::Replicas View::ReplicasOf(ring::Token token, const BucketProperties& bucket) const {
  Replicas replicas{ring.Primaries(token, bucket.n).primaries, {}};
  if (!next) return replicas;
  replicas.other = next->Primaries(token, topology.NextN(bucket)).primaries;
  if (std::is_permutation(replicas.read.begin(), replicas.read.end(), replicas.other.begin(),
                          replicas.other.end())) {
    replicas.other.clear();
  } else if (topology.operation->ReadsNext()) {
    std::swap(replicas.read, replicas.other);
  }
  return replicas;
}

std::vector<ring::RingNode> NodesOf(const Topology& topology) {
  std::vector<ring::RingNode> nodes;
  for (const Member& m : topology.members) {
    nodes.push_back({m.id, m.name, m.dc, m.rack, m.weight, m.tokens});
  }
  return nodes;
}

std::vector<ring::Move> View::MovesOf(const BucketProperties& bucket) const {
  std::vector<ring::NodeIndex> gone;
  for (ring::NodeIndex i = 0; i < topology.members.size(); ++i) {
    if (topology.IsGone(MemberAt(i).id)) gone.push_back(i);
  }
  return ring::Diff(ring, bucket.n, *next, topology.NextN(bucket), gone);
}

std::shared_ptr<const View> MakeView(Topology topology, const base::Uuid& self) {
  auto view = std::make_shared<View>();
  view->digest = base::Hash64(EncodeTopology(topology));
  std::vector<ring::RingNode> nodes = NodesOf(topology);
  std::vector<ring::RingNode> after = nodes;
  bool member_of_it = false;
  for (size_t i = 0; i < topology.members.size(); ++i) {
    const Member& m = topology.members[i];
    after[i].tokens = m.next_tokens;
    view->by_number[m.Number()] = static_cast<ring::NodeIndex>(i);
    if (m.id == self) {
      view->self = static_cast<ring::NodeIndex>(i);
      member_of_it = true;
    }
  }
  LARIAT_CHECK(member_of_it, "a view is made by a member");
  view->ring = ring::Ring(std::move(nodes));
  if (topology.operation) view->next = ring::Ring(std::move(after));
  view->topology = std::move(topology);
  for (const auto& [name, bucket] : view->topology.buckets) view->bucket_by_id[bucket.id] = &bucket;
  for (const auto& deleted : view->topology.deleted) view->bucket_by_id[deleted.id] = nullptr;
  return view;
}

uint32_t BucketIdOf(std::string_view name) {
  const auto hash = static_cast<uint32_t>(base::Hash64(name) >> 32);
  return hash == 0 ? 1 : hash;  // 0 is kept for what is no bucket
}

std::optional<uint32_t> NewBucketId(const Topology& topology, std::string_view name) {
  std::set<uint32_t> taken;
  for (const auto& [other, bucket] : topology.buckets) taken.insert(bucket.id);
  for (const DeletedBucket& deleted : topology.deleted) taken.insert(deleted.id);
  uint32_t id = BucketIdOf(name);
  // No bucket's name has a '#'.
  for (uint64_t again = 1; taken.contains(id); ++again) {
    if (topology.feature_level == 0) return std::nullopt;
    id = BucketIdOf(std::string(name) + "#" + std::to_string(again));
  }
  return id;
}

}  // namespace lariat::membership

// SPDX-License-Identifier: Apache-2.0
#include "membership/topology.h"

#include <cmath>
#include <set>

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
  to->set_state(static_cast<uint32_t>(from.state));
  to->set_info_version(from.info_version);
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
  to.state = static_cast<MemberState>(from.state());
  to.info_version = from.info_version();
  const bool state_ok = from.state() >= 1 && from.state() <= 4;
  const bool weight_ok = std::isfinite(to.weight) && to.weight > 0 && to.weight <= 100;
  const bool text_ok = !to.name.empty() && to.name.size() <= 256 && to.peer.size() <= 512 &&
                       to.http.size() <= 512 && to.resp.size() <= 512 && to.dc.size() <= 256 &&
                       to.rack.size() <= 256;
  if (to.id.IsNil() || !state_ok || !weight_ok || !text_ok) return std::nullopt;
  if (from.tokens_size() > kTokensMax) return std::nullopt;
  if (!std::is_sorted(to.tokens.begin(), to.tokens.end())) return std::nullopt;
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
  to.conflict = static_cast<causal::Kind>(from.conflict());
  to.durability = static_cast<Durability>(from.durability());
  to.ttl_s = from.ttl_s();
  to.gc_grace_s = from.gc_grace_s();
  to.version = from.version();
  to.editor = from.editor();
  const bool conflict_ok = from.conflict() >= 1 && from.conflict() <= 2;
  const bool durability_ok = from.durability() >= 1 && from.durability() <= 3;
  if (!conflict_ok || !durability_ok || !CheckBucket(to)) return std::nullopt;
  if (to.id != BucketIdOf(to.name)) return std::nullopt;
  return to;
}

bool MembersConsistent(const std::vector<Member>& members) {
  std::vector<uint64_t> tokens;
  std::set<std::string_view> names;
  for (size_t i = 0; i < members.size(); ++i) {
    // Sorted by id, and no number (the first half of an id) twice.
    if (i > 0 && members[i - 1].Number() >= members[i].Number()) return false;
    if (!names.insert(members[i].name).second) return false;
    for (const ring::Token token : members[i].tokens) tokens.push_back(token.value);
  }
  std::sort(tokens.begin(), tokens.end());
  return std::adjacent_find(tokens.begin(), tokens.end()) == tokens.end();
}

bool MergeMembers(const Topology& theirs, Topology* mine) {
  bool changed = false;
  // A seal is never undone, not even by a greater epoch: that would be a founder's that was put
  // back to before it, while data lies by the sealed list.
  const bool newer = std::tie(theirs.sealed, theirs.epoch) > std::tie(mine->sealed, mine->epoch);
  std::vector<Member> before;
  if (newer) {
    before = std::move(mine->members);
    mine->members = theirs.members;
    mine->epoch = theirs.epoch;
    mine->sealed = theirs.sealed;
    mine->founder = theirs.founder;
    changed = true;
  }
  // Addresses: each node speaks for itself, whoever's list was taken.
  const std::vector<Member>& others = newer ? before : theirs.members;
  for (const Member& other : others) {
    for (Member& member : mine->members) {
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
  return m.SerializeAsString();
}

std::optional<Topology> DecodeTopology(std::string_view bytes) {
  pb::Topology m;
  if (!m.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  if (m.members_size() > kMembersMax || m.buckets_size() > kBucketsMax) return std::nullopt;
  Topology topology;
  topology.cluster = TakeUuid(m.cluster());
  topology.epoch = m.epoch();
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
  if (!topology.Formed() || !MembersConsistent(topology.members)) return std::nullopt;
  return topology;
}

base::Result<bool> MergeTopology(const Topology& theirs, Topology* mine) {
  if (theirs.cluster != mine->cluster) {
    return base::Fail(base::Code::kConflict, "the document is of another cluster");
  }
  bool changed = MergeMembers(theirs, mine);
  for (const auto& [name, bucket] : theirs.buckets) {
    const auto found = mine->buckets.find(name);
    if (found == mine->buckets.end()) {
      mine->buckets.emplace(name, bucket);
      changed = true;
      continue;
    }
    BucketProperties& own = found->second;
    const bool newer = std::tie(bucket.version, bucket.editor) > std::tie(own.version, own.editor);
    if (newer && bucket.conflict == own.conflict) {
      own = bucket;
      changed = true;
    }
  }
  return changed;
}

const BucketProperties* View::FindBucket(const std::string& name) const {
  const auto found = topology.buckets.find(name);
  return found == topology.buckets.end() ? nullptr : &found->second;
}

std::shared_ptr<const View> MakeView(Topology topology, const base::Uuid& self) {
  auto view = std::make_shared<View>();
  view->digest = base::Hash64(EncodeTopology(topology));
  std::vector<ring::RingNode> nodes;
  bool member_of_it = false;
  for (size_t i = 0; i < topology.members.size(); ++i) {
    const Member& m = topology.members[i];
    nodes.push_back({m.id, m.name, m.dc, m.rack, m.weight, m.tokens});
    view->by_number[m.Number()] = static_cast<ring::NodeIndex>(i);
    if (m.id == self) {
      view->self = static_cast<ring::NodeIndex>(i);
      member_of_it = true;
    }
  }
  LARIAT_CHECK(member_of_it, "a view is made by a member");
  view->ring = ring::Ring(std::move(nodes));
  view->topology = std::move(topology);
  return view;
}

uint32_t BucketIdOf(std::string_view name) {
  const auto hash = static_cast<uint32_t>(base::Hash64(name) >> 32);
  return hash == 0 ? 1 : hash;  // 0 is kept for what is no bucket
}

}  // namespace lariat::membership

// SPDX-License-Identifier: Apache-2.0
#include "membership/formation_core.h"

#include <algorithm>

#include "base/check.h"

namespace lariat::membership {

using base::Code;
using base::Fail;

namespace {

// Asked again every second or sooner; so a node that has not for so long is not there any more.
constexpr base::Duration kAskerGone = base::Seconds(5);
constexpr size_t kAskTooMax = 16;

}  // namespace

FormationCore::FormationCore(Options options, std::optional<Topology> stored)
    : options_(std::move(options)), topology_(std::move(stored)) {
  for (const std::string& address : options_.join) list_[address];
}

void FormationCore::OnPlace(const std::string& address, Place place) {
  const auto found = list_.find(address);
  if (found != list_.end()) found->second = std::move(place);
}

std::set<base::Uuid> FormationCore::FirstMembers() const {
  std::set<base::Uuid> first{options_.self.id};
  for (const auto& [address, place] : list_) first.insert(place.nodes.begin(), place.nodes.end());
  return first;
}

base::Uuid FormationCore::Founder() const {
  for (const auto& [address, place] : list_) {
    if (!place.complete) return {};
  }
  return *FirstMembers().begin();
}

wire::JoinRequest FormationCore::MakeJoinRequest() const {
  wire::JoinRequest request;
  request.member = EncodeMember(options_.self);
  request.expected = static_cast<uint32_t>(FirstMembers().size());
  request.replaces = options_.replaces;
  if (options_.replaces.empty()) request.founder = Founder();
  if (topology_) request.cluster = topology_->cluster;
  request.feature_level = options_.feature_level;
  return request;
}

// As many replicas as are wanted, or as there are nodes: a node alone has to be of use. Until the
// first write n grows with the cluster.
void FormationCore::FitDefaultBucket(Topology* topology) const {
  BucketProperties& bucket = topology->buckets.at("default");
  const auto nodes = static_cast<uint32_t>(topology->members.size());
  bucket.n = std::min(options_.default_n, nodes);
  bucket.r = bucket.w = MajorityOf(bucket.n);
}

void FormationCore::AddMember(Member member, Topology* topology) const {
  const ring::RingNode newcomer{member.id, member.name, member.dc, member.rack, member.weight, {}};
  member.tokens =
      ring::AllocateTokens(NodesOf(*topology), newcomer, {options_.vnodes, options_.default_n});
  member.state = MemberState::kNormal;
  member.given_up = false;
  const auto place = std::lower_bound(topology->members.begin(), topology->members.end(), member,
                                      [](const Member& a, const Member& b) { return a.id < b.id; });
  topology->members.insert(place, std::move(member));
}

Topology FormationCore::MakeTopology(const base::Uuid& cluster) const {
  Topology topology;
  topology.cluster = cluster;
  topology.epoch = topology.fence = 1;
  topology.founder = options_.self.id;
  topology.feature_level = options_.feature_level;
  AddMember(options_.self, &topology);
  for (const base::Uuid& id : FirstMembers()) {
    if (id == options_.self.id) continue;
    const Asker& asker = asked_.at(id);
    AddMember(asker.member, &topology);
    topology.feature_level = std::min(topology.feature_level, asker.feature_level);
  }
  topology.sealed = topology.members.size() > 1;
  BucketProperties bucket;
  bucket.name = "default";
  bucket.id = BucketIdOf(bucket.name);
  bucket.durability = options_.default_durability;
  bucket.version = 1;
  bucket.editor = options_.self.Number();
  topology.buckets.emplace(bucket.name, bucket);
  FitDefaultBucket(&topology);
  return topology;
}

bool FormationCore::TryFound(const base::Uuid& cluster) {
  if (topology_ || !options_.replaces.empty() || Founder() != options_.self.id) return false;
  for (const base::Uuid& id : FirstMembers()) {
    if (id != options_.self.id && !asked_.contains(id)) return false;
  }
  topology_ = MakeTopology(cluster);
  return true;
}

std::string FormationCore::TwinOf(const Member& newcomer, base::Instant now) const {
  const auto check = [&newcomer](const Member& other) -> std::string {
    if (other.id == newcomer.id) {
      return "the data directory is a copy of that of the node at " + other.peer +
             "; give this node an empty one";
    }
    if (other.name == newcomer.name) {
      return "the node at " + other.peer + " is named '" + newcomer.name +
             "' too; give this one its own name (--name)";
    }
    return "";
  };
  if (std::string why = check(options_.self); !why.empty()) return why;
  for (const auto& [id, asker] : asked_) {
    if (asker.member.peer == newcomer.peer) continue;  // itself, started again
    if (now - asker.last > kAskerGone) continue;       // it may be where it was not before
    if (std::string why = check(asker.member); !why.empty()) return why;
  }
  return "";
}

void FormationCore::OnAsker(Member member, const wire::JoinRequest& request, base::Instant now) {
  // An earlier node of that address or name is gone.
  std::erase_if(asked_, [&member](const auto& entry) {
    return entry.second.member.peer == member.peer || entry.second.member.name == member.name;
  });
  if (!request.cluster.IsNil()) {
    // Its cluster may take this node in, and must not be founded a second time.
    if (ask_too_.size() < kAskTooMax) ask_too_.insert(member.peer);
    return;
  }
  if (request.founder != options_.self.id) return;
  asked_[member.id] = {std::move(member), now, request.feature_level};
}

FormationCore::JoinDecision FormationCore::OnJoinRequest(const wire::JoinRequest& request,
                                                         base::Instant now) {
  JoinDecision decision;
  auto refuse = [&decision](Code code, std::string why) {
    decision.reply.outcome = {code, std::move(why)};
    return decision;
  };
  auto member = DecodeMember(request.member);
  if (!member) return refuse(Code::kInvalidArgument, "the request to join is malformed");
  if (!topology_) {
    if (std::string why = TwinOf(*member, now); !why.empty()) return refuse(Code::kConflict, why);
    OnAsker(std::move(*member), request, now);
    return refuse(Code::kUnavailable, WaitingFor());
  }
  if (topology_->Find(member->id) != nullptr) {
    decision.reply.document = EncodeTopology(*topology_);
    return decision;
  }
  if (topology_->sealed && request.feature_level < topology_->feature_level) {
    return refuse(Code::kConflict, "this build is older than the cluster, whose feature level is " +
                                       std::to_string(topology_->feature_level) +
                                       "; start a newer build");
  }
  if (topology_->sealed) {
    decision.newcomer = std::move(*member);
    return decision;
  }
  if (!request.replaces.empty()) {
    return refuse(Code::kConflict, "the cluster has no data yet: there is nothing to replace");
  }
  if (topology_->FindByName(member->name) != nullptr) {
    return refuse(Code::kConflict, "the cluster has another node named '" + member->name +
                                       "'; give this one its own name (--name)");
  }
  if (!IsFounder()) {
    const Member* founder = topology_->Find(topology_->founder);
    if (founder != nullptr) decision.reply.ask_instead = founder->peer;
    return refuse(Code::kUnavailable, "only the founder adds members");
  }
  // Before the first write nothing is stored that an older build would not understand.
  topology_->feature_level = std::min(topology_->feature_level, request.feature_level);
  AddMember(std::move(*member), &*topology_);
  FitDefaultBucket(&*topology_);
  ++topology_->buckets.at("default").version;
  topology_->fence = ++topology_->epoch;
  decision.topology_changed = true;
  decision.reply.document = EncodeTopology(*topology_);
  return decision;
}

base::Result<bool> FormationCore::OnJoinReply(const wire::JoinReply& reply) {
  if (topology_) return false;
  if (!reply.ask_instead.empty() && ask_too_.size() < kAskTooMax) {
    ask_too_.insert(reply.ask_instead);
  }
  if (reply.outcome.code == Code::kUnavailable) return false;
  if (!reply.outcome.ok()) return Fail(reply.outcome.ToError());
  auto theirs = DecodeTopology(reply.document);
  if (!theirs) return Fail(Code::kInvalidArgument, "a peer sent: " + WhyUnreadable(reply.document));
  return OnDocument(*theirs);
}

base::Result<bool> FormationCore::OnDocument(const Topology& theirs) {
  if (!expelled_.empty()) return Fail(Code::kConflict, expelled_);
  if (topology_) {
    Topology merged = *topology_;
    auto changed = MergeTopology(theirs, &merged);
    if (!changed) return changed;
    const Member* self = merged.Find(options_.self.id);
    if (self == nullptr || self->given_up) return Fail(NotInIt(merged));
    topology_ = std::move(merged);
    return changed;
  }
  if (theirs.FindRemoved(options_.self.id) != nullptr) return Fail(NotInIt(theirs));
  const Member* self = theirs.Find(options_.self.id);
  if (self == nullptr) return false;  // not (yet) about us
  if (self->given_up) return Fail(NotInIt(theirs));
  topology_ = theirs;
  return true;
}

base::Error FormationCore::NotInIt(const Topology& theirs) {
  const Removed* removed = theirs.FindRemoved(options_.self.id);
  const bool given_up = theirs.Find(options_.self.id) != nullptr;
  if (removed == nullptr && !given_up) {
    return {Code::kConflict, "the document does not name this node, which is a member"};
  }
  expelled_by_ = theirs;
  const std::string epoch = std::to_string(given_up ? theirs.epoch : removed->epoch);
  expelled_ = given_up ? "this node was down and about to be removed, and the others went on "
                         "without it (epoch "
                       : "this node left the cluster or was removed from it (epoch ";
  expelled_ += epoch +
               "); its identity cannot return: to use the machine again, start it with an empty "
               "data directory";
  return {Code::kConflict, expelled_};
}

bool FormationCore::Seal() {
  LARIAT_CHECK(topology_.has_value(), "a cluster is formed before it is sealed");
  LARIAT_CHECK(IsFounder(), "only the founder seals");
  if (topology_->sealed) return false;
  // Not a new epoch: the ring stays as it is, so requests under way remain valid.
  topology_->sealed = true;
  return true;
}

std::string FormationCore::WaitingFor() const {
  if (!expelled_.empty()) return expelled_;
  if (topology_) return "";
  if (!options_.replaces.empty()) {
    return "asking the cluster for the place of '" + options_.replaces + "'";
  }
  const base::Uuid founder = Founder();
  const std::set<base::Uuid> first = FirstMembers();
  const bool founds = founder == options_.self.id;
  size_t met = first.size();
  size_t all = first.size();
  std::string missing;
  for (const auto& [address, place] : list_) {
    if (!founder.IsNil() && !founds && place.nodes.contains(founder)) {
      return "waiting for the founder at " + address + " to form the cluster";
    }
    const bool asked = std::all_of(place.nodes.begin(), place.nodes.end(), [&](const auto& id) {
      return id == options_.self.id || asked_.contains(id);
    });
    if (place.complete && (!founds || asked)) continue;
    if (place.nodes.empty() && address == options_.self.peer) continue;
    all += place.nodes.empty() ? 1 : 0;
    met -= founds && !asked ? 1 : 0;
    missing += (missing.empty() ? "" : ", ") + address;
  }
  return "forming: " + std::to_string(met) + " of " + std::to_string(all) +
         " nodes have met; waiting for " + missing;
}

bool FormationCore::RefreshOwnAddresses() {
  if (!topology_) return false;
  for (Member& member : topology_->members) {
    if (member.id != options_.self.id) continue;
    const Member& now = options_.self;
    if (member.http == now.http && member.resp == now.resp && member.peer == now.peer) return false;
    member.http = now.http;
    member.resp = now.resp;
    member.peer = now.peer;
    ++member.info_version;
    return true;
  }
  return false;
}

}  // namespace lariat::membership

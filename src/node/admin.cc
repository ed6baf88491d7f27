// SPDX-License-Identifier: Apache-2.0
#include "node/admin.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/gather.h"
#include "causal/serial/serial.h"

namespace lariat::node {

using base::Code;
using base::Fail;
using coordinator::Explanation;
using coordinator::ReplicaReport;

namespace {

constexpr base::Duration kExplainTimeout = base::Seconds(2);
constexpr uint32_t kUsualReplication = 3;

std::string BallotText(const consensus::Ballot& ballot, const membership::View& view) {
  const auto& members = view.topology.members;
  const auto by = std::find_if(members.begin(), members.end(), [&](const membership::Member& m) {
    return m.Number() == ballot.node;
  });
  return fmt::format("{} by {}", ballot.counter,
                     by == members.end() ? "a former member" : by->name);
}

void DescribeRead(const wire::ReadReply& reply, const membership::View& view, base::WallTime now,
                  ReplicaReport* report) {
  if (!reply.outcome.ok()) {
    const bool silent =
        reply.outcome.code == Code::kTimeout || reply.outcome.code == Code::kUnavailable;
    const bool in_doubt = reply.outcome.error.starts_with(replica::kInDoubt);
    report->state =
        silent ? (in_doubt ? "in doubt" : "unreachable") : "error: " + reply.outcome.error;
    return;
  }
  report->state = reply.found ? "found" : "absent";
  if (!reply.found) return;
  report->bytes = reply.object.size();
  report->digest = fmt::format("{:016x}{:016x}", reply.digest.high, reply.digest.low);
  if (const auto parts = causal::SerialPartsOf(reply.object)) {
    report->ballot = BallotText(parts->accepted, view);
  }
  auto object = causal::Object::Decode(reply.object);
  if (!object) {
    report->state = "error: malformed object";
    return;
  }
  report->version = object->serial() != nullptr
                        ? coordinator::Version{{"", object->serial()->version}}
                        : coordinator::NameVersion(object->Version(), view);
  report->siblings = static_cast<uint32_t>(object->LiveValues(now).size());
  report->tombstones = object->HasTombstone() ? 1 : 0;
}

// Whether all that could be reached hold the same.
bool Agree(const std::vector<ReplicaReport>& replicas) {
  const ReplicaReport* first = nullptr;
  for (const ReplicaReport& r : replicas) {
    if (r.state == "unreachable" || r.state == "in doubt") continue;
    if (first == nullptr) first = &r;
    if (r.digest != first->digest || r.state != first->state) return false;
  }
  return first != nullptr;
}

// What gossip and the failure detector know of a member.
void DescribePeer(const peers::PeersSeen* seen, uint64_t number, coordinator::NodeStatus* node) {
  node->detector = "alive";
  if (seen == nullptr) return;
  const auto peer = seen->peers.find(number);
  if (peer == seen->peers.end()) return;
  node->phi = peer->second.status.phi;
  node->detector = membership::PeerStateText(peer->second.status.state);
  node->draining = peer->second.states.draining;
  node->clock_offset_ms = peer->second.clock_offset_ms;
  node->data_bytes = peer->second.states.load_bytes;
  node->hints_pending_bytes = peer->second.states.hint_bytes;
  node->twin = peer->second.states.twin_address;
}

}  // namespace

NodeAdmin::NodeAdmin(AdminHost& node, Shard& shard)
    : node_(node), shard_(shard), started_(shard.home().env().clock.Now()) {}

coordinator::ClusterStatus NodeAdmin::Status() const {
  coordinator::ClusterStatus status;
  status.answered_by = node_.options().identity.name;
  const auto& view = shard_.view();
  if (!view) return status;
  status.cluster_id = view->topology.cluster.ToString();
  status.epoch = view->topology.epoch;
  const auto seen = node_.notices().peers_seen();
  const std::vector<double> owns = view->ring.Ownership(kUsualReplication);
  for (ring::NodeIndex i = 0; i < view->ring.size(); ++i) {
    const membership::Member& m = view->MemberAt(i);
    coordinator::NodeStatus node;
    node.name = m.name;
    node.id = m.id.ToString();
    // It never comes back, and only its ranges wait for others to have their data.
    node.state = m.given_up ? "removed" : membership::MemberStateText(m.state);
    node.alive = shard_.peers().IsAlive(i);
    node.http = m.http;
    node.resp = m.resp;
    node.peer = m.peer;
    node.dc = m.dc;
    node.rack = m.rack;
    node.weight = m.weight;
    node.tokens = static_cast<uint32_t>(m.tokens.size());
    node.owns = owns[i];
    node.self = i == view->self;
    if (const auto level = FeatureLevelOf(m)) node.feature_level = *level;
    DescribePeer(seen.get(), m.Number(), &node);
    status.nodes.push_back(std::move(node));
  }
  std::sort(status.nodes.begin(), status.nodes.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  status.operation = Operation();
  status.queued = static_cast<uint32_t>(view->topology.queue.size());
  status.feature_level = view->topology.feature_level;
  status.upgrade = Upgrade();
  return status;
}

std::vector<coordinator::RingRange> NodeAdmin::Ring(uint32_t n) const {
  std::vector<coordinator::RingRange> ranges;
  const auto& view = shard_.view();
  if (!view) return ranges;
  for (const ring::Ring::Range& range : view->ring.Ranges(n)) {
    coordinator::RingRange out{range.from, range.to, {}};
    for (const ring::NodeIndex owner : range.owners.primaries) {
      out.owners.push_back(view->MemberAt(owner).name);
    }
    ranges.push_back(std::move(out));
  }
  return ranges;
}

void NodeAdmin::Explain(std::string bucket, std::string key, coordinator::Caller /*caller*/,
                        coordinator::ExplainDone done) {
  if (auto status = membership::CheckKey(key); !status) return done(Fail(status.error()));
  auto properties = shard_.coordinator().Bucket(bucket);
  if (!properties) return done(Fail(properties.error()));
  const auto view = shard_.view();
  struct Seen {
    Explanation explanation;
    healing::KeptQuestion kept;
  };
  const base::Gather<Seen> gather({}, [this, done = std::move(done)](Seen seen) mutable {
    seen.explanation.agree = Agree(seen.explanation.replicas);
    WhyKept(std::move(seen.kept), [explanation = std::move(seen.explanation),
                                   done = std::move(done)](std::string why) mutable {
      explanation.kept_because = std::move(why);
      done(std::move(explanation));
    });
  });
  Explanation& e = gather->explanation;
  e.bucket = bucket;
  e.key = key;
  e.partition_key = std::string(ring::PartitionKey(key));
  const ring::Token token = ring::TokenOf(key);
  e.token = token;
  e.n = properties->n;
  e.r = properties->r;
  e.w = properties->w;
  const auto primaries = view->ring.Primaries(token, properties->n).primaries;
  for (const ring::NodeIndex i : view->ring.Fallbacks(token, properties->n)) {
    e.fallbacks.push_back(view->MemberAt(i).name);
  }
  e.replicas.resize(primaries.size());
  for (size_t i = 0; i < primaries.size(); ++i) {
    e.replicas[i].node = view->MemberAt(primaries[i]).name;
    e.replicas[i].alive = shard_.peers().IsAlive(primaries[i]);
    gather->kept.replicas.push_back(
        {view->MemberAt(primaries[i]).Number(), e.replicas[i].node, false, ""});
  }
  gather->kept.data_key = storage::DataKey(properties->id, token.value, key);
  gather->kept.gc_grace_s = properties->gc_grace_s;
  for (size_t i = 0; i < primaries.size(); ++i) {
    gather.Expect();
    shard_.ports().Read(
        {*view, primaries[i], kExplainTimeout}, {properties->id, token.value, key, false, ""},
        [gather, view, i, now = shard_.home().env().clock.Wall()](const wire::ReadReply& reply) {
          DescribeRead(reply, *view, now, &gather->explanation.replicas[i]);
          gather->kept.replicas[i].answered = reply.outcome.ok();
          gather->kept.replicas[i].object = reply.object;
          gather.Arrive();
        });
  }
  gather.Arrive();
}

coordinator::HealthSummary NodeAdmin::Health() const {
  coordinator::HealthSummary health;
  health.node = node_.options().identity.name;
  health.version = node_.options().version;
  const auto& addresses = node_.options().addresses;
  health.advertised = {addresses.http, addresses.resp, addresses.peer};
  health.uptime_s =
      static_cast<uint64_t>(base::ToSeconds(shard_.home().env().clock.Now() - started_));
  if (!node_.options().settings.security_cert_file.empty()) {
    health.certificate_days = shard_.metrics().tls_certificate_seconds.value() / 86400;
  }
  switch (node_.engine().health()) {
    case storage::Health::kOk:
      health.storage = node_.engine().damaged() ? "damaged" : "ok";
      break;
    case storage::Health::kDiskFull:
      health.storage = "disk_full";
      break;
    case storage::Health::kDead:
      health.storage = "dead";
      break;
  }
  if (shard_.view()) {
    health.nodes_total = static_cast<uint32_t>(shard_.view()->ring.size());
    health.nodes_alive = shard_.peers().PeersAlive() + 1;
  }
  // Also of a node that is in a cluster no more.
  if (std::string waiting = node_.notices().WaitingFor(); !waiting.empty() || !shard_.view()) {
    health.reasons.push_back(std::move(waiting));
  } else if (std::string missing = shard_.WhyNotServing(); !missing.empty()) {
    health.reasons.push_back(std::move(missing));
  }
  if (node_.notices().draining()) health.reasons.push_back("draining");
  if (auto right = shard_.ports().CheckClock(); !right) {
    health.reasons.push_back(std::move(right.error().message));
  }
  if (health.storage == "dead") health.reasons.push_back("the storage engine has failed");
  health.live = true;
  health.ready = health.reasons.empty();
  health.status = health.ready && health.storage == "ok" ? "ok" : "degraded";
  return health;
}

// Healing lives on shard 0.
void NodeAdmin::WhyKept(healing::KeptQuestion question, healing::Sweeper::TextDone done) {
  node_.PostHome([this, question = std::move(question), done = std::move(done)]() mutable {
    node_.healing().WhyKept(
        std::move(question), [this, done = std::move(done)](std::string why) mutable {
          shard_.Post(
              [done = std::move(done), why = std::move(why)]() mutable { done(std::move(why)); });
        });
  });
}

void NodeAdmin::Repair(coordinator::RepairRequest request, coordinator::TicketDone done) {
  node_.PostHome([this, request = std::move(request), done = std::move(done)]() mutable {
    node_.healing().Repair(
        std::move(request),
        [this, done = std::move(done)](base::Result<coordinator::ChangeTicket> ticket) mutable {
          shard_.Post([done = std::move(done), ticket = std::move(ticket)]() mutable {
            done(std::move(ticket));
          });
        });
  });
}

void NodeAdmin::GetRepairStatus(RepairStatusDone done) {
  node_.PostHome([this, done = std::move(done)]() mutable {
    node_.healing().Status([this, done = std::move(done)](coordinator::RepairStatus s) mutable {
      shard_.Post([done = std::move(done), s = std::move(s)]() mutable { done(std::move(s)); });
    });
  });
}

void NodeAdmin::Hot(coordinator::HotRequest request, HotDone done) {
  node_.PostHome([this, request = std::move(request), done = std::move(done)]() mutable {
    node_.hot_keys().Gather(request, [this, done = std::move(done)](
                                         base::Result<coordinator::HotKeysShown> keys) mutable {
      shard_.Post(
          [done = std::move(done), keys = std::move(keys)]() mutable { done(std::move(keys)); });
    });
  });
}

std::string NodeAdmin::MetricsText() const { return node_.MetricsText(); }

}  // namespace lariat::node

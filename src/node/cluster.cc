// SPDX-License-Identifier: Apache-2.0
#include "node/cluster.h"

#include <utility>

namespace lariat::node {

using base::Code;
using base::Fail;
using membership::FormationCore;
using storage::Space;
using telemetry::LogLevel;

namespace {

constexpr const char* kDocumentKey = "topology";
constexpr base::Duration kAskAgain = base::Millis(200);
constexpr base::Duration kStalledAgain = base::Millis(10);
constexpr base::Duration kRefusedAgain = base::Seconds(1);
constexpr base::Duration kClusterTimeout = base::Seconds(2);

}  // namespace

base::Result<std::optional<membership::Topology>> LoadTopology(storage::Engine& engine) {
  auto stored = engine.GetBlocking(Space::kMeta, kDocumentKey);
  if (!stored && stored.error().code == Code::kNotFound)
    return std::optional<membership::Topology>();
  if (!stored) return Fail(stored.error());
  auto topology = membership::DecodeTopology(*stored);
  if (!topology) return Fail(Code::kCorruption, "the stored topology document is damaged");
  return topology;
}

Cluster::Cluster(Shard& home, FormationCore::Options options,
                 std::optional<membership::Topology> stored, storage::Engine& engine,
                 telemetry::LogSink& log, Publish publish)
    : home_(home),
      core_(std::move(options), std::move(stored)),
      engine_(engine),
      log_(log),
      publish_(std::move(publish)) {}

void Cluster::Start() {
  if (core_.topology() != nullptr) {
    const bool moved = core_.RefreshOwnAddresses();
    return Adopt([this, moved](const base::Status& status) {
      if (status && moved) Spread();
    });
  }
  TryFound();
  // A new identity is told to the others only when it cannot be lost any more: they would refuse
  // the same name under another one for ever.
  engine_.Sync(&home_, [this](const base::Status& status) {
    if (status) AskToJoin();
  });
}

std::string Cluster::WaitingFor() const {
  const std::string waiting = core_.WaitingFor();
  if (waiting.empty() || refusal_.empty()) return waiting;
  return waiting + "; last answer: " + refusal_;
}

void Cluster::TryFound() {
  const env::Env& env = home_.env();
  const auto id = base::Uuid::FromRandom(env.entropy.Next(), env.entropy.Next());
  if (!core_.TryFound(id)) return;
  log_.Log(LogLevel::kInfo, "cluster", "formed cluster {} with {} node(s)", id.ToString(),
           core_.topology()->members.size());
  Adopt([this](const base::Status& status) {
    if (status) Spread();
  });
}

void Cluster::AskToJoin() {
  for (const std::string& address : core_.AddressesToAsk()) {
    home_.Call(home_.PeerAt(address), core_.MakeJoinRequest(), kClusterTimeout,
               [this](base::Result<wire::Body> reply) { OnJoinReply(reply); });
  }
  if (core_.topology() == nullptr) {
    home_.env().timers.After(kAskAgain, [this] { AskToJoin(); });
  }
}

void Cluster::OnJoinReply(const base::Result<wire::Body>& reply) {
  if (!reply) return;  // asked again shortly
  const auto* join = std::get_if<wire::JoinReply>(&*reply);
  if (join == nullptr || core_.topology() != nullptr) return;
  auto changed = core_.OnJoinReply(*join);
  if (!changed) {
    if (refusal_ != changed.error().message) {
      log_.Log(LogLevel::kError, "cluster", "cannot join: {}", changed.error().message);
    }
    refusal_ = changed.error().message;
    return;
  }
  if (*changed) Adopt([](const base::Status&) {});
}

void Cluster::Adopt(StatusDone done) {
  auto topology = *core_.topology();
  std::string document = membership::EncodeTopology(topology);
  storage::WriteBatch batch;
  batch.Put(Space::kMeta, kDocumentKey, document);
  if (auto status = engine_.Write(batch); !status) {
    return AdoptLater(std::move(done), status.error());
  }
  engine_.Sync(
      &home_, [this, topology = std::move(topology), document = std::move(document),
               number = ++adoptions_, done = std::move(done)](const base::Status& status) mutable {
        if (!status) return done(status);
        if (number < adopted_) return done({});  // a newer one was faster
        adopted_ = number;
        durable_ = std::move(document);
        if (!was_formed_) {
          was_formed_ = true;
          log_.Log(LogLevel::kInfo, "cluster", "member of cluster {} with {} node(s), epoch {}",
                   topology.cluster.ToString(), topology.members.size(), topology.epoch);
        }
        publish_(membership::MakeView(std::move(topology), home_.MakeHello().node));
        done({});
      });
}

bool Cluster::Durable() const {
  return core_.topology() != nullptr && membership::EncodeTopology(*core_.topology()) == durable_;
}

// What is known in memory has to reach the disk and the shards, however long the engine refuses.
void Cluster::AdoptLater(StatusDone done, const base::Error& error) {
  if (error.code == Code::kStalled) {
    home_.env().timers.After(kStalledAgain,
                             [this, done = std::move(done)]() mutable { Adopt(std::move(done)); });
    return;
  }
  log_.Log(LogLevel::kError, "cluster", "the topology document cannot be stored: {}",
           error.message);
  done(Fail(error));
  if (engine_.health() == storage::Health::kDead) return;
  home_.env().timers.After(kRefusedAgain, [this] { Adopt([](const base::Status&) {}); });
}

void Cluster::PushDocument(PeerHandle peer) {
  if (!Durable()) return;  // the heartbeats find the difference again
  home_.Call(peer, wire::DocumentPush{membership::EncodeTopology(*core_.topology())},
             kClusterTimeout, [](const base::Result<wire::Body>&) {});
}

void Cluster::Spread() {
  if (!home_.view()) return;
  for (ring::NodeIndex i = 0; i < home_.view()->ring.size(); ++i) {
    if (auto peer = home_.PeerOf(i)) PushDocument(*peer);
  }
}

// --- requests ----------------------------------------------------------------------------------

void Cluster::OnRequest(wire::Body request, BodyDone done) {
  if (auto* join = std::get_if<wire::JoinRequest>(&request)) return OnJoin(*join, std::move(done));
  if (auto* push = std::get_if<wire::DocumentPush>(&request)) {
    return OnPush(*push, std::move(done));
  }
  if (std::holds_alternative<wire::SealRequest>(request)) return OnSeal(std::move(done));
  done(wire::DocumentReply{{Code::kUnsupported, "unknown request"}});
}

void Cluster::OnJoin(const wire::JoinRequest& request, BodyDone done) {
  auto decision = core_.OnJoinRequest(request);
  if (decision.reply.document.empty()) {
    TryFound();  // the asker may have been the last one missing; it asks again
    return done(std::move(decision.reply));
  }
  if (Durable()) return done(std::move(decision.reply));
  Adopt([this, reply = std::move(decision.reply),
         done = std::move(done)](const base::Status& status) mutable {
    if (!status) reply = {wire::Outcome::From(status.error()), "", ""};
    done(std::move(reply));
    Spread();
  });
}

void Cluster::OnPush(const wire::DocumentPush& push, BodyDone done) {
  const auto refuse = [&done](const base::Error& error) {
    done(wire::DocumentReply{wire::Outcome::From(error)});
  };
  auto theirs = membership::DecodeTopology(push.document);
  if (!theirs) return refuse({Code::kInvalidArgument, "malformed topology document"});
  auto changed = core_.OnDocument(*theirs);
  if (!changed) return refuse(changed.error());
  // Nothing to store, or a document that is not (yet) about this node.
  if (core_.topology() == nullptr || Durable()) return done(wire::DocumentReply{});
  Adopt([done = std::move(done)](const base::Status& status) mutable {
    wire::DocumentReply reply;
    if (!status) reply.outcome = wire::Outcome::From(status.error());
    done(std::move(reply));
  });
}

void Cluster::OnSeal(BodyDone done) {
  Seal([this, done = std::move(done)](const base::Status& status) mutable {
    wire::JoinReply reply;
    if (!status) {
      reply.outcome = wire::Outcome::From(status.error());
    } else {
      reply.document = membership::EncodeTopology(*core_.topology());
    }
    done(std::move(reply));
  });
}

void Cluster::Seal(StatusDone done) {
  const membership::Topology* topology = core_.topology();
  if (topology == nullptr) return done(Fail(Code::kUnavailable, WaitingFor()));
  if (topology->sealed && Durable()) return done({});
  if (topology->sealed || core_.IsFounder()) {
    if (!topology->sealed) core_.Seal();
    return Adopt([this, done = std::move(done)](const base::Status& status) mutable {
      if (status) Spread();
      done(status);
    });
  }
  const membership::Member* founder = topology->Find(topology->founder);
  if (founder == nullptr) return done(Fail(Code::kInternal, "the founder is not a member"));
  home_.Call(
      home_.PeerAt(founder->peer), wire::SealRequest{}, kClusterTimeout,
      [this, done = std::move(done)](base::Result<wire::Body> body) mutable {
        const auto* reply = body ? std::get_if<wire::JoinReply>(&*body) : nullptr;
        if (reply == nullptr || !reply->outcome.ok()) {
          return done(Fail(Code::kUnavailable,
                           "the cluster's founder has to be reached before the first write"));
        }
        auto sealed = membership::DecodeTopology(reply->document);
        if (!sealed) return done(Fail(Code::kInternal, "malformed topology document"));
        auto changed = core_.OnDocument(*sealed);
        if (!changed) return done(Fail(changed.error()));
        Adopt(std::move(done));
      });
}

// --- buckets -----------------------------------------------------------------------------------

void Cluster::SetBucket(membership::BucketProperties bucket, StatusDone done) {
  if (core_.topology() == nullptr) return done(Fail(Code::kUnavailable, WaitingFor()));
  const auto& buckets = core_.topology()->buckets;
  const auto found = buckets.find(bucket.name);
  bucket.id = membership::BucketIdOf(bucket.name);
  bucket.version = found == buckets.end() ? 1 : found->second.version + 1;
  bucket.editor = home_.MakeHello().node.high;
  auto changed = core_.SetBucket(bucket);
  if (!changed) return done(Fail(changed.error()));
  Adopt([this, done = std::move(done)](const base::Status& status) mutable {
    if (!status) return done(status);
    SpreadBucket(std::move(done));
  });
}

void Cluster::SpreadBucket(StatusDone done) {
  struct Count {
    size_t stored = 1;   // this node
    size_t waiting = 1;  // the loop below: a call may fail before it returns
    size_t members = 1;
    std::string why;
    StatusDone done;
  };
  auto count = std::make_shared<Count>();  // co-owned by the callbacks below
  count->members = home_.view()->ring.size();
  count->done = std::move(done);
  const auto check = [count] {
    // A majority makes it durable; all that answer, so that the client may go on through any node.
    if (count->waiting > 0) return;
    if (count->stored >= count->members / 2 + 1) return count->done({});
    const std::string why = count->why.empty() ? "" : " (" + count->why + ")";
    count->done(
        Fail(Code::kUnknown, "the definition is stored on " + std::to_string(count->stored) +
                                 " of " + std::to_string(count->members) +
                                 " nodes, which is no majority; the others get it when they are "
                                 "back" +
                                 why));
  };
  const wire::DocumentPush push{membership::EncodeTopology(*core_.topology())};
  for (ring::NodeIndex i = 0; i < home_.view()->ring.size(); ++i) {
    const auto peer = home_.PeerOf(i);
    if (!peer) continue;
    ++count->waiting;
    home_.Call(*peer, push, kClusterTimeout, [count, check](const base::Result<wire::Body>& body) {
      --count->waiting;
      const auto* reply = body ? std::get_if<wire::DocumentReply>(&*body) : nullptr;
      if (reply != nullptr && reply->outcome.ok()) {
        ++count->stored;
      } else if (reply != nullptr) {
        count->why = reply->outcome.error;
      } else if (!body) {
        count->why = body.error().message;
      }
      check();
    });
  }
  --count->waiting;
  check();
}

}  // namespace lariat::node

// SPDX-License-Identifier: Apache-2.0
// Life of a shard: timers, peers and their liveness, the clock's durable limit.
#include "node/shard.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "node/node.h"

namespace lariat::node {

using base::Code;
using base::Fail;

namespace {

constexpr base::Duration kTick = base::Millis(5);
// The durable limit of the clock runs this far ahead: less than limits.clock_drift_ms, so that
// stamps given out right after a restart are still accepted by the others.
constexpr int64_t kClockAheadMs = 500;
constexpr int64_t kClockRefillMs = 200;
// A clock that is ahead of the wall already gets only this much: the unused rest of a limit is lost
// at a restart, so restarts in quick succession would drive the clock past what others accept.
constexpr int64_t kClockStepMs = 20;
constexpr int64_t kClockLeftMinMs = 10;

replica::RecordLimits RecordLimitsOf(const config::Settings& settings) {
  return {static_cast<size_t>(settings.limits_object_bytes),
          static_cast<size_t>(settings.limits_siblings_warn)};
}

// If the log was cut, the newest limit may be lost with it: then what it was at most by now, unless
// the stamps of others were further ahead.
causal::HlcStamp FloorAfter(const storage::Engine& engine, causal::HlcStamp stored,
                            base::WallTime now) {
  if (!engine.Stats().log_truncated) return stored;
  return std::max(stored, causal::HlcStamp::FromWallMs(now.ms + kClockAheadMs));
}

uint64_t TreeRateOf(const Node& node, const config::Settings& settings) {
  return static_cast<uint64_t>(settings.repair_max_bytes_per_s) / node.shards();
}

replica::ReplicaOptions ReplicaOptionsOf(const Node& node, uint32_t index,
                                         const config::Settings& settings,
                                         const storage::Engine& engine, env::Entropy& entropy) {
  replica::ReplicaOptions options;
  options.node = node.identity().id.high;
  options.incarnation = entropy.Next() | 1;
  options.draw_incarnation = [&entropy] { return entropy.Next() | 1; };
  options.queue_max = static_cast<size_t>(settings.limits_replica_queue);
  options.tree = {settings.repair_keep_tree, index, node.shards(), engine.Stats().log_truncated};
  options.tree_bytes_per_s = TreeRateOf(node, settings);
  options.hints = node.hint_budget();
  return options;
}

}  // namespace

Shard::Shard(Node& node, uint32_t index, World world, const config::Settings& settings,
             storage::Engine& engine, telemetry::Metrics& metrics, telemetry::LogSink& log,
             causal::HlcStamp clock_floor)
    : node_(node),
      index_(index),
      stored_cluster_(node.options().stored.topology ? node.options().stored.topology->cluster
                                                     : base::Uuid{}),
      world_(world),
      settings_(settings),
      engine_(engine),
      metrics_(metrics),
      log_(log),
      prng_(world.env.entropy.Next()),
      clock_(FloorAfter(engine, clock_floor, world.env.clock.Wall()),
             settings.limits_clock_drift_ms),
      replica_(ReplicaOptionsOf(node, index, settings, engine, world_.env.entropy), engine, *this,
               clock_, metrics, log),
      calls_(world.env.entropy.Next()),
      coordinator_(world.env, settings, *this, *this, metrics),
      handed_over_(node.shards()) {}

void Shard::Start() {
  replica_.SetRecordLimits(RecordLimitsOf(settings_));
  const auto [first, last] = ring::SliceOf(index_, node_.shards());
  replica_.RecountHints(first, last);
  Tick();
}

void Shard::ApplySettings(const config::Settings& settings) {
  settings_ = settings;
  coordinator_.ApplySettings(settings);
  if (index_ == 0) node_.peer_time().SetLimit(settings.limits_clock_drift_ms);
  replica_.SetTreeRate(TreeRateOf(node_, settings));
  replica_.SetRecordLimits(RecordLimitsOf(settings));
}

void Shard::Post(base::UniqueFunction<void()> task) { world_.env.executor.Post(std::move(task)); }

void Shard::Tick() {
  const base::Instant now = world_.env.clock.Now();
  calls_.Expire(now);
  MindClock();
  coordinator_.Tick(now);
  replica_.Tick(now);
  TellDirty();
  world_.env.timers.After(kTick, [this] { Tick(); });
}

// --- peers -------------------------------------------------------------------------------------

PeerHandle Shard::PeerAt(const std::string& address) {
  const auto found = by_address_.find(address);
  if (found != by_address_.end()) return found->second;
  const PeerHandle peer = world_.transport.Open(address, std::nullopt);
  by_address_[address] = peer;
  peers_[peer] = {address, std::nullopt};
  return peer;
}

void Shard::CloseAddress(const std::string& address) {
  const auto found = by_address_.find(address);
  if (found == by_address_.end()) return;
  const PeerHandle peer = found->second;
  by_address_.erase(found);
  Close(peer);
}

void Shard::Close(PeerHandle peer) {
  world_.transport.Close(peer);
  OnPeerDown(peer, {Code::kUnavailable, "no longer needed"});
  peers_.erase(peer);
}

Shard::Met Shard::MetAt(const std::string& address) const {
  const auto found = by_address_.find(address);
  if (found == by_address_.end()) return {};
  return {peers_.at(found->second).node, world_.transport.Trouble(found->second)};
}

std::optional<PeerHandle> Shard::PeerOf(ring::NodeIndex index) const {
  return index < peer_of_.size() ? peer_of_[index] : std::nullopt;
}

// A member is known by its id: what is meant for it must not reach another node that has got its
// address, and count as done by two.
void Shard::OpenMember(ring::NodeIndex index) {
  const membership::Member& member = view_->MemberAt(index);
  const auto found = by_member_.find(member.id);
  if (found != by_member_.end()) {
    peer_of_[index] = found->second;
    if (peers_[found->second].address == member.peer) return;
    Close(found->second);  // it has moved
  }
  const PeerHandle peer = world_.transport.Open(member.peer, member.id);
  by_member_[member.id] = peer;
  peers_[peer] = {member.peer, member.id};
  peer_of_[index] = peer;
}

void Shard::SetView(std::shared_ptr<const membership::View> view) {
  view_ = std::move(view);
  peer_of_.assign(view_->ring.size(), std::nullopt);
  for (ring::NodeIndex i = 0; i < view_->ring.size(); ++i) {
    if (i != view_->self) OpenMember(i);
  }
  std::vector<PeerHandle> unwanted;
  for (const auto& [address, peer] : std::exchange(by_address_, {})) unwanted.push_back(peer);
  std::erase_if(by_member_, [&](const auto& entry) {
    const bool member = IsMember(entry.first);
    if (!member) unwanted.push_back(entry.second);
    return !member;
  });
  for (const PeerHandle peer : unwanted) Close(peer);
  metrics_.peers_up.Set(PeersAlive());  // connections that were made before the view came, too
  LookWhetherItServes();
  // An adoption may end after the node was put out of the cluster.
  coordinator_.SetView(expelled_ || !aside_.empty() ? nullptr : view_);
}

std::optional<PeerHandle> Shard::PeerOf(const base::Uuid& id) const { return PeerOf(id.high); }

std::optional<PeerHandle> Shard::PeerOf(uint64_t number) const {
  if (!view_) return std::nullopt;
  const auto found = view_->by_number.find(number);
  return found == view_->by_number.end() ? std::nullopt : PeerOf(found->second);
}

void Shard::SetUnusable(std::shared_ptr<const std::set<uint64_t>> nodes) {
  liveness_.SetUnusable(std::move(nodes));
  metrics_.peers_up.Set(PeersAlive());
  LookWhetherItServes();
}

void Shard::Expel() {
  expelled_ = true;
  coordinator_.SetView(nullptr);
}

void Shard::StandAside(std::string why) {
  aside_ = std::move(why);
  coordinator_.SetView(nullptr);
}

// Known before the first view: a node that is still asking whether it is a member must not pass for
// one that belongs nowhere.
base::Uuid Shard::ClusterId() const { return view_ ? view_->topology.cluster : stored_cluster_; }

wire::Hello Shard::MakeHello() const {
  wire::Hello hello;
  hello.protocol = 1;
  hello.node = node_.identity().id;
  hello.cluster = ClusterId();
  hello.name = node_.identity().name;
  hello.peer_address = node_.addresses().peer;
  hello.shard = index_;
  node_.past().FillHello(&hello);
  return hello;
}

wire::HelloReply Shard::OnHello(const wire::Hello& hello) {
  wire::HelloReply reply;
  reply.protocol = 1;
  reply.node = node_.identity().id;
  reply.cluster = ClusterId();
  reply.name = node_.identity().name;
  const auto refuse = [&](Code code, std::string why) {
    reply.outcome = {code, std::move(why)};
    return reply;
  };
  if (hello.protocol < 1) return refuse(Code::kInvalidArgument, "unknown protocol version");
  if (!hello.cluster.IsNil() && !reply.cluster.IsNil() && hello.cluster != reply.cluster) {
    metrics_.peer_refused[telemetry::PeerRefusal::kOtherCluster].Add();
    return refuse(Code::kConflict, "node '" + reply.name + "' belongs to cluster " +
                                       reply.cluster.ToString() + ", you to " +
                                       hello.cluster.ToString());
  }
  if (auto status = node_.past().OnHello(hello, &reply); !status) {
    return refuse(status.error().code, status.error().message);
  }
  return reply;
}

base::Status Shard::OnHelloReply(PeerHandle peer, const wire::HelloReply& reply) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return {};
  return node_.past().OnHelloReply(found->second.address, reply);
}

void Shard::OnPeerUp(PeerHandle peer, const base::Uuid& node) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  found->second.up = true;
  found->second.node = node;
  if (!found->second.member) return;
  liveness_.OnConnected(node.high);
  if (index_ == 0) node_.OnPeerUp(node.high);
  metrics_.peers_up.Set(PeersAlive());
  LookWhetherItServes();
}

void Shard::OnPeerDown(PeerHandle peer, const base::Error& why) {
  const auto found = peers_.find(peer);
  const bool was_up = found != peers_.end() && std::exchange(found->second.up, false);
  if (was_up && found->second.member) {
    liveness_.OnDisconnected(found->second.member->high);
    node_.OnPeerDown(found->second.member->high);
    metrics_.peers_up.Set(PeersAlive());
  }
  calls_.OnPeerDown(peer, why);
}

void Shard::OnRefused(PeerHandle peer, const wire::HelloReply& answer) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  // Another process with this node's identity is not this node.
  const wire::Hello own = MakeHello();
  const bool twin = answer.node == own.node && answer.run != own.run;
  if (!found->second.member && !twin) found->second.node = answer.node;
  if (answer.outcome.code != Code::kConflict) return;
  other_cluster_ = found->second.address + " says: " + answer.outcome.error;
}

// Of some bucket, for some keys, at the bucket's own r or w.
void Shard::LookWhetherItServes() {
  if (has_served_ || !view_) return;
  std::set<std::pair<uint32_t, uint32_t>> kinds;  // n, and what a request needs
  for (const auto& [name, bucket] : view_->topology.buckets) {
    kinds.emplace(bucket.n, std::min(bucket.r, bucket.w));
  }
  // Nobody to wait for: what is not served wants more members.
  has_served_ = PeersAlive() + 1 == view_->ring.size();
  for (const auto& [n, needed] : kinds) {
    for (const ring::Ring::Range& range : view_->ring.Ranges(n)) {
      uint32_t alive = 0;
      for (const ring::NodeIndex i : range.owners.primaries) alive += IsAlive(i) ? 1 : 0;
      if (alive >= needed) has_served_ = true;
    }
  }
}

std::string Shard::WhyNotServing() const {
  constexpr size_t kNamedMax = 5;
  if (has_served_ || !view_) return "";
  std::string missing;
  size_t count = 0;
  for (ring::NodeIndex i = 0; i < view_->ring.size(); ++i) {
    if (i == view_->self || IsAlive(i) || ++count > kNamedMax) continue;
    const membership::Member& member = view_->MemberAt(i);
    const std::string why = world_.transport.Trouble(*peer_of_[i]);
    missing += (missing.empty() ? "" : ", ") + ("'" + member.name + "' at " + member.peer) +
               (why.empty() ? "" : " (" + why + ")");
  }
  if (count > kNamedMax) missing += ", and " + std::to_string(count - kNamedMax) + " more";
  return "no request of any bucket has the replicas it needs; not reached: " + missing;
}

void Shard::OnReply(PeerHandle, wire::Envelope reply) {
  metrics_.peer_messages_received.Add();
  if (const auto* refused = std::get_if<wire::Refused>(&reply.body)) {
    calls_.Refuse(reply.id, refused->outcome.ToError());
    return;
  }
  calls_.Resolve(reply.id, std::move(reply.body));
}

uint32_t Shard::PeersAlive() const {
  if (!view_) return 0;
  uint32_t alive = 0;
  for (ring::NodeIndex i = 0; i < view_->ring.size(); ++i) {
    alive += i != view_->self && IsAlive(i) ? 1 : 0;
  }
  return alive;
}

bool Shard::IsAlive(ring::NodeIndex node) const { return IsAlive(*view_, node); }

bool Shard::IsAlive(const membership::View& view, ring::NodeIndex node) const {
  if (node == view.self) return engine_.health() != storage::Health::kDead;
  return liveness_.IsAlive(view.MemberAt(node).Number());
}

bool Shard::IsAlive(const base::Uuid& id) const {
  if (!view_) return false;
  const auto found = view_->by_number.find(id.high);
  return found != view_->by_number.end() && IsAlive(found->second);
}

void Shard::Call(PeerHandle peer, wire::Body body, base::Duration timeout, Calls::Done done) {
  Send(peer, {0, view_ ? view_->fence() : 0, std::move(body)}, timeout, std::move(done));
}

void Shard::Send(PeerHandle peer, wire::Envelope request, base::Duration timeout,
                 Calls::Done done) {
  const base::Status sent = TrySend(peer, std::move(request), timeout, &done);
  if (!sent) done(Fail(sent.error()));
}

base::Status Shard::TrySend(PeerHandle peer, wire::Envelope request, base::Duration timeout,
                            Calls::Done* done) {
  const uint64_t id = calls_.Add(peer, world_.env.clock.Now() + timeout, std::move(*done));
  request.id = id;
  metrics_.peer_messages_sent.Add();
  base::Status sent = world_.transport.Send(peer, std::move(request));
  if (sent) return sent;
  *done = calls_.Withdraw(id);
  return *done ? sent : base::Status();  // or else it has been called
}

// --- the clock ---------------------------------------------------------------------------------

const JudgedClock& Shard::clock() const { return node_.clock(index_); }

PeerTime& Shard::peer_time() { return node_.peer_time(); }

base::Status Shard::CheckClock() const {
  clock().Judge();
  return clock().Check();
}

// The limit of the last run, or the clock itself, may be of a time in which the wall clock was
// ahead: going on from there would have every stamp refused by the others until that time has come.
void Shard::MindClock() {
  const bool right = CheckClock().has_value();
  metrics_.clock_off.Set(right ? 0 : 1);
  if (!right || clock_extending_) return;
  const int64_t now_ms = world_.env.clock.Wall().ms;
  const int64_t ahead_ms = clock_.last().WallMs() - now_ms;
  if (ahead_ms <= settings_.limits_clock_drift_ms + kClockAheadMs) return;
  metrics_.clock_taken_back.Add();
  log_.Log(
      telemetry::LogLevel::kWarn, "clock",
      "the hybrid clock of shard {} is {} ms in the future, from a time when a wall clock was; "
      "it is taken back",
      index_, ahead_ms);
  // Above all that was given out by right clocks.
  clock_.TakeBack(causal::HlcStamp::FromWallMs(now_ms + kClockAheadMs));
}

int64_t Shard::ClockLimitWantedMs() const {
  return std::max(world_.env.clock.Wall().ms + kClockAheadMs,
                  clock_.last().WallMs() + kClockStepMs);
}

void Shard::WithClock(base::UniqueFunction<void(base::Status)> use) {
  const int64_t now_ms = std::max(world_.env.clock.Wall().ms, clock_.last().WallMs());
  const int64_t left_ms = clock_.limit().WallMs() - now_ms;
  const bool short_of = left_ms < kClockRefillMs && clock_.limit().WallMs() < ClockLimitWantedMs();
  if (short_of && !clock_extending_) ExtendClock();
  if (left_ms > kClockLeftMinMs) return use({});
  clock_waiters_.push_back(std::move(use));
}

void Shard::ExtendClock() {
  clock_extending_ = true;
  const auto limit = causal::HlcStamp::FromWallMs(ClockLimitWantedMs());
  storage::WriteBatch batch;
  std::string value;
  base::ByteWriter(&value).U64(limit.packed);
  batch.Put(storage::Space::kMeta, ClockKey(index_), std::move(value));
  auto finish = [this, limit](const base::Status& status) {
    clock_extending_ = false;
    if (status) clock_.SetLimit(limit);
    for (auto& waiter : std::exchange(clock_waiters_, {})) waiter(status);
  };
  if (auto status = engine_.Write(batch); !status) {
    Post([finish, status] { finish(status); });
    return;
  }
  engine_.Sync(this, finish);
}

}  // namespace lariat::node

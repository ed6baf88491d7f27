// SPDX-License-Identifier: Apache-2.0
#include "coordinator/coordinator.h"

#include <utility>

#include "base/check.h"

namespace lariat::coordinator {

using base::Code;
using base::Fail;

Version NameVersion(const std::map<uint64_t, uint64_t>& version, const membership::View& view) {
  Version named;
  for (const auto& [number, events] : version) {
    const auto found = view.by_number.find(number);
    const std::string name = found != view.by_number.end() ? view.MemberAt(found->second).name
                                                           : "former-" + std::to_string(number);
    named[name] += events;
  }
  return named;
}

Coordinator::Coordinator(env::Env env, const config::Settings& settings, ReplicaPort& replicas,
                         ClusterPort& cluster, telemetry::Metrics& metrics)
    : env_(env),
      settings_(settings),
      replicas_(replicas),
      cluster_(cluster),
      metrics_(metrics),
      alive_(std::make_shared<bool>(true)) {}

Coordinator::~Coordinator() = default;

void Coordinator::Tick(base::Instant now) {
  hedges_.Expire(now, [](const std::weak_ptr<ReadOp>& weak) {
    if (auto op = weak.lock()) op->OnHedge();
  });
  read_deadlines_.Expire(now, [](const std::weak_ptr<ReadOp>& weak) {
    if (auto op = weak.lock()) op->OnTimeout();
  });
  write_deadlines_.Expire(now, [](const std::weak_ptr<WriteOp>& weak) {
    if (auto op = weak.lock()) op->OnTimeout();
  });
}

base::Status Coordinator::Admit(size_t bytes) {
  if (in_flight_ >= static_cast<size_t>(settings_.limits_in_flight_requests)) {
    return Fail(Code::kOverloaded, "too many requests are in work (limits.in_flight_requests)");
  }
  if (in_flight_bytes_ + bytes > static_cast<size_t>(settings_.limits_in_flight_bytes)) {
    return Fail(Code::kOverloaded, "too many bytes are in work (limits.in_flight_bytes)");
  }
  ++in_flight_;
  in_flight_bytes_ += bytes;
  metrics_.requests_in_flight.Set(static_cast<int64_t>(in_flight_));
  return {};
}

void Coordinator::Leave(size_t bytes) {
  LARIAT_CHECK(in_flight_ > 0, "a request leaves once");
  --in_flight_;
  in_flight_bytes_ -= bytes;
  metrics_.requests_in_flight.Set(static_cast<int64_t>(in_flight_));
}

base::Result<Coordinator::Target> Coordinator::Locate(const std::string& bucket,
                                                      const std::string& key) const {
  if (auto status = membership::CheckKey(key); !status) return Fail(status.error());
  auto properties = Bucket(bucket);
  if (!properties) return Fail(properties.error());
  Target target{view_, std::move(*properties), ring::TokenOf(key), {}};
  target.primaries = view_->ring.Primaries(target.token, target.bucket.n).primaries;
  return target;
}

base::Status Coordinator::CheckAlive(const Target& target, uint32_t needed) const {
  uint32_t alive = 0;
  for (const ring::NodeIndex node : target.primaries) alive += replicas_.IsAlive(node) ? 1 : 0;
  if (alive >= needed) return {};
  base::Error error{Code::kInsufficientReplicas, "", needed, alive};
  error.message = "too few replicas are alive for the consistency asked: needed " +
                  std::to_string(needed) + ", alive " + std::to_string(alive);
  if (target.primaries.size() < needed) {
    error.message += "; the cluster has only " + std::to_string(target.view->ring.size()) +
                     " node(s): a bucket with a smaller n would do";
  }
  return Fail(std::move(error));
}

// --- buckets -----------------------------------------------------------------------------------

std::vector<membership::BucketProperties> Coordinator::Buckets() const {
  std::vector<membership::BucketProperties> buckets;
  if (!view_) return buckets;
  for (const auto& [name, bucket] : view_->topology.buckets) buckets.push_back(bucket);
  return buckets;
}

base::Result<membership::BucketProperties> Coordinator::Bucket(const std::string& name) const {
  if (auto status = membership::CheckBucketName(name); !status) return Fail(status.error());
  if (!view_) return Fail(Code::kUnavailable, "the cluster is not formed yet");
  const membership::BucketProperties* bucket = view_->FindBucket(name);
  if (bucket == nullptr) {
    return Fail(Code::kNotFound, "there is no bucket '" + name +
                                     "'; create it first (lariat bucket create " + name + ")");
  }
  return *bucket;
}

void Coordinator::SetBucket(membership::BucketProperties bucket, StatusDone done) {
  if (auto status = membership::CheckBucket(bucket); !status) return done(status);
  if (!view_) return done(Fail(Code::kUnavailable, "the cluster is not formed yet"));
  const bool is_new = view_->FindBucket(bucket.name) == nullptr;
  if (is_new && view_->topology.buckets.size() >= static_cast<size_t>(settings_.limits_buckets)) {
    return done(Fail(Code::kTooLarge, "the cluster has as many buckets as limits.buckets allows"));
  }
  cluster_.SetBucket(std::move(bucket), std::move(done));
}

// --- reads -------------------------------------------------------------------------------------

void Coordinator::StartRead(const Target& target, std::string key, Quorum quorum,
                            std::string idempotency_key, ReadDone done) {
  ReadOp::Options options;
  options.core = {quorum.MinimumAlive(), target.bucket.n, true, target.bucket.conflict};
  options.nodes = target.primaries;
  // The own replica first: it costs no message.
  const auto own = std::find(options.nodes.begin(), options.nodes.end(), target.view->self);
  if (own != options.nodes.end()) std::rotate(options.nodes.begin(), own, own + 1);
  for (const ring::NodeIndex node : options.nodes) {
    options.usable.push_back(replicas_.IsAlive(node));
  }
  options.bucket = target.bucket.id;
  options.token = target.token.value;
  options.key = std::move(key);
  options.idempotency_key = std::move(idempotency_key);
  options.durability = target.bucket.durability;
  options.timeout = base::Millis(quorum.timeout_ms);
  // Not make_shared: the deadline that outlives it shall keep only the control block.
  auto op =
      std::shared_ptr<ReadOp>(new ReadOp(std::move(options), replicas_, metrics_, std::move(done)));
  const base::Instant now = env_.clock.Now();
  read_deadlines_.Add(now + base::Millis(quorum.timeout_ms), op);
  hedges_.Add(now + base::Millis(settings_.request_hedge_ms), op);
  op->Start();
}

void Coordinator::Get(GetRequest request, GetDone done) {
  auto target = Locate(request.bucket, request.key);
  if (!target) return done(Fail(target.error()));
  auto quorum = ReadQuorum(request.consistency, target->bucket, settings_.request_timeout_ms);
  if (!quorum) return done(Fail(quorum.error()));
  if (auto status = CheckAlive(*target, quorum->MinimumAlive()); !status) {
    return done(Fail(status.error()));
  }
  if (auto status = Admit(0); !status) return done(Fail(status.error()));
  auto leaving = [this, alive = std::weak_ptr<bool>(alive_),
                  done = std::move(done)](base::Result<GetReply> reply) mutable {
    if (!alive.expired()) Leave(0);
    done(std::move(reply));
  };
  std::string flight_key = request.bucket + '\0' + request.key + '\0' +
                           std::to_string(quorum->MinimumAlive()) + '\0' +
                           std::to_string(quorum->timeout_ms);
  const auto under_way = flights_.find(flight_key);
  if (under_way != flights_.end()) {
    metrics_.reads_coalesced.Add();
    Flight& flight = under_way->second;
    if (flight.next_request.empty()) flight.next_request.push_back(std::move(request));
    flight.next.push_back(std::move(leaving));
    return;
  }
  flights_[flight_key].riding.push_back(std::move(leaving));
  StartFlight(flight_key, std::move(request), std::move(*target), *quorum);
}

void Coordinator::StartFlight(const std::string& flight_key, GetRequest request, Target target,
                              Quorum quorum) {
  std::string key = request.key;
  const Target copy = target;
  StartRead(copy, std::move(key), quorum, "",
            [this, alive = std::weak_ptr<bool>(alive_), flight_key, target = std::move(target),
             request = std::move(request)](base::Result<ReadResult> result) {
              if (!alive.expired()) Land(flight_key, target, request, std::move(result));
            });
}

void Coordinator::Land(const std::string& flight_key, const Target& target,
                       const GetRequest& request, base::Result<ReadResult> result) {
  auto flight = flights_.extract(flight_key);
  LARIAT_CHECK(!flight.empty(), "a flight lands once");
  base::Result<GetReply> reply =
      result ? MakeReply(target, request, *result) : base::Result<GetReply>(Fail(result.error()));
  Flight& landed = flight.mapped();
  std::vector<GetDone> riding = std::move(landed.riding);
  if (!landed.next.empty()) {
    // The next flight starts before the callbacks run: they may ask for the key again.
    GetRequest next = std::move(landed.next_request.front());
    Flight& taking_off = flights_[flight_key];
    taking_off.riding = std::move(landed.next);
    auto next_target = Locate(next.bucket, next.key);
    auto quorum = next_target ? ReadQuorum(next.consistency, next_target->bucket,
                                           settings_.request_timeout_ms)
                              : base::Result<Quorum>(Fail(next_target.error()));
    if (quorum) {
      StartFlight(flight_key, std::move(next), std::move(*next_target), *quorum);
    } else {
      Land(flight_key, target, next, Fail(quorum.error()));
    }
  }
  for (size_t i = 0; i + 1 < riding.size(); ++i) riding[i](reply);
  riding.back()(std::move(reply));
}

base::Result<GetReply> Coordinator::MakeReply(const Target& target, const GetRequest& request,
                                              const ReadResult& result) const {
  GetReply reply;
  reply.replicas.primaries = result.answered;
  const causal::Object& object = result.object;
  if (object.Empty()) return reply;
  reply.version = NameVersion(object.Version(), *target.view);
  reply.context = causal::EncodeContext(object.WholeContext(), request.bucket, request.key);
  for (const causal::ValueView& view : object.LiveValues(env_.clock.Wall())) {
    ShownValue shown;
    shown.bytes = view.value->bytes;
    shown.content_type = view.value->content_type;
    shown.written = view.value->written;
    shown.expires_ms = view.value->expires_ms;
    shown.version = NameVersion(object.VersionOf(view.dot), *target.view);
    reply.timestamp = std::max(reply.timestamp, shown.written);
    reply.values.push_back(std::move(shown));
  }
  return reply;
}

}  // namespace lariat::coordinator

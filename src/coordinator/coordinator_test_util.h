// SPDX-License-Identifier: Apache-2.0
// A cluster of coordinators with real replicas in memory, in one thread and in virtual time. The
// test decides what happens to each message.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/coordinator.h"
#include "membership/membership_test_util.h"
#include "replica/replica_test_util.h"
#include "wire/codec.h"

namespace lariat::coordinator {

enum class Fate { kDeliver, kRefuse, kLoseRequest, kLoseReply };
enum class Message { kRead, kWrite, kForward };

template <typename T>
struct Answer {
  std::optional<base::Result<T>> value;
  int times = 0;

  bool ok() const { return value && value->has_value(); }
  base::Code code() const {
    return ok() ? base::Code::kOk : (value ? value->error().code : base::Code::kInternal);
  }
  const T& operator*() const { return **value; }
  const T* operator->() const { return &**value; }
};
using GotPtr = std::shared_ptr<Answer<GetReply>>;
using WrotePtr = std::shared_ptr<Answer<WriteReply>>;

class TestNode;

class TestCluster final : public env::Clock,
                          public env::Entropy,
                          public env::Executor,
                          public env::Timers {
 public:
  struct Options {
    size_t nodes = 3;
    uint32_t n = 3, r = 2, w = 2;
    causal::Kind kind = causal::Kind::kSiblings;
    uint64_t ttl_s = 0;
    bool sealed = true;
  };
  TestCluster() : TestCluster(Options()) {}
  explicit TestCluster(Options options);

  TestNode& node(size_t i) { return *nodes_[i]; }
  const membership::View& view() const { return *views_[0]; }
  // Nodes of the key in preference order.
  std::vector<ring::NodeIndex> NodesOf(const std::string& key) const {
    return view().ring.Primaries(ring::TokenOf(key), bucket_.n).primaries;
  }
  // A key that the node does not hold / is the first to hold.
  std::string KeyNotOn(size_t node) const;
  std::string KeyFirstOn(size_t node) const;

  void RunAll() { loop.RunAll(); }
  // Lets time pass in small steps, as the ticks of a shard would.
  void Advance(int64_t ms);

  // env
  base::Instant Now() const override { return now_; }
  base::WallTime Wall() const override { return wall; }
  uint64_t Next() override { return ++entropy_; }
  void Post(env::Task task) override { loop.Post(std::move(task)); }
  env::TimerId After(base::Duration, env::Task) override { return 1; }
  void Cancel(env::TimerId) override {}
  env::Env env() { return {*this, *this, *this, *this}; }

  // Calls `deliver(reply)` on the receiver and `done` with its reply, or with the error that fate
  // has for this message.
  template <typename Reply, typename Deliver, typename Done>
  void Send(size_t from, size_t to, Message message, base::Duration timeout, Deliver deliver,
            Done done) {
    ++messages;
    const Fate f = fate ? fate(from, to, message) : Fate::kDeliver;
    auto shared = std::make_shared<Done>(std::move(done));
    const auto fail = [shared](base::Code code, const char* why) {
      Reply reply;
      reply.outcome = {code, why};
      (*shared)(std::move(reply));
    };
    if (f == Fate::kRefuse) return fail(base::Code::kUnavailable, kNotSent);
    if (f != Fate::kDeliver) {
      late_.Add(now_ + timeout, [fail] { fail(base::Code::kTimeout, "no answer"); });
    }
    if (f == Fate::kLoseRequest) return;
    loop.Post([this, f, shared, deliver = std::move(deliver)]() mutable {
      deliver([this, f, shared](Reply reply) {
        if (f == Fate::kLoseReply) return;
        loop.Post([shared, reply = std::move(reply)]() mutable { (*shared)(std::move(reply)); });
      });
    });
  }

  replica::TestLoop loop;
  config::Settings settings;
  base::WallTime wall{1'700'000'000'000};
  std::function<Fate(size_t from, size_t to, Message message)> fate;
  std::vector<bool> alive;
  size_t messages = 0;

 private:
  base::Instant now_{};
  uint64_t entropy_ = 1000;
  membership::BucketProperties bucket_;
  Deadlines<std::function<void()>> late_;
  std::vector<std::shared_ptr<const membership::View>> views_;
  std::vector<std::unique_ptr<TestNode>> nodes_;
};

class TestNode final : public ReplicaPort, public ClusterPort {
 public:
  TestNode(TestCluster& cluster, size_t index, std::shared_ptr<const membership::View> view);

  GotPtr Get(const std::string& key, Consistency consistency = {});
  WrotePtr Put(PutRequest request);
  WrotePtr Put(const std::string& key, const std::string& value,
               std::optional<std::string> context = std::nullopt);
  WrotePtr Delete(DeleteRequest request);
  // All values of the key after everything has settled, sorted.
  std::vector<std::string> Values(const std::string& key);
  // What this node's own replica stores.
  causal::Object Stored(const std::string& key);

  // ports
  void Read(ring::NodeIndex to, wire::ReadRequest request, base::Duration timeout,
            ReadDone done) override;
  void Write(ring::NodeIndex to, wire::WriteRequest request, base::Duration timeout,
             WriteDone done) override;
  void Forward(ring::NodeIndex to, wire::ForwardedWrite request, base::Duration timeout,
               ForwardDone done) override;
  void Update(UpdateRequest request, UpdateDone updated, DurableDone durable) override;
  bool IsAlive(ring::NodeIndex node) const override {
    return node == index || cluster_.alive[node];
  }
  void SetBucket(membership::BucketProperties bucket,
                 base::UniqueFunction<void(base::Status)> done) override {
    buckets_set.push_back(std::move(bucket));
    done({});
  }
  void Seal(base::UniqueFunction<void(base::Status)> done) override {
    ++seals;
    if (seal_result) coordinator.SetView(sealed_view);
    done(seal_result);
  }

  const size_t index;
  replica::TestPlan plan;
  storage::MemoryEngine engine{&plan};
  telemetry::Metrics metrics;
  replica::Clock clock{{}, 1000};
  replica::Replica replica;
  Coordinator coordinator;
  int updates = 0;  // events asked for
  int seals = 0;
  base::Status seal_result;
  std::shared_ptr<const membership::View> sealed_view;
  std::vector<membership::BucketProperties> buckets_set;

 private:
  void LocalRead(wire::ReadRequest request, ReadDone done);
  void LocalWrite(wire::WriteRequest request, WriteDone done);

  TestCluster& cluster_;
};

// --- the cluster ---------------------------------------------------------------------------------

inline TestCluster::TestCluster(Options options) : alive(options.nodes, true) {
  membership::Topology topology = membership::MakeDocument(options.nodes, 1, options.sealed);
  base::Prng prng(5);
  for (membership::Member& member : topology.members) {
    member.tokens.clear();
    for (int t = 0; t < 16; ++t) member.tokens.push_back({prng.Next()});
    std::sort(member.tokens.begin(), member.tokens.end());
  }
  bucket_ = membership::MakeBucket("default");
  bucket_.n = options.n;
  bucket_.r = options.r;
  bucket_.w = options.w;
  bucket_.conflict = options.kind;
  bucket_.ttl_s = options.ttl_s;
  topology.buckets["default"] = bucket_;
  for (size_t i = 0; i < options.nodes; ++i) {
    views_.push_back(membership::MakeView(topology, topology.members[i].id));
    nodes_.push_back(std::make_unique<TestNode>(*this, i, views_.back()));
    topology.sealed = true;
    nodes_.back()->sealed_view = membership::MakeView(topology, topology.members[i].id);
    topology.sealed = options.sealed;
  }
}

inline std::string TestCluster::KeyNotOn(size_t node) const {
  for (int i = 0;; ++i) {
    std::string key = "key" + std::to_string(i);
    const auto nodes = NodesOf(key);
    if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) return key;
  }
}

inline std::string TestCluster::KeyFirstOn(size_t node) const {
  for (int i = 0;; ++i) {
    std::string key = "key" + std::to_string(i);
    if (NodesOf(key).front() == node) return key;
  }
}

inline void TestCluster::Advance(int64_t ms) {
  for (int64_t step = 0; step < ms; step += 5) {
    now_ += base::Millis(5);
    wall.ms += 5;
    late_.Expire(now_, [](const std::function<void()>& due) { due(); });
    for (auto& node : nodes_) {
      node->coordinator.Tick(now_);
      node->replica.Tick();
    }
    RunAll();
  }
}

// --- a node --------------------------------------------------------------------------------------

inline TestNode::TestNode(TestCluster& cluster, size_t own_index,
                          std::shared_ptr<const membership::View> view)
    : index(own_index),
      plan(&cluster.loop),
      replica({view->MemberAt(view->self).Number(), 100 + own_index,
               [&cluster] { return cluster.Next(); }, 1000},
              engine, cluster.loop, clock, metrics, telemetry::NullLog()),
      coordinator(cluster.env(), cluster.settings, *this, *this, metrics),
      cluster_(cluster) {
  clock.SetLimit(causal::HlcStamp::FromWallMs(int64_t{1} << 47));
  coordinator.SetView(std::move(view));
}

inline GotPtr TestNode::Get(const std::string& key, Consistency consistency) {
  auto answer = std::make_shared<Answer<GetReply>>();
  coordinator.Get({"default", key, consistency}, [answer](base::Result<GetReply> reply) {
    answer->value = std::move(reply);
    ++answer->times;
  });
  return answer;
}

inline WrotePtr TestNode::Put(PutRequest request) {
  auto answer = std::make_shared<Answer<WriteReply>>();
  if (request.bucket.empty()) request.bucket = "default";
  coordinator.Put(std::move(request), [answer](base::Result<WriteReply> reply) {
    answer->value = std::move(reply);
    ++answer->times;
  });
  return answer;
}

inline WrotePtr TestNode::Put(const std::string& key, const std::string& value,
                              std::optional<std::string> context) {
  PutRequest request;
  request.key = key;
  request.value = value;
  request.context = std::move(context);
  return Put(std::move(request));
}

inline WrotePtr TestNode::Delete(DeleteRequest request) {
  auto answer = std::make_shared<Answer<WriteReply>>();
  if (request.bucket.empty()) request.bucket = "default";
  coordinator.Delete(std::move(request), [answer](base::Result<WriteReply> reply) {
    answer->value = std::move(reply);
    ++answer->times;
  });
  return answer;
}

inline std::vector<std::string> TestNode::Values(const std::string& key) {
  const GotPtr got = Get(key);
  cluster_.RunAll();
  if (!got->ok()) return {"error " + got->value->error().message};
  std::vector<std::string> values;
  for (const ShownValue& value : (*got)->values) values.push_back(value.bytes);
  std::sort(values.begin(), values.end());
  return values;
}

inline causal::Object TestNode::Stored(const std::string& key) {
  wire::ReadRequest request;
  request.bucket = coordinator.Bucket("default")->id;
  request.token = ring::TokenOf(key).value;
  request.key = key;
  auto object = std::make_shared<std::string>();
  LocalRead(request, [object](wire::ReadReply reply) { *object = std::move(reply.object); });
  cluster_.RunAll();
  if (object->empty()) return causal::Object(causal::Kind::kSiblings);
  return causal::Object::Decode(*object).value();
}

inline void TestNode::Read(ring::NodeIndex to, wire::ReadRequest request, base::Duration timeout,
                           ReadDone done) {
  if (to == index) return LocalRead(std::move(request), std::move(done));
  TestNode& target = cluster_.node(to);
  cluster_.Send<wire::ReadReply>(
      index, to, Message::kRead, timeout,
      [&target, request = std::move(request)](auto reply) mutable {
        target.LocalRead(std::move(request), std::move(reply));
      },
      std::move(done));
}

inline void TestNode::Write(ring::NodeIndex to, wire::WriteRequest request, base::Duration timeout,
                            WriteDone done) {
  if (to == index) return LocalWrite(std::move(request), std::move(done));
  TestNode& target = cluster_.node(to);
  cluster_.Send<wire::WriteReply>(
      index, to, Message::kWrite, timeout,
      [&target, request = std::move(request)](auto reply) mutable {
        target.LocalWrite(std::move(request), std::move(reply));
      },
      std::move(done));
}

inline void TestNode::Forward(ring::NodeIndex to, wire::ForwardedWrite request,
                              base::Duration timeout, ForwardDone done) {
  EXPECT_NE(to, index);
  TestNode& target = cluster_.node(to);
  cluster_.Send<wire::ForwardedWriteReply>(
      index, to, Message::kForward, timeout,
      [&target, request = std::move(request)](auto reply) mutable {
        target.coordinator.OnForwarded(std::move(request), std::move(reply));
      },
      std::move(done));
}

inline void TestNode::LocalRead(wire::ReadRequest request, ReadDone done) {
  replica.Read({request.bucket, {request.token}, request.key},
               {request.digest_only, request.idempotency_key},
               [done = std::move(done)](base::Result<replica::ReadResult> result) mutable {
                 wire::ReadReply reply;
                 if (!result) {
                   reply.outcome = wire::Outcome::From(result.error());
                 } else {
                   reply.found = result->found;
                   reply.object = std::move(result->object);
                   reply.digest = result->digest;
                   reply.idempotency_answer = std::move(result->idempotency_answer);
                 }
                 done(std::move(reply));
               });
}

inline void TestNode::LocalWrite(wire::WriteRequest request, WriteDone done) {
  replica.Write({request.bucket, {request.token}, request.key}, request.object,
                {replica::AckWhen::kSynced, request.idempotency_key, request.idempotency_answer,
                 cluster_.wall},
                [done = std::move(done)](const base::Status& status) mutable {
                  wire::WriteReply reply;
                  if (!status) reply.outcome = wire::Outcome::From(status.error());
                  done(std::move(reply));
                });
}

inline void TestNode::Update(UpdateRequest from, UpdateDone updated, DurableDone durable) {
  ++updates;
  replica::UpdateRequest to;
  to.key = {from.bucket, {from.token}, from.key};
  to.kind = from.kind;
  to.context = from.context;
  to.value = from.value;
  to.client_timestamp_ms = from.client_timestamp_ms;
  to.condition = static_cast<replica::Condition>(from.condition);
  to.siblings_max = from.siblings_max;
  to.now = from.now;
  to.idempotency_key = from.idempotency_key;
  to.make_answer = [from](const causal::Object& object, const causal::Context& context) {
    return wire::EncodeWriteAnswer({causal::EncodeContext(context, from.bucket_name, from.key),
                                    object.Version(), from.now.ms});
  };
  replica.Update(
      std::move(to),
      [updated = std::move(updated)](base::Result<replica::UpdateResult> result) mutable {
        if (!result) return updated(base::Fail(result.error()));
        updated(UpdateResult{result->object, result->context, result->version,
                             result->idempotency_answer, result->replayed});
      },
      std::move(durable));
}

}  // namespace lariat::coordinator

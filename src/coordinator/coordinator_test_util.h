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

}  // namespace lariat::coordinator

#include "coordinator/coordinator_test_util_inl.h"

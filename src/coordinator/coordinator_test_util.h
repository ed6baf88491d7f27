// SPDX-License-Identifier: Apache-2.0
// A cluster of coordinators with real replicas in memory, in one thread and in virtual time. The
// test decides what happens to each message.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "coordinator/coordinator.h"
#include "coordinator/test_util/hints.h"
#include "membership/membership_test_util.h"
#include "replica/replica_test_util.h"
#include "wire/codec.h"

namespace lariat::coordinator {

enum class Fate { kDeliver, kRefuse, kLoseRequest, kLoseReply };
enum class Message { kRead, kWrite, kForward, kScan };

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
using ListedPtr = std::shared_ptr<Answer<ListReply>>;

class TestNode;

class TestCluster final : public env::Clock,
                          public env::Entropy,
                          public env::Executor,
                          public env::Timers {
 public:
  struct Options {
    size_t nodes = 3;
    size_t spare = 0;  // the last so many are members without tokens at first
    uint32_t n = 3, r = 2, w = 2;
    causal::Kind kind = causal::Kind::kSiblings;
    uint64_t ttl_s = 0;
    bool sealed = true;
    bool sloppy = false;
    uint32_t read_repair = 0;
  };
  TestCluster() : TestCluster(Options()) {}
  explicit TestCluster(Options options);

  TestNode& node(size_t i) { return *nodes_[i]; }
  const membership::View& view() const { return *views_[0]; }
  // Nodes of the key in preference order.
  std::vector<ring::NodeIndex> NodesOf(const std::string& key) const {
    return view().ring.Primaries(ring::TokenOf(key), bucket_.n).primaries;
  }
  // The document that all nodes started with, and what follows it: `spare` nodes (Options) join in
  // one operation. Epoch and fence are those of the step.
  membership::Topology Before() const { return before_; }
  membership::Topology Moving(membership::Phase phase) const;
  membership::Topology After() const;
  membership::View::Replicas ListsOf(const std::string& key) const;  // while they move
  // A key that satisfies `wanted(lists while they move)`.
  std::string KeyWhere(const std::function<bool(const membership::View::Replicas&)>& wanted) const;
  void SetTopology(size_t node, const membership::Topology& topology);
  void SetTopology(const membership::Topology& topology);  // of all nodes
  // A key that the node does not hold.
  std::string KeyNotOn(size_t node) const;

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
    if (f == Fate::kRefuse) {
      if constexpr (std::is_invocable_v<Done&, base::Result<Reply>>) {
        return (*shared)(base::Result<Reply>(base::Fail(base::Code::kUnavailable, kNotSent)));
      } else {
        return fail(base::Code::kUnavailable, kNotSent);
      }
    }
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
  std::vector<bool> draining;
  size_t messages = 0;

 private:
  base::Instant now_{};
  uint64_t entropy_ = 1000;
  membership::Topology before_;
  membership::BucketProperties bucket_;
  Deadlines<std::function<void()>> late_;
  std::vector<std::shared_ptr<const membership::View>> views_;
  std::vector<std::unique_ptr<TestNode>> nodes_;
};

class TestNode final : public ReplicaPort, public ClusterPort {
 public:
  TestNode(TestCluster& cluster, size_t index, std::shared_ptr<const membership::View> view);

  GotPtr Get(const std::string& key, Consistency consistency = {});
  ListedPtr List(ListRequest request);
  WrotePtr Put(WriteRequest request);
  WrotePtr Put(const std::string& key, const std::string& value,
               std::optional<std::string> context = std::nullopt);
  WrotePtr Delete(WriteRequest request);
  // All values of the key after everything has settled, sorted.
  std::vector<std::string> Values(const std::string& key);
  // What this node's own replica stores.
  causal::Object Stored(const std::string& key);
  // Joins causal::Object bytes into its record, as a transfer of ranges would.
  void Keep(const std::string& key, std::string object);

  // ports
  void Read(const Destination& to, wire::ReadRequest&& request, ReadDone done) override;
  void Write(const Destination& to, wire::WriteRequest&& request, WriteDone done) override;
  void Scan(const Destination& to, wire::ScanRequest&& request, ScanDone done) override;
  void Forward(const Destination& to, wire::ForwardedWrite request, ForwardDone done) override;
  void Update(UpdateRequest&& request, UpdateDone updated, DurableDone durable) override;
  void Owe(const membership::View& of, ring::NodeIndex node, OwedKey key) override {
    owed.emplace_back(of.MemberAt(node).Number(), std::move(key.key));
  }
  bool IsAlive(const membership::View& of, ring::NodeIndex node) const override {
    return node == of.self || cluster_.alive[IndexOf(of, node)];
  }
  bool IsPreferred(const membership::View& of, ring::NodeIndex node) const override {
    return !cluster_.draining[IndexOf(of, node)];
  }
  void SetBucket(membership::BucketProperties bucket,
                 base::UniqueFunction<void(base::Status)> done) override {
    buckets_set.push_back(std::move(bucket));
    done({});
  }
  void Seal(base::UniqueFunction<void(base::Status)> done) override {
    ++seals;
    if (seal_result) SetView(sealed_view);
    done(seal_result);
  }
  // Each of the two nodes gets the newer document, one turn later.
  void Reconcile(std::shared_ptr<const membership::View> of, ring::NodeIndex node) override;

  void SetView(std::shared_ptr<const membership::View> newer) {
    view = std::move(newer);
    fence = view ? view->fence() : 0;
    coordinator.SetView(view);
  }

  const size_t index;
  replica::TestPlan plan;
  storage::MemoryEngine engine{&plan};
  telemetry::Metrics metrics;
  replica::Clock clock{{}, 1000};
  replica::Replica replica;
  Coordinator coordinator;
  std::shared_ptr<const membership::View> view;
  uint64_t fence = 0;  // of the replica; another than the view's: its shard lags or leads
  std::vector<std::pair<uint64_t, std::string>> owed;  // member, key
  TestHints hints;
  int updates = 0;  // updates that the replica took
  int reconciles = 0;
  bool mute = false;  // exchanges no documents
  int seals = 0;
  base::Status seal_result;
  std::shared_ptr<const membership::View> sealed_view;
  std::vector<membership::BucketProperties> buckets_set;

 private:
  // Nodes of the test are numbered as members are, from 1.
  static size_t IndexOf(const membership::View& of, ring::NodeIndex node) {
    return static_cast<size_t>(of.MemberAt(node).id.low - 1);
  }
  void UpdateHint(UpdateRequest from, UpdateDone updated, DurableDone durable);
  void LocalRead(wire::ReadRequest request, ReadDone done);
  void LocalWrite(wire::WriteRequest request, WriteDone done);
  void LocalScan(wire::ScanRequest request, ScanDone done);
  template <typename Reply, typename Done>
  bool Refuses(uint64_t asked, Done& done);

  TestCluster& cluster_;
};

}  // namespace lariat::coordinator

#include "coordinator/test_util/cluster_inl.h"
#include "coordinator/test_util/node_inl.h"

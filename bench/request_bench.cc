// SPDX-License-Identifier: Apache-2.0
// What a request costs between the clients' protocols and the disk: three whole nodes of one shard
// with an engine in memory, linked by streams in virtual time, all in one thread, so that a run
// repeats to the instruction. Fifty requests are under way, spread over the nodes; all of a turn
// arrive together. bench/request_cost runs it under callgrind with two numbers of operations and
// takes the difference, so that start-up and what nodes do by themselves cancel.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/prng.h"
#include "node/cluster_test_util.h"

namespace lariat::bench {
namespace {

struct Options {
  std::string workload = "put";
  std::string durability = "sync";
  size_t operations = 10000;
  size_t keys = 1000;
  size_t value_bytes = 500;
  size_t connections = 50;
  bool auth = false;  // the services are behind the gate, and asked by a user
};

class Bench {
 public:
  explicit Bench(Options options) : options_(std::move(options)) {
    const std::vector<std::string> all = {node::Address(1), node::Address(2), node::Address(3)};
    for (uint64_t i = 1; i <= all.size(); ++i) {
      machines_.push_back(std::make_unique<node::Machine>(time_, net_, i, all, 1));
      machines_.back()->settings.repair_scrub_bytes_per_s = 0;
      machines_.back()->settings.repair_interval_s = 86400;
      if (options_.auth) {
        machines_.back()->settings.security_auth = "on";
        machines_.back()->first_password = "a password";
      }
      machines_.back()->Start();
    }
    const bool formed = time_.RunUntil([this] {
      for (const auto& machine : machines_) {
        if (!machine->Formed()) return false;
      }
      return true;
    });
    LARIAT_CHECK(formed, "the nodes find each other");
    if (options_.auth) LogIn();
    MakeBucket();
    time_.Run(base::Seconds(1));
  }
  ~Bench() {
    for (auto& machine : machines_) machine->StopLinks();
    net_.CloseAll();
    time_.Clear();
  }

  void Load() {
    for (size_t i = 0; i < options_.keys; ++i) {
      Put(*machines_[i % machines_.size()], KeyOf(i));
      if (i % options_.connections == 0) Wait();
    }
    Wait();
  }
  // Closed loop: each connection asks again when it has its answer.
  void Run() {
    left_ = options_.operations;
    for (size_t i = 0; i < options_.connections; ++i) Next(i);
    Wait();
  }

 private:
  void LogIn() {
    const bool known = time_.RunUntil([this] {
      for (const auto& machine : machines_) {
        if (!machine->node().access(0).rights()) return false;
      }
      return true;
    });
    LARIAT_CHECK(known, "the first administrator is made");
    caller_ = *machines_[0]->node().access(0).ByCertificate("admin", "10.0.0.9:1", "bench");
  }
  static coordinator::KvService& KvOf(node::Machine& machine) { return machine.node().kv(0); }
  void MakeBucket() {
    membership::BucketProperties bucket;
    bucket.name = "bench";
    bucket.conflict = causal::Kind::kLww;
    if (options_.durability == "periodic") bucket.durability = membership::Durability::kPeriodic;
    bool done = false;
    KvOf(*machines_[0]).SetBucket(bucket, caller_, [&done](const base::Status& status) {
      LARIAT_CHECK(status.has_value(), "the bucket can be made");
      done = true;
    });
    LARIAT_CHECK(time_.RunUntil([&done] { return done; }), "the bucket is made");
  }
  static std::string KeyOf(size_t number) { return "key-" + std::to_string(1'000'000 + number); }

  void Next(size_t connection) {
    if (left_ == 0) return;
    --left_;
    node::Machine& machine = *machines_[connection % machines_.size()];
    const std::string key = KeyOf(random_.Below(options_.keys));
    if (options_.workload == "put") return Put(machine, key, connection);
    ++under_way_;
    KvOf(machine).Get({"bench", key, {}, caller_}, [this, connection](const auto& reply) {
      LARIAT_CHECK(reply.has_value() && !reply->values.empty(), "a get finds the key");
      Ended(connection);
    });
  }
  static constexpr size_t kNobody = SIZE_MAX;
  void Put(node::Machine& machine, std::string key, size_t connection = kNobody) {
    ++under_way_;
    coordinator::WriteRequest put;
    put.bucket = "bench";
    put.key = std::move(key);
    put.write.value = std::string(options_.value_bytes, 'v');
    put.caller = caller_;
    KvOf(machine).Write(std::move(put), [this, connection](const auto& reply) {
      LARIAT_CHECK(reply.has_value(), "a put is done");
      Ended(connection);
    });
  }
  // What the client sends next is there in the next turn.
  void Ended(size_t connection) {
    --under_way_;
    if (connection != kNobody) time_.Post([this, connection] { Next(connection); });
  }
  void Wait() {
    const bool done = time_.RunUntil([this] { return under_way_ == 0 && left_ == 0; });
    LARIAT_CHECK(done, "all requests end");
  }

  Options options_;
  coordinator::Caller caller_;
  peers::TestTime time_;
  peers::TestNet net_{time_};
  std::vector<std::unique_ptr<node::Machine>> machines_;
  base::Prng random_{1};
  size_t left_ = 0;
  size_t under_way_ = 0;
};

}  // namespace
}  // namespace lariat::bench

int main(int argc, char** argv) {
  lariat::bench::Options options;
  CLI::App app("What a request costs three nodes in one thread");
  app.add_option("--workload", options.workload)->check(CLI::IsMember({"put", "get"}));
  app.add_option("--durability", options.durability)->check(CLI::IsMember({"sync", "periodic"}));
  app.add_option("--operations", options.operations);
  app.add_option("--keys", options.keys);
  app.add_option("--value-bytes", options.value_bytes);
  app.add_option("--connections", options.connections);
  app.add_flag("--auth", options.auth, "Behind the gate, as a user");
  CLI11_PARSE(app, argc, argv);
  lariat::bench::Bench bench(options);
  bench.Load();
  bench.Run();
  std::printf("%zu operations\n", options.operations);
  return 0;
}

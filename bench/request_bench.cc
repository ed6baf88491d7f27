// SPDX-License-Identifier: Apache-2.0
// What a request costs between the sockets of clients, or behind their protocol, and the disk:
// whole nodes of one shard with an engine in memory, linked by streams in virtual time, all in one
// thread, so that a run repeats to the instruction. Fifty requests are under way, spread over the
// nodes; all of a turn arrive together. bench/request_cost runs it under callgrind with two numbers
// of operations and takes the difference, so that start-up and what nodes do by themselves cancel.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/prng.h"
#include "frontend/http/http_frontend.h"
#include "frontend/resp/resp_frontend.h"
#include "node/cluster_test_util.h"

namespace lariat::bench {
namespace {

struct Options {
  std::string workload = "put";
  std::string durability = "sync";
  std::string protocol = "none";
  size_t nodes = 3;
  size_t operations = 10000;
  size_t keys = 1000;
  size_t value_bytes = 500;
  size_t connections = 50;
  bool auth = false;  // the services are behind the gate, and asked by a user
};

// A client's connection: what is sent is parsed at once, and every reply leaves in one piece.
class Client final : public env::Stream {
 public:
  using Answered = std::function<void(std::string_view reply)>;
  Client(frontend::connection::Frontend& frontend, Answered answered)
      : answered_(std::move(answered)), handler_(frontend.Accept(*this)) {}
  ~Client() override { handler_->OnClosed("the run ends"); }
  void Send(std::string_view request) {
    LARIAT_CHECK(handler_->OnData(request) == request.size(), "a request is taken whole");
  }
  void Write(std::string_view bytes) override { answered_(bytes); }
  void Write(std::string&& bytes) override { answered_(bytes); }
  size_t UnsentBytes() const override { return 0; }
  void PauseReading() override {}
  void ResumeReading() override {}
  void CloseAfterWrite() override {}
  void Close() override {}
  const std::string& PeerAddress() const override { return address_; }

 private:
  const std::string address_ = "127.0.0.1:1";
  Answered answered_;
  std::unique_ptr<env::StreamHandler> handler_;
};

class Bench {
 public:
  explicit Bench(Options options) : options_(std::move(options)) {
    std::vector<std::string> all;
    for (uint64_t i = 1; i <= options_.nodes; ++i) all.push_back(node::Address(i));
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
    if (options_.protocol != "none") Connect();
  }
  ~Bench() {
    clients_.clear();
    frontends_.clear();
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
    bucket.name = "redis-0";
    bucket.n = static_cast<uint32_t>(options_.nodes);
    bucket.r = bucket.w = membership::MajorityOf(bucket.n);
    bucket.conflict = causal::Kind::kLww;
    if (options_.durability == "periodic") bucket.durability = membership::Durability::kPeriodic;
    bool done = false;
    KvOf(*machines_[0]).SetBucket(bucket, caller_, [&done](const base::Status& status) {
      LARIAT_CHECK(status.has_value(), "the bucket can be made");
      done = true;
    });
    LARIAT_CHECK(time_.RunUntil([&done] { return done; }), "the bucket is made");
  }
  void Connect() {
    for (auto& machine : machines_) {
      auto& kv = KvOf(*machine);
      auto& admin = machine->node().admin(0);
      auto& access = machine->node().access(0);
      auto& metrics = machine->shard().metrics();
      environments_.push_back(std::make_unique<env::Env>(time_.env()));
      env::Env& env = *environments_.back();
      if (options_.protocol == "http") {
        frontends_.push_back(std::make_unique<frontend::http::HttpFrontend>(
            kv, admin, machine->settings, metrics, env, access));
      } else {
        frontends_.push_back(std::make_unique<frontend::resp::RespFrontend>(
            kv, admin, machine->settings, metrics, env, access));
      }
    }
    for (size_t i = 0; i < options_.connections; ++i) {
      clients_.push_back(std::make_unique<Client>(
          *frontends_[i % frontends_.size()], [this, i](std::string_view reply) {
            LARIAT_CHECK(reply.starts_with("HTTP/1.1 20") || reply[0] == '+' || reply[0] == '$',
                         "a request is done");
            Ended(i);
          }));
    }
  }
  std::string RequestOf(const std::string& key) const {
    const bool put = options_.workload == "put";
    const std::string value = put ? std::string(options_.value_bytes, 'v') : "";
    if (options_.protocol == "http") {
      return std::string(put ? "PUT" : "GET") + " /buckets/redis-0/kv/" + key +
             " HTTP/1.1\r\nHost: 127.0.0.1:7480\r\n" +
             (put ? "Content-Length: " + std::to_string(value.size()) + "\r\n\r\n" : "\r\n") +
             value;
    }
    const auto bulk = [](const std::string& text) {
      return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
    };
    return put ? "*3\r\n$3\r\nSET\r\n" + bulk(key) + bulk(value)
               : "*2\r\n$3\r\nGET\r\n" + bulk(key);
  }
  static std::string KeyOf(size_t number) { return "key-" + std::to_string(1'000'000 + number); }

  void Next(size_t connection) {
    if (left_ == 0) return;
    --left_;
    node::Machine& machine = *machines_[connection % machines_.size()];
    const std::string key = KeyOf(random_.Below(options_.keys));
    if (!clients_.empty()) {
      ++under_way_;
      return clients_[connection]->Send(RequestOf(key));
    }
    if (options_.workload == "put") return Put(machine, key, connection);
    ++under_way_;
    KvOf(machine).Get({"redis-0", key, {}, caller_}, [this, connection](const auto& reply) {
      LARIAT_CHECK(reply.has_value() && !reply->values.empty(), "a get finds the key");
      Ended(connection);
    });
  }
  static constexpr size_t kNobody = SIZE_MAX;
  void Put(node::Machine& machine, std::string key, size_t connection = kNobody) {
    ++under_way_;
    coordinator::WriteRequest put;
    put.bucket = "redis-0";
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
  std::vector<std::unique_ptr<env::Env>> environments_;
  std::vector<std::unique_ptr<frontend::connection::Frontend>> frontends_;
  std::vector<std::unique_ptr<Client>> clients_;
  base::Prng random_{1};
  size_t left_ = 0;
  size_t under_way_ = 0;
};

}  // namespace
}  // namespace lariat::bench

int main(int argc, char** argv) {
  lariat::bench::Options options;
  CLI::App app("What a request costs whole nodes in one thread");
  app.add_option("--workload", options.workload)->check(CLI::IsMember({"put", "get"}));
  app.add_option("--durability", options.durability)->check(CLI::IsMember({"sync", "periodic"}));
  app.add_option("--protocol", options.protocol)->check(CLI::IsMember({"none", "http", "resp"}));
  app.add_option("--nodes", options.nodes)->check(CLI::IsMember({1, 3}));
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

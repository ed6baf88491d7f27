// SPDX-License-Identifier: Apache-2.0
// A node with a Redis frontend, without a network: its store keeps one value for each key and
// judges conditions. For tests and fuzzing.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontend/connection/test_client.h"
#include "frontend/resp/resp_frontend.h"

namespace lariat::frontend::resp::testing {

using connection::testing::FakeClient;
using connection::testing::FakeWorld;

class FakeKv : public coordinator::KvService {
 public:
  explicit FakeKv(FakeWorld& world) : world_(world) {}

  void Get(coordinator::GetRequest request, coordinator::GetDone done) override {
    last_get = request;
    Later([this, request = std::move(request), done = std::move(done)]() mutable {
      if (error) return done(base::Fail(*error));
      if (!buckets.count(request.bucket))
        return done(base::Fail(base::Code::kNotFound, "no bucket"));
      done(Read(request.bucket + '/' + request.key));
    });
  }
  void Write(coordinator::WriteRequest request, coordinator::WriteDone done) override {
    last_write = request;
    Later([this, request = std::move(request), done = std::move(done)]() mutable {
      if (error) return done(base::Fail(*error));
      done(Change(std::move(request)));
    });
  }
  // Keys in the order of their names, each a token of its own: the number of it, from 1.
  void List(coordinator::ListRequest request, coordinator::ListDone done) override {
    Later([this, request = std::move(request), done = std::move(done)]() mutable {
      if (error) return done(base::Fail(*error));
      coordinator::ListReply page;
      uint64_t token = 0;
      for (const auto& [place, value] : stored) {
        if (!place.starts_with(request.bucket + '/') || Live(place) == nullptr) continue;
        if (++token < request.from_token.value_or(0)) continue;
        if (page.keys.size() == static_cast<size_t>(request.limit)) {
          page.next_token = token;
          break;
        }
        page.keys.push_back({place.substr(request.bucket.size() + 1), {}});
      }
      done(std::move(page));
    });
  }
  void Estimate(coordinator::EstimateRequest request, coordinator::EstimateDone done) override {
    Later([this, request = std::move(request), done = std::move(done)]() mutable {
      if (error) return done(base::Fail(*error));
      coordinator::EstimateReply reply;
      for (const auto& [place, value] : stored) {
        reply.keys += place.starts_with(request.bucket + '/') ? 1 : 0;
      }
      done(reply);
    });
  }
  std::vector<membership::BucketProperties> Buckets() const override { return {}; }
  base::Result<membership::BucketProperties> Bucket(const std::string& name) const override {
    const auto found = buckets.find(name);
    if (found != buckets.end()) return found->second;
    return base::Fail(base::Code::kNotFound, "no such bucket");
  }
  void SetBucket(membership::BucketProperties bucket, coordinator::Caller,
                 coordinator::StatusDone done) override {
    Later([this, bucket = std::move(bucket), done = std::move(done)]() mutable {
      if (error) return done(base::Fail(*error));
      buckets[bucket.name] = bucket;
      done({});
    });
  }
  uint64_t ValueBytesMax() const override { return value_bytes_max; }

  // Runs one of the deferred answers.
  void Complete(size_t index) {
    auto answer = std::move(deferred.at(index));
    deferred.erase(deferred.begin() + static_cast<ptrdiff_t>(index));
    answer();
  }
  void CompleteAll() {
    while (!deferred.empty()) Complete(0);
  }

  struct Stored {
    std::string value;
    int64_t expires_ms = 0;
    uint64_t event = 0;
  };
  std::map<std::string, Stored> stored;  // "bucket/key"
  std::map<std::string, membership::BucketProperties> buckets = {{"default", {.name = "default"}}};
  std::optional<base::Error> error;
  std::function<void(const coordinator::WriteRequest&)> before_write;
  bool defer = false;
  uint64_t value_bytes_max = 1 << 20;
  uint64_t events = 0;
  coordinator::GetRequest last_get;
  coordinator::WriteRequest last_write;
  std::map<std::string, coordinator::WriteReply> repeated;  // by id
  std::vector<base::UniqueFunction<void()>> deferred;

 private:
  const Stored* Live(const std::string& place) const {
    const auto found = stored.find(place);
    if (found == stored.end()) return nullptr;
    const int64_t expires_ms = found->second.expires_ms;
    return expires_ms != 0 && expires_ms <= world_.Wall().ms ? nullptr : &found->second;
  }
  coordinator::GetReply Read(const std::string& place) const {
    coordinator::GetReply reply;
    const Stored* live = Live(place);
    if (live == nullptr) return reply;
    reply.context = "c" + std::to_string(live->event);
    reply.version = {{"node1", live->event}};
    reply.timestamp = {784111777000};
    coordinator::ShownValue shown{live->value, "", reply.timestamp, live->expires_ms, {}};
    reply.values.push_back(std::move(shown));
    return reply;
  }
  base::Result<coordinator::WriteReply> Change(coordinator::WriteRequest request) {
    using base::Code;
    if (before_write) before_write(request);
    const std::string place = request.bucket + '/' + request.key;
    if (request.key.size() > 256) return base::Fail(Code::kInvalidArgument, "key too long");
    if (request.write.value.size() > value_bytes_max) return base::Fail(Code::kTooLarge, "value");
    const std::string id = request.idempotency_key.value_or("");
    if (const auto before = repeated.find(id); !id.empty() && before != repeated.end()) {
      return before->second;
    }
    const Stored* live = Live(place);
    const auto& match = request.write.if_match;
    const bool lost = (request.write.if_none_match_any && live != nullptr) ||
                      (match && live == nullptr) ||
                      (match && *match != "*" && *match != "c" + std::to_string(live->event));
    if (lost) return base::Fail(Code::kPreconditionFailed, "lost");
    ++events;
    if (request.write.is_delete) {
      stored.erase(place);
    } else {
      stored[place] = {request.write.value, request.write.expires_ms.value_or(0), events};
    }
    coordinator::WriteReply reply{
        {{"node1", events}}, "c" + std::to_string(events), {784111777000}, {2, 0}};
    if (!id.empty()) repeated.emplace(id, reply).first->second.replayed = true;
    return reply;
  }
  void Later(base::UniqueFunction<void()> answer) {
    if (!defer) return answer();
    deferred.push_back(std::move(answer));
  }

  FakeWorld& world_;
};

class FakeAdmin : public coordinator::AdminService {
 public:
  coordinator::ClusterStatus Status() const override { return status; }
  std::vector<coordinator::RingRange> Ring(uint32_t n) const override {
    std::vector<std::string> owners;
    for (uint32_t i = 1; i <= n; ++i) owners.push_back("node" + std::to_string(i));
    return {{{0}, {UINT64_MAX}, owners}};
  }
  void Hot(coordinator::HotRequest, HotDone done) override { done(coordinator::HotKeysShown{}); }
  void Explain(std::string bucket, std::string key, coordinator::Caller,
               coordinator::ExplainDone done) override {
    coordinator::Explanation explanation{bucket, key, key, {7}, 3, 2, 2};
    explanation.replicas = {{"node1", true, "found", {{"node1", 5}}, 1, 0, 10, "ab"}};
    done(std::move(explanation));
  }
  coordinator::HealthSummary Health() const override {
    return {"ok", true, true, {}, "node1", "0.1.0", "ok", 3, 3, 60};
  }
  std::string MetricsText() const override { return ""; }
  void RequestChange(coordinator::ChangeRequest, coordinator::TicketDone) override {}
  void Commit(coordinator::Caller, coordinator::StatusDone) override {}
  void Cancel(uint64_t, coordinator::Caller, coordinator::StatusDone) override {}
  void DeleteBucket(std::string, coordinator::Caller, coordinator::TicketDone) override {}
  void FinalizeUpgrade(coordinator::Caller, coordinator::StatusDone) override {}
  coordinator::ClusterPlan Plan() const override { return {}; }
  std::vector<coordinator::TaskStatus> Tasks() const override { return {}; }
  void Repair(coordinator::RepairRequest, coordinator::TicketDone) override {}
  void GetRepairStatus(RepairStatusDone) override {}
  void Drain(bool, coordinator::Caller, coordinator::StatusDone) override {}

  coordinator::ClusterStatus status;
};

struct FakeNode {
  FakeNode() : env(world.env()), kv(world) {}
  // After the settings are as wanted.
  RespFrontend& Frontend() {
    if (!frontend) frontend = std::make_unique<RespFrontend>(kv, admin, settings, metrics, env);
    return *frontend;
  }

  FakeWorld world;
  env::Env env;
  FakeKv kv;
  FakeAdmin admin;
  config::Settings settings;
  telemetry::Metrics metrics;
  std::unique_ptr<RespFrontend> frontend;
};

inline std::string MakeCommand(const std::vector<std::string_view>& args) {
  std::string text = "*" + std::to_string(args.size()) + "\r\n";
  for (const std::string_view arg : args) {
    text += "$" + std::to_string(arg.size()) + "\r\n";
    text += arg;
    text += "\r\n";
  }
  return text;
}

// Takes one well-formed reply of either protocol from the front. False: it is none.
inline bool TakeReply(std::string_view* bytes, int depth = 0) {
  const size_t eol = bytes->find("\r\n");
  if (eol == std::string_view::npos || depth > 8) return false;
  const char type = bytes->front();
  const std::string number(bytes->substr(1, eol - 1));
  bytes->remove_prefix(eol + 2);
  if (std::string_view("+-:_#").find(type) != std::string_view::npos) return true;
  char* end = nullptr;
  const long count = std::strtol(number.c_str(), &end, 10);
  if (number.empty() || *end != 0 || count < -1) return false;
  if (type == '$' || type == '=') {
    if (count == -1) return true;
    const auto size = static_cast<size_t>(count);
    if (bytes->size() < size + 2 || bytes->substr(size, 2) != "\r\n") return false;
    bytes->remove_prefix(size + 2);
    return true;
  }
  if (std::string_view("*~%").find(type) == std::string_view::npos) return false;
  for (long i = 0; i < count * (type == '%' ? 2 : 1); ++i) {
    if (!TakeReply(bytes, depth + 1)) return false;
  }
  return true;
}

// How many replies there are; nothing if they are not well-formed.
inline std::optional<size_t> CountReplies(std::string_view bytes) {
  size_t count = 0;
  for (; !bytes.empty(); ++count) {
    if (!TakeReply(&bytes)) return std::nullopt;
  }
  return count;
}

// A client that asks and reads; text in and text out.
class Asker {
 public:
  explicit Asker(FakeNode& node) : client(node.Frontend()) {}
  std::string Ask(const std::vector<std::string_view>& args) {
    client.Send(MakeCommand(args));
    return client.TakeOutput();
  }

  FakeClient client;
};

}  // namespace lariat::frontend::resp::testing

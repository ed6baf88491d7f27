// SPDX-License-Identifier: Apache-2.0
// The services behind a frontend, for tests and fuzzing: they remember what they were asked and
// answer as told.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "frontend/connection/test_client.h"
#include "frontend/http/http_frontend.h"

namespace lariat::frontend::http::testing {

using connection::testing::FakeWorld;

// Keeps one value or several per key; answers at once, or when told with `defer`.
class FakeKv : public coordinator::KvService {
 public:
  void Get(coordinator::GetRequest request, coordinator::GetDone done) override {
    ++calls;
    last_get = request;
    base::Result<coordinator::GetReply> result;
    if (error) {
      result = base::Fail(*error);
    } else {
      result = replies[request.bucket + '/' + request.key];
    }
    Later([done = std::move(done), result = std::move(result)]() mutable {
      done(std::move(result));
    });
  }
  void Write(coordinator::WriteRequest request, coordinator::WriteDone done) override {
    ++calls;
    coordinator::GetReply& reply = replies[request.bucket + '/' + request.key];
    if (!error && request.write.is_delete) {
      reply.values.clear();
    } else if (!error) {
      coordinator::ShownValue value{request.write.value, request.write.content_type, {kWritten}};
      value.version = {{"node1", ++events}};
      reply = {{value}, value.version, {kWritten}, "ctx" + std::to_string(events), {2, 0}};
    }
    (request.write.is_delete ? last_delete : last_put) = std::move(request);
    Written(std::move(done));
  }
  void List(coordinator::ListRequest request, coordinator::ListDone done) override {
    ++calls;
    last_list = std::move(request);
    base::Result<coordinator::ListReply> page = list_page;
    if (error) page = base::Fail(*error);
    Later([done = std::move(done), page = std::move(page)]() mutable { done(std::move(page)); });
  }
  void Estimate(coordinator::EstimateRequest request, coordinator::EstimateDone done) override {
    ++calls;
    last_estimate = std::move(request);
    base::Result<coordinator::EstimateReply> reply = estimate;
    if (error) reply = base::Fail(*error);
    Later([done = std::move(done), reply = std::move(reply)]() mutable { done(std::move(reply)); });
  }
  std::vector<membership::BucketProperties> Buckets() const override {
    std::vector<membership::BucketProperties> all;
    for (const auto& [name, bucket] : buckets) all.push_back(bucket);
    return all;
  }
  base::Result<membership::BucketProperties> Bucket(const std::string& name) const override {
    const auto found = buckets.find(name);
    if (found != buckets.end()) return found->second;
    return base::Fail(base::Code::kNotFound, "no such bucket");
  }
  void SetBucket(membership::BucketProperties bucket, coordinator::Caller caller,
                 coordinator::StatusDone done) override {
    last_caller = std::move(caller);
    base::Status status = membership::CheckBucket(bucket);
    if (error) status = base::Fail(*error);
    if (status) buckets[bucket.name] = bucket;
    Later([done = std::move(done), status = std::move(status)]() mutable { done(status); });
  }
  uint64_t ValueBytesMax() const override { return value_bytes_max; }

  // Runs one of the deferred answers.
  void Complete(size_t index) {
    auto answer = std::move(deferred.at(index));
    deferred.erase(deferred.begin() + static_cast<ptrdiff_t>(index));
    answer();
  }

  static constexpr int64_t kWritten = 784111777000;      // Sun, 06 Nov 1994 08:49:37 GMT
  std::map<std::string, coordinator::GetReply> replies;  // "bucket/key"
  std::map<std::string, membership::BucketProperties> buckets = {{"default", {.name = "default"}}};
  coordinator::ListRequest last_list;
  coordinator::ListReply list_page;
  coordinator::EstimateRequest last_estimate;
  coordinator::EstimateReply estimate;
  std::optional<base::Error> error;
  bool defer = false;
  bool replayed = false;
  uint64_t value_bytes_max = 1 << 20;
  uint64_t events = 0;
  int calls = 0;
  coordinator::GetRequest last_get;
  coordinator::WriteRequest last_put;
  coordinator::WriteRequest last_delete;
  coordinator::Caller last_caller;  // of SetBucket
  std::vector<base::UniqueFunction<void()>> deferred;

 private:
  void Written(coordinator::WriteDone done) {
    base::Result<coordinator::WriteReply> result = coordinator::WriteReply{
        {{"node1", events}}, "ctx" + std::to_string(events), {kWritten}, {2, 0}, replayed};
    if (error) result = base::Fail(*error);
    Later([done = std::move(done), result = std::move(result)]() mutable {
      done(std::move(result));
    });
  }
  void Later(base::UniqueFunction<void()> answer) {
    if (defer) {
      deferred.push_back(std::move(answer));
    } else {
      answer();
    }
  }
};

class FakeAdmin : public coordinator::AdminService {
 public:
  coordinator::ClusterStatus Status() const override { return status; }
  std::vector<coordinator::RingRange> Ring(uint32_t n) const override {
    std::vector<std::string> owners;
    for (uint32_t i = 1; i <= n; ++i) owners.push_back("node" + std::to_string(i));
    return {{{0}, {UINT64_MAX}, owners}};
  }
  void Explain(std::string bucket, std::string key, coordinator::Caller caller,
               coordinator::ExplainDone done) override {
    last_caller = std::move(caller);
    coordinator::Explanation explanation{bucket, key, key, {UINT64_MAX}, 3, 2, 2};
    explanation.replicas = {{"node1", true, "found", {{"node1", 5}}, 1, 0, 10, "ab"}};
    explanation.fallbacks = {"node4"};
    explanation.agree = true;
    if (key == "deleted") explanation.kept_because = "deleted 12 s ago";
    done(std::move(explanation));
  }
  void Hot(coordinator::HotRequest request, HotDone done) override {
    last_hot = std::move(request);
    done(coordinator::HotKeysShown{10, {{"b", "k", 12.5, std::nullopt}}, {"node9"}});
  }
  coordinator::HealthSummary Health() const override { return health; }
  std::string MetricsText() const override { return "lariat_siblings_max 1\n"; }
  void RequestChange(coordinator::ChangeRequest request, coordinator::TicketDone done) override {
    last_change = std::move(request);
    ++calls;
    if (error) return done(base::Fail(*error));
    done(coordinator::ChangeTicket{7, !last_change.staged, last_change.staged ? "staged" : ""});
  }
  void Commit(coordinator::Caller caller, coordinator::StatusDone done) override {
    last_caller = std::move(caller);
    ++calls;
    End(std::move(done));
  }
  void Cancel(uint64_t task, coordinator::Caller caller, coordinator::StatusDone done) override {
    last_caller = std::move(caller);
    ++calls;
    last_cancelled = task;
    End(std::move(done));
  }
  void DeleteBucket(std::string bucket, coordinator::Caller caller,
                    coordinator::TicketDone done) override {
    last_caller = std::move(caller);
    last_deleted = std::move(bucket);
    if (error) return done(base::Fail(*error));
    done(coordinator::ChangeTicket{8, true, "its data follows"});
  }
  void FinalizeUpgrade(coordinator::Caller caller, coordinator::StatusDone done) override {
    last_caller = std::move(caller);
    ++calls;
    End(std::move(done));
  }
  coordinator::ClusterPlan Plan() const override { return plan; }
  std::vector<coordinator::TaskStatus> Tasks() const override { return tasks; }
  void Repair(coordinator::RepairRequest request, coordinator::TicketDone done) override {
    repairs.push_back(std::move(request));
    if (error) return done(base::Fail(*error));
    done(coordinator::ChangeTicket{9, true, ""});
  }
  void GetRepairStatus(RepairStatusDone done) override { done(repair_status); }
  void Drain(bool on, coordinator::Caller caller, coordinator::StatusDone done) override {
    last_caller = std::move(caller);
    ++calls;
    draining = on;
    End(std::move(done));
  }

  coordinator::HotRequest last_hot;
  coordinator::ClusterStatus status;
  coordinator::HealthSummary health{"ok", true, true, {}, "node1", "0.1.0", "ok", 3, 3, 60};
  coordinator::ClusterPlan plan;
  std::vector<coordinator::TaskStatus> tasks;
  std::optional<base::Error> error;  // what changes are answered with
  int calls = 0;                     // requests for changes
  coordinator::ChangeRequest last_change;
  std::optional<uint64_t> last_cancelled;
  std::string last_deleted;         // bucket
  coordinator::Caller last_caller;  // of what has no request of its own
  std::vector<coordinator::RepairRequest> repairs;
  coordinator::RepairStatus repair_status{.enabled = true};
  bool draining = false;

 private:
  void End(coordinator::StatusDone done) {
    base::Status ended;
    if (error) ended = base::Fail(*error);
    done(std::move(ended));
  }
};

}  // namespace lariat::frontend::http::testing

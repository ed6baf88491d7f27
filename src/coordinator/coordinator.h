// SPDX-License-Identifier: Apache-2.0
// The shell around the read and write cores: checks requests, picks replicas, sends, keeps the
// time, and turns outcomes into replies. One for each shard; see kv_service.h for threads and
// outcomes.
//
// Reads of one key with the same r share flights: while one is under way, later ones wait and then
// share the next. (Joining the flight that is under way could return data older than a write that
// was done before the later read began.)
//
// Writes are coordinated by a replica of the key; a node that is none forwards. Conditional and
// idempotent writes go to the first live primary, so that those on one key meet in one place.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/settings.h"
#include "coordinator/deadlines.h"
#include "coordinator/kv_service.h"
#include "coordinator/ports.h"
#include "coordinator/quorum.h"
#include "coordinator/read_op.h"
#include "coordinator/write_op.h"
#include "env/env.h"
#include "telemetry/metrics.h"

namespace lariat::coordinator {

class Coordinator final : public KvService {
 public:
  // All references outlive the coordinator.
  Coordinator(env::Env env, const config::Settings& settings, ReplicaPort& replicas,
              ClusterPort& cluster, telemetry::Metrics& metrics);
  ~Coordinator() override;

  // A new topology; null until the cluster is formed.
  void SetView(std::shared_ptr<const membership::View> view) { view_ = std::move(view); }
  void ApplySettings(const config::Settings& settings) { settings_ = settings; }
  // Call every few milliseconds.
  void Tick(base::Instant now);
  // A write that another node accepted and handed to this replica.
  void OnForwarded(wire::ForwardedWrite request, ReplicaPort::ForwardDone done);
  size_t InFlight() const { return in_flight_; }

  void Get(GetRequest request, GetDone done) override;
  void Put(PutRequest request, WriteDone done) override;
  void Delete(DeleteRequest request, WriteDone done) override;
  std::vector<membership::BucketProperties> Buckets() const override;
  base::Result<membership::BucketProperties> Bucket(const std::string& name) const override;
  void SetBucket(membership::BucketProperties bucket, StatusDone done) override;
  uint64_t ValueBytesMax() const override {
    return static_cast<uint64_t>(settings_.limits_value_bytes);
  }

  // For operations (read_op, write_op).
  struct Target {
    std::shared_ptr<const membership::View> view;
    membership::BucketProperties bucket;
    ring::Token token;
    std::vector<ring::NodeIndex> primaries;
  };
  using ReadDone = base::UniqueFunction<void(base::Result<ReadResult>)>;
  void StartRead(const Target& target, std::string key, Quorum quorum, std::string idempotency_key,
                 ReadDone done);
  const env::Env& env() const { return env_; }
  const config::Settings& settings() const { return settings_; }
  ReplicaPort& replicas() { return replicas_; }
  telemetry::Metrics& metrics() { return metrics_; }

 private:
  struct Flight {
    std::vector<GetDone> riding;           // get the reply of the read under way
    std::vector<GetRequest> next_request;  // at most one: what the next flight asks for
    std::vector<GetDone> next;             // wait for the next flight
  };

  base::Result<Target> Locate(const std::string& bucket, const std::string& key) const;
  base::Status CheckAlive(const Target& target, uint32_t needed) const;
  base::Status Admit(size_t bytes);
  void Leave(size_t bytes);
  void StartFlight(const std::string& flight_key, GetRequest request, Target target, Quorum quorum);
  void Land(const std::string& flight_key, const Target& target, const GetRequest& request,
            base::Result<ReadResult> result);
  base::Result<GetReply> MakeReply(const Target& target, const GetRequest& request,
                                   const ReadResult& result) const;

  void StartWrite(WriteIntent intent, WriteDone done);
  void RunWrite(WriteIntent intent, WriteDone done);
  base::Status CheckIntent(const WriteIntent& intent) const;
  void Coordinate(WriteIntent intent, Target target, Quorum quorum, size_t self, WriteDone done);
  void RunUpdate(const Target& target, Quorum quorum, size_t self, UpdateRequest update,
                 WriteDone done);
  void ReadThenUpdate(const Target& target, Quorum quorum, size_t self, UpdateRequest update,
                      bool context_given, WriteDone done);
  WriteDone ConfirmReplay(const Target& target, const UpdateRequest& update, Quorum quorum,
                          WriteDone done);
  void ForwardTo(std::vector<ring::NodeIndex> candidates, std::shared_ptr<WriteIntent> intent,
                 Target target, Quorum quorum, WriteDone done);
  void OnForwardReply(wire::ForwardedWriteReply reply, std::vector<ring::NodeIndex> candidates,
                      std::shared_ptr<WriteIntent> intent, Target target, Quorum quorum,
                      WriteDone done);

  env::Env env_;
  config::Settings settings_;
  ReplicaPort& replicas_;
  ClusterPort& cluster_;
  telemetry::Metrics& metrics_;
  std::shared_ptr<const membership::View> view_;
  std::unordered_map<std::string, Flight> flights_;
  // Operations hold themselves alive through their callbacks; these find them for time-outs.
  Deadlines<std::weak_ptr<ReadOp>> read_deadlines_;
  Deadlines<std::weak_ptr<ReadOp>> hedges_;
  Deadlines<std::weak_ptr<WriteOp>> write_deadlines_;
  std::shared_ptr<bool> alive_;  // co-owned by callbacks that may outlive this shard
  size_t in_flight_ = 0;
  size_t in_flight_bytes_ = 0;
};

// Node numbers to names, as people see them.
Version NameVersion(const std::map<uint64_t, uint64_t>& version, const membership::View& view);

}  // namespace lariat::coordinator

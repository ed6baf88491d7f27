// SPDX-License-Identifier: Apache-2.0
// The shell around the read and write cores: checks requests, picks replicas, sends, keeps the
// time, and turns outcomes into replies. One for each shard; see kv_service.h for threads and
// outcomes.
//
// Reads of one key with the same r share flights: while one is under way, later ones wait and then
// share the next. (Joining the flight that is under way could return data older than a write that
// was done before the later read began.)
//
// Writes are coordinated by a replica of the read list (lists.h); a node that is none forwards.
// Conditional and idempotent writes go to the first live one, so that those on one key meet in one
// place. If none is alive, a sloppy write of another kind is coordinated by the node that took it,
// which then stands in for the first one.
//
// A request that a replica refuses as stale is planned or sent again until its deadline; clients
// learn of a change of the topology only if that was not enough time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/prng.h"
#include "config/settings.h"
#include "coordinator/deadlines.h"
#include "coordinator/kv_service.h"
#include "coordinator/plan.h"
#include "coordinator/ports.h"
#include "coordinator/quorum.h"
#include "coordinator/read_op.h"
#include "coordinator/write_op.h"
#include "env/env.h"
#include "telemetry/metrics.h"

namespace lariat::coordinator {

class Coordinator final : public KvService, private Replanner {
 public:
  // All references outlive the coordinator.
  Coordinator(env::Env env, const config::Settings& settings, ReplicaPort& replicas,
              ClusterPort& cluster, telemetry::Metrics& metrics);
  ~Coordinator() override;

  // A new topology; null until the cluster is formed. What waits for one goes on at the next tick.
  void SetView(std::shared_ptr<const membership::View> view);
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

 private:
  struct Flight {
    std::vector<GetDone> riding;           // get the reply of the read under way
    std::vector<GetRequest> next_request;  // at most one: what the next flight asks for
    std::vector<GetDone> next;             // wait for the next flight
    base::Instant next_due{};              // the latest deadline of those
  };
  // A read that waits for its flight, with its own deadline.
  struct Waiter {
    GetDone done;
    uint32_t needed = 0;
    void End(base::Result<GetReply> reply);
  };
  struct FlightPlan {
    std::string key;  // of flights_
    GetRequest request;
    base::Instant deadline;
  };
  struct ReadPlan {
    std::string key;
    std::string idempotency_key;
    uint32_t needed = 1;
    uint32_t needed_other = 1;  // of the other list
    base::Instant deadline;
    bool strict = true;
    bool sloppy = false;
    uint32_t primaries = 0;    // matters if sloppy
    bool compare_all = false;  // after the answer; if not strict
  };
  // One client write from its check to its answer. Co-owned by the callbacks that carry it on.
  struct WriteJob {
    WriteIntent intent;  // without value and content type while an UpdateRequest has them
    WriteDone done;
    size_t bytes = 0;          // admitted
    std::weak_ptr<bool> home;  // expired: the coordinator is gone
    uint32_t plans = 0;        // how often it was planned
    base::Instant deadline{};  // set by the first plan
    // By the last plan:
    Target target;
    Quorum quorum;
    size_t self = 0;
    bool stands_in = false;  // this node is no replica and does what `self` would
  };
  using JobPtr = std::shared_ptr<WriteJob>;
  using ReadDone = base::UniqueFunction<void(base::Result<ReadResult>)>;

  base::Result<Target> Locate(const std::string& bucket, const std::string& key) const;
  base::Status CheckBucket(const std::string& name) const;
  // Of one list.
  struct Demand {
    uint32_t nodes = 0;      // stand-ins count if the quorum is sloppy
    uint32_t primaries = 0;  // of them
  };
  // `stand_ins`: the quorum is sloppy and nodes may keep what is for others. `other`: of the other
  // list, if there is one.
  base::Status CheckAlive(const Target& target, Demand read, Demand other, bool stand_ins) const;
  base::Status CheckAliveIn(const std::vector<ring::NodeIndex>& list, const Target& target,
                            Demand demand, const std::vector<ring::NodeIndex>& stood_for) const;
  base::Status Admit(size_t bytes);
  void Leave(size_t bytes);

  // Replanner
  std::shared_ptr<const membership::View> NewerThan(const membership::View& planned) override;
  void WaitFor(const std::shared_ptr<const membership::View>& planned, ring::NodeIndex node,
               uint32_t attempt, std::function<void()> again) override;
  static base::Duration WaitOf(uint32_t attempt);

  void StartRead(const Target& target, ReadPlan plan, ReadDone done);
  base::Status CheckReadable(const Target& target, const Quorum& quorum) const;
  static bool IsStrict(const Target& target, const Quorum& quorum);
  GetDone Waiting(GetDone done, uint32_t needed, base::Instant due);
  static base::Error TooLate(uint32_t needed);
  void PlanFlight(FlightPlan plan);
  void StartFlight(FlightPlan plan, const Target& target, const Quorum& quorum);
  void Land(FlightPlan plan, base::Result<GetReply> reply);
  base::Result<GetReply> MakeReply(const membership::View& view, const GetRequest& request,
                                   const ReadResult& result) const;

  void StartWrite(WriteIntent intent, WriteDone done);
  base::Status CheckIntent(const WriteIntent& intent) const;
  void PlanWrite(const JobPtr& job);
  base::Status LocateWrite(WriteJob* job) const;
  base::Status CheckWritable(const WriteJob& job) const;
  base::Status CheckStandIn(const WriteJob& job) const;
  void CoordinateAsStandIn(const JobPtr& job);
  std::vector<ring::NodeIndex> Coordinators(const WriteJob& job) const;
  // `node`: who has refused it as stale.
  void PlanWriteAgain(const JobPtr& job, ring::NodeIndex node);
  void Coordinate(const JobPtr& job);
  void RunUpdate(const JobPtr& job, UpdateRequest update);
  void OnWritten(const JobPtr& job, base::Result<WriteReply> reply, WriteOp::Stale stale);
  ReadPlan FirstRead(const WriteJob& job) const;
  void ReadThenUpdate(const JobPtr& job, UpdateRequest update);
  void OnFirstRead(const JobPtr& job, UpdateRequest update, base::Result<ReadResult> found);
  void ConfirmReplay(const JobPtr& job, WriteReply reply);
  void OnConfirmed(const JobPtr& job, WriteReply reply, const base::Result<ReadResult>& found);
  void ForwardTo(const JobPtr& job, std::vector<ring::NodeIndex> candidates);
  void OnForwardReply(const JobPtr& job, wire::ForwardedWriteReply reply,
                      std::vector<ring::NodeIndex> candidates);
  void EndWrite(const JobPtr& job, base::Result<WriteReply> reply);

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
  Deadlines<std::weak_ptr<Waiter>> waiter_deadlines_;
  // What waits for a new view or for its time to be tried again.
  Deadlines<std::function<void()>> waiting_;
  bool view_is_new_ = false;
  base::Prng random_;            // which reads compare all replicas
  std::shared_ptr<bool> alive_;  // co-owned by callbacks that may outlive this shard
  size_t in_flight_ = 0;
  size_t in_flight_bytes_ = 0;
};

// Node numbers to names, as people see them.
Version NameVersion(const std::map<uint64_t, uint64_t>& version, const membership::View& view);

}  // namespace lariat::coordinator

// SPDX-License-Identifier: Apache-2.0
// What a node does for clients, put together: the parts that serve reads and writes, admit requests
// and tell of buckets (internal/). One for each shard; see kv_service.h for threads and outcomes.
//
// A request that a replica refuses as stale is planned or sent again until its deadline; clients
// learn of a change of the topology only if that was not enough time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coordinator/internal/admission.h"
#include "coordinator/internal/buckets.h"
#include "coordinator/internal/covering_reads.h"
#include "coordinator/internal/op_context.h"
#include "coordinator/internal/read_flights.h"
#include "coordinator/internal/reads.h"
#include "coordinator/internal/write_jobs.h"
#include "coordinator/kv_service.h"
#include "coordinator/pages/pages.h"
#include "coordinator/ports.h"
#include "coordinator/serial/reads.h"
#include "coordinator/serial/rounds.h"
#include "telemetry/hot_keys.h"

namespace lariat::coordinator {

class Coordinator final : public KvService {
 public:
  // All references outlive the coordinator.
  Coordinator(env::Env env, const config::Settings& settings, ReplicaPort& replicas,
              ClusterPort& cluster, telemetry::Metrics& metrics);
  // Callbacks given out may come later still: they touch nothing of it.
  ~Coordinator() override;

  // A new topology; null until the cluster is formed. What waits for one goes on at the next tick.
  void SetView(std::shared_ptr<const membership::View> view) { context_.SetView(std::move(view)); }
  void ApplySettings(const config::Settings& settings) { context_.ApplySettings(settings); }
  // Call every few milliseconds.
  void Tick(base::Instant now);
  // A write that another node accepted and handed to this replica.
  void OnForwarded(wire::ForwardedWrite request,
                   base::UniqueFunction<void(wire::ForwardedWriteReply)> done);
  // A key of a serial bucket that copies cannot mend: by a round, in the background.
  void Settle(const std::string& bucket, const std::string& key) {
    serial_reads_.Settle(bucket, key);
  }
  size_t InFlight() const { return admission_.InFlight(); }
  // What clients ask for most through this shard.
  const telemetry::HotKeys& hot() const { return hot_; }

  void Get(GetRequest request, GetDone done) override;
  void Write(WriteRequest request, WriteDone done) override;
  void List(ListRequest request, ListDone done) override;
  void Estimate(EstimateRequest request, EstimateDone done) override;
  std::vector<membership::BucketProperties> Buckets() const override;
  base::Result<membership::BucketProperties> Bucket(const std::string& name) const override;
  void SetBucket(membership::BucketProperties bucket, Caller caller, StatusDone done) override;
  uint64_t ValueBytesMax() const override;

 private:
  void ReadListed(GetRequest request, GetDone done);
  GetDone Noting(const GetRequest& request, GetDone done);
  WriteDone Noting(const WriteRequest& request, WriteDone done);

  OpContext context_;
  telemetry::HotKeys hot_;
  Admission admission_;
  coordinator::Buckets buckets_;
  Reads reads_;
  ReadFlights flights_;
  CoveringReads covering_;
  Pages pages_;
  SerialRounds rounds_;
  SerialReads serial_reads_;
  WriteJobs writes_;
};

}  // namespace lariat::coordinator

// SPDX-License-Identifier: Apache-2.0
// KvService as protocols get it where clients log in: the gate is asked for each key before the
// service behind it is. A method that the interface gets does not compile before it is here, too.
#pragma once

#include "access/gate.h"
#include "coordinator/kv_service.h"

namespace lariat::access {

class GuardedKv final : public coordinator::KvService {
 public:
  // Both outlive this.
  GuardedKv(Gate& gate, coordinator::KvService& kv) : gate_(gate), kv_(kv) {}
  void Get(coordinator::GetRequest request, coordinator::GetDone done) override;
  void Write(coordinator::WriteRequest request, coordinator::WriteDone done) override;
  void List(coordinator::ListRequest request, coordinator::ListDone done) override;
  void Estimate(coordinator::EstimateRequest request, coordinator::EstimateDone done) override;
  // Which buckets there are, and how they are kept: for the protocols themselves. What of it a
  // client is shown is for the doors (Door::kBucket) to say.
  std::vector<membership::BucketProperties> Buckets() const override { return kv_.Buckets(); }
  base::Result<membership::BucketProperties> Bucket(const std::string& name) const override {
    return kv_.Bucket(name);
  }
  void SetBucket(membership::BucketProperties bucket, coordinator::Caller caller,
                 coordinator::StatusDone done) override;
  uint64_t ValueBytesMax() const override { return kv_.ValueBytesMax(); }

 private:
  Gate& gate_;
  coordinator::KvService& kv_;
};

}  // namespace lariat::access

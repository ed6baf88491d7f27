// SPDX-License-Identifier: Apache-2.0
// A node's shards as healing sees them. What healing/shards.h says.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "healing/shards.h"
#include "node/shard/shard.h"

namespace lariat::node {

class LocalShards final : public healing::Shards {
 public:
  // All outlive this. The lists are complete before anything is called.
  struct Parts {
    const std::vector<std::unique_ptr<Shard>>& shards;
    const std::vector<std::unique_ptr<telemetry::Metrics>>& metrics;
    replica::HintBudget& hint_budget;
  };
  explicit LocalShards(const Parts& parts) : parts_(parts) {}

  uint32_t count() const override { return static_cast<uint32_t>(parts_.shards.size()); }
  healing::LocalShard& shard(uint32_t index) override { return *parts_.shards[index]; }
  replica::HintBudget& hint_budget() const override { return parts_.hint_budget; }
  std::pair<uint64_t, base::Duration> RequestsSoFar() const override {
    uint64_t count = 0;
    base::Duration sum{};
    for (const auto& metrics : parts_.metrics) {
      for (const telemetry::Op op : {telemetry::Op::kGet, telemetry::Op::kPut}) {
        count += metrics->request_seconds[op].Count();
        sum += metrics->request_seconds[op].Sum();
      }
    }
    return {count, sum};
  }
  void Ingest(replica::KeyRef key, std::string object, StatusDone done,
              healing::IngestWhy why) override {
    home().Ingest(std::move(key), std::move(object), std::move(done), why);
  }
  void Read(uint64_t fence, replica::KeyRef key, ReadDone done) override {
    wire::ReadRequest request;
    request.bucket = key.bucket;
    request.token = key.token.value;
    request.key = std::move(key.key);
    home().Read(std::move(request), fence, std::move(done));
  }
  void ReadInDoubt(uint64_t fence, replica::KeyRef key, ReadDone done) override {
    home().ReadInDoubt(fence, std::move(key), std::move(done));
  }

 private:
  ShardRecords& home() { return parts_.shards[0]->records(); }

  Parts parts_;
};

}  // namespace lariat::node

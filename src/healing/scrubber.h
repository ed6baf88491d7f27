// SPDX-License-Identifier: Apache-2.0
// The scrub of a node: reads leaves on their shards and asks the other replicas on behalf of
// repair::Scrub. Lives on shard 0 and is called on its thread only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coordinator/admin_service.h"
#include "healing/shards.h"
#include "peers/home.h"
#include "repair/scrub/scrub.h"
#include "replica/meta_store.h"
#include "replica/range_reader.h"

namespace lariat::healing {

class Scrubber final : public repair::ScrubPort {
 public:
  Scrubber(Shards& shards, peers::Home& home, storage::Engine& engine, telemetry::LogSink& log);

  void Start() { scrub_.Start(); }
  void OnView(std::shared_ptr<const membership::View> view);
  void Stop() { view_ = nullptr; }
  void ApplySettings(const config::Settings& settings);
  void FillStatus(coordinator::ScrubStatus* status) const;

  // repair::ScrubPort
  void FindBuckets(BucketsDone done) override;
  void FindLeaves(uint32_t bucket, uint32_t first, uint32_t last, LeavesDone done) override;
  void Check(uint32_t bucket, uint32_t leaf, CheckDone done) override;
  void AskOthers(std::string data_key, AnswersDone done) override;
  void Replace(std::string data_key, std::string damaged, std::string object,
               StatusDone done) override;
  std::string NameOf(const std::string& data_key) const override;
  std::string BucketName(uint32_t bucket) const override;

 private:
  // Runs `ask` on each shard and `use` with its answer here; `done` after the last one.
  template <typename Ask, typename Use, typename Done>
  void OnEachShard(Ask ask, Use use, Done done);
  struct Leaves;
  void LookIntoEmpty(std::shared_ptr<Leaves> leaves, uint32_t from);
  using FoundDone = base::UniqueFunction<void(base::Result<uint32_t>)>;
  void LookForRecord(uint32_t bucket, uint32_t first, uint32_t last, FoundDone done);
  void OnGap(std::shared_ptr<Leaves> leaves, uint32_t run, uint32_t end, uint32_t found);
  base::Result<std::vector<ring::NodeIndex>> OthersOf(const std::string& data_key) const;

  Shards& shards_;
  peers::Home& home_;
  std::shared_ptr<const membership::View> view_;
  replica::RangeReader reader_;
  replica::MetaStore meta_;
  struct Gap {
    uint32_t bucket = 0;
    uint32_t first = 1, last = 0;
  };
  Gap gap_;  // leaves of which it is known, in this pass, that no record is there
  repair::Scrub scrub_;
};

}  // namespace lariat::healing

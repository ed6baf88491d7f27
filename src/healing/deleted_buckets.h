// SPDX-License-Identifier: Apache-2.0
// Removes what this node stores of deleted buckets, at the rate of stream.clean_bytes_per_s, and
// remembers up to which deletion nothing is left. Nobody is waited for: whoever works by the
// document without the bucket asks for nothing of it, and all others have an older fence.
//
// How far a bucket's removal is, is not stored: looking at an empty range again is cheap.
//
// Lives on shard 0 and is called on its thread only, except where said.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "healing/shards.h"
#include "peers/home.h"
#include "repair/cleaner.h"
#include "replica/meta_store.h"
#include "replica/range_reader.h"

namespace lariat::healing {

class DeletedBuckets final : public repair::CleanerPort {
 public:
  DeletedBuckets(Shards& shards, peers::Home& home, storage::Engine& engine,
                 telemetry::LogSink& log);
  void Start();
  // A view by which every shard of this node works, and before which nothing is unsettled.
  void OnView(std::shared_ptr<const membership::View> view);
  // The node is out of the cluster.
  void Stop();
  void ApplySettings(const config::Settings& settings) { cleaner_.ApplySettings(settings); }

  // The greatest deletion up to which nothing is left here. Thread-safe.
  uint64_t done() const { return done_.load(); }
  // Since the start; of all of them. Thread-safe.
  struct Removed {
    uint64_t records, bytes;
  };
  Removed removed() const;

  // repair::CleanerPort
  void Remove(uint64_t fence, std::vector<std::string> data_keys, RemoveDone done) override;

 private:
  void Load();
  void EachSecond();
  void Look();
  void Store(uint64_t number);

  Shards& shards_;
  peers::Home& home_;
  storage::Engine& engine_;
  replica::RangeReader reader_;
  replica::MetaStore meta_;
  repair::Cleaner cleaner_;
  std::shared_ptr<const membership::View> view_;
  bool loaded_ = false;
  bool storing_ = false;
  std::atomic<uint64_t> done_{0};
};

}  // namespace lariat::healing

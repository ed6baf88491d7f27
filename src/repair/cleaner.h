// SPDX-License-Identifier: Apache-2.0
// Removes records that this node has no use for any more, slowly: of ranges that it does not own
// after a topology change, or of deleted buckets. Whoever starts it answers for it that nobody
// needs them: a new owner that is still to be confirmed may.
//
// Nothing is stored about how far it is: looking at an empty range again is cheap.
//
// Threads: one thread, that of the Env given; callbacks of the port come on it too.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"
#include "env/env.h"
#include "repair/cleaner_core.h"
#include "repair/throttle_core.h"
#include "replica/range_reader.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace lariat::repair {

class CleanerPort {
 public:
  virtual ~CleanerPort() = default;
  // Removes the records with these data keys, which are all of one bucket and in key order: each
  // on the shard that owns its token, by Replica::RemoveIf, and only if the plan with this fence
  // still holds on that shard at that moment; otherwise kStaleEpoch.
  // Answers exactly once, with the keys that were skipped.
  using RemoveDone = base::UniqueFunction<void(base::Result<std::vector<std::string>>)>;
  virtual void Remove(uint64_t fence, std::vector<std::string> data_keys, RemoveDone done) = 0;
};

class Cleaner {
 public:
  struct Books {
    telemetry::Counter& records;
    telemetry::Counter& bytes;
    std::string_view what;  // "records of ...", for the log
  };
  Cleaner(env::Env env, CleanerPort& port, replica::RangeReader& reader, Books books,
          telemetry::LogSink& log, const config::Settings& settings);
  ~Cleaner();

  // Ends what runs and begins with this plan; the same fence again is ignored.
  void Start(CleanerPlan plan);
  // At once: nothing more is asked of the port. What was asked is stopped by its fence.
  void Stop();
  void ApplySettings(const config::Settings& settings);

  bool Running() const { return core_ != nullptr; }
  // Went to its end by this fence, in this run of the node.
  bool Finished(uint64_t fence) const { return finished_fence_ == fence; }
  uint64_t removed() const { return removed_; }  // records, of the present or the last run

 private:
  void Step();
  void OnPage(base::Result<replica::RecordPage> page);
  void OnRemoved(replica::RecordPage page, base::Result<std::vector<std::string>> skipped);
  void OnFailure(const base::Error& error);
  void StepAfter(base::Duration delay);
  template <typename Use>
  auto IfCurrent(Use use);

  env::Env env_;
  CleanerPort& port_;
  replica::RangeReader& reader_;
  Books books_;
  telemetry::LogSink& log_;
  Throttle throttle_;
  std::unique_ptr<CleanerCore> core_;
  std::optional<uint64_t> started_fence_;  // until Stop
  std::optional<uint64_t> finished_fence_;
  uint64_t removed_ = 0;
  env::TimerId timer_ = 0;
  std::shared_ptr<uint64_t> life_;  // counts runs; watched by callbacks
};

}  // namespace lariat::repair

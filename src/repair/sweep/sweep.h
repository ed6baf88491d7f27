// SPDX-License-Identifier: Apache-2.0
// The stability sweep of one node with its timers: looks every repair.purge_interval_s for records
// that may go, in the ranges that the node is the first replica of, and runs a proof (SweepBatch)
// for each few hundred of them. Slow on purpose: proofs wait for minutes if they have to, and what
// is left is tried again in the next sweep.
//
// Threads: one thread, that of the Env given; callbacks of the port come on it too.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/prng.h"
#include "config/settings.h"
#include "env/env.h"
#include "repair/sweep/sweep_core.h"
#include "repair/sweep/sweep_plan.h"
#include "repair/throttle_core.h"
#include "replica/range_reader.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace lariat::repair {

class SweepPort {
 public:
  virtual ~SweepPort() = default;
  // Each `done` comes exactly once, at once or later.

  // Sends the request to the member with this number, or does it here if that is this node, under
  // this fence: kStaleEpoch if anything but it holds here or there.
  struct To {
    uint64_t fence = 0;
    uint64_t member = 0;
    base::Duration timeout{};
  };
  using HintsDone = base::UniqueFunction<void(base::Result<wire::HintsReply>)>;
  virtual void Ask(const To& to, wire::HintsRequest request, HintsDone done) = 0;
  using SweepDone = base::UniqueFunction<void(base::Result<wire::SweepReply>)>;
  virtual void Ask(const To& to, wire::SweepRequest request, SweepDone done) = 0;

  // What this node's hash tree of the bucket says, its shards added up.
  struct Leaves {
    std::vector<bool> worth_reading;  // merkle::kLeaves; those that are not known yet included
    uint64_t tombstones = 0;
  };
  using LeavesDone = base::UniqueFunction<void(Leaves)>;
  virtual void FindLeaves(uint32_t bucket, LeavesDone done) = 0;

  // Joins that replica's states of these keys into this node's, and the result into those of all
  // replicas given. Nobody waits for it.
  struct Mend {
    uint64_t member = 0;
    std::vector<uint64_t> replicas;  // this node included
    std::vector<std::string> keys;   // storage::DataKey
  };
  virtual void MakeEqual(uint64_t fence, Mend mend) = 0;

  // Whether the member with this number is believed alive.
  virtual bool IsAlive(uint64_t member) = 0;

  // As TransferPort::ForegroundLatency.
  virtual std::optional<base::Duration> ForegroundLatency() = 0;
};

// Of this run of the node, and of its last complete sweep.
struct SweepFigures {
  base::WallTime ended{};  // of the last complete sweep; 0: none yet
  uint64_t tombstones = 0;
  uint64_t purged = 0, folded = 0;
  std::array<uint64_t, kSweepBlocks> blocked{};
};

class Sweep {
 public:
  Sweep(env::Env env, SweepPort& port, replica::RangeReader& reader, telemetry::Metrics& metrics,
        telemetry::LogSink& log, const config::Settings& settings);
  ~Sweep();

  // From now on by this plan. A sweep that runs by another fence ends, and begins again.
  void SetPlan(SweepPlan plan);
  // Nothing may be swept, until the next plan.
  void Pause();
  void ApplySettings(const config::Settings& settings);

  bool Running() const { return running_ != nullptr; }
  const SweepFigures& figures() const { return figures_; }
  // Until the next one begins; nothing while one runs or none may.
  std::optional<base::Duration> NextIn() const;

 private:
  // Keys with the same replicas and the same step wait for each other in a group.
  using Group = std::pair<std::vector<uint64_t>, wire::SweepStep>;
  struct Gathered {
    std::vector<wire::KeyDigest> keys;
    uint64_t bytes = 0;  // of their records
  };
  struct Run {
    SweepPlan plan;
    size_t item = 0;
    std::optional<uint32_t> bucket;  // whose leaves are known
    SweepPort::Leaves leaves;
    std::deque<ring::TokenRange> parts;  // of the item, still to be read
    bool item_begun = false;
    std::string after;
    bool walked = false;
    bool looking = false;  // a page or the leaves are being read
    std::map<Group, Gathered> gathered;
    std::map<uint64_t, SweepBatch> batches;
    std::unordered_map<std::string, SweepVerdict> candidates;  // gathered and in batches
    uint64_t tombstones = 0;
    std::array<uint64_t, kSweepBlocks> blocked{};
    int64_t oldest_ms = INT64_MAX;
  };

  base::Duration Jittered(base::Duration interval);
  void StartAfter(base::Duration delay);
  void Start();
  void End();
  void Finish();
  void Walk();
  void WalkSoon(base::Duration delay);
  bool NextPart();
  void OnPage(base::Result<replica::RecordPage> page);
  void Judge(const replica::RecordPage::Record& record);
  void SkipPart();
  void Gather(Group group, wire::KeyDigest key, uint64_t bytes);
  void StartBatch(const Group& group, std::vector<wire::KeyDigest> keys);
  void Pump(uint64_t number);
  void Send(uint64_t number, SweepBatch::Ask ask);
  void OnBatchDone(uint64_t number);
  void ArmBatches();
  void WakeBatches();
  void MeasureLatency();
  template <typename Use>
  auto IfCurrent(Use use);

  env::Env env_;
  SweepPort& port_;
  replica::RangeReader& reader_;
  telemetry::Metrics& metrics_;
  telemetry::LogSink& log_;
  base::Prng prng_;
  Throttle throttle_;
  base::Duration interval_{};
  SweepTimes times_;
  std::optional<SweepPlan> plan_;
  std::unique_ptr<Run> running_;
  SweepFigures figures_;
  uint64_t last_batch_ = 0;
  bool due_ = false;  // it was time for one when none was allowed
  std::optional<base::Instant> next_;
  env::TimerId start_timer_ = 0, walk_timer_ = 0, batch_timer_ = 0, latency_timer_ = 0;
  std::shared_ptr<uint64_t> life_;  // counts runs; watched by callbacks
};

}  // namespace lariat::repair

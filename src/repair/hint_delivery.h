// SPDX-License-Identifier: Apache-2.0
// Delivers what is kept for other members (replica/hint.h): the shell of HintDeliveryCore. A page
// of hints is read, the records that references stand for are fetched, the states are pushed, and
// what was acknowledged is removed if nothing was added to it meanwhile. A hint that is too old is
// dropped after its range has been marked dirty.
//
// Threads: one thread, that of the Env given; callbacks of the port come on it too.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/settings.h"
#include "env/env.h"
#include "membership/topology.h"
#include "repair/hint_delivery_core.h"
#include "repair/throttle_core.h"
#include "replica/dirty_marks.h"
#include "replica/hint_budget.h"
#include "replica/hint_reader.h"
#include "replica/replica.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "wire/repair_messages.h"

namespace lariat::repair {

class HintPort {
 public:
  virtual ~HintPort() = default;
  // Each `done` comes exactly once, at once or later.
  using StatusDone = base::UniqueFunction<void(base::Status)>;

  // By number; this node itself is alive.
  virtual bool IsAlive(uint64_t member) const = 0;
  // What this node holds of a key, durable; nothing: it has no record.
  using ReadDone = base::UniqueFunction<void(base::Result<std::optional<std::string>>)>;
  virtual void ReadRecord(std::string data_key, ReadDone done) = 0;
  // Has the states joined by a member, perhaps this node itself: ok when they are durable there.
  // kStaleEpoch: it, or this node, works by another topology than that with the fence.
  using Entries = std::vector<wire::FetchReply::Entry>;
  virtual void Push(uint64_t member, uint64_t fence, Entries entries, StatusDone done) = 0;
  // Replica::RemoveHints, on the shards that own the keys.
  virtual void RemoveHints(std::vector<replica::HintMark> hints, StatusDone done) = 0;
  // ok when they are durable.
  virtual void MarkDirty(std::vector<replica::DirtyMark> marks, StatusDone done) = 0;
  // As in TransferPort; asked every second.
  virtual std::optional<base::Duration> ForegroundLatency() = 0;
};

class HintDelivery {
 public:
  struct Parts {
    HintPort& port;
    replica::HintReader& reader;
    replica::HintBudget& budget;
  };
  HintDelivery(env::Env env, Parts parts, telemetry::Metrics& metrics, telemetry::LogSink& log,
               const config::Settings& settings);
  ~HintDelivery();

  void Start();
  void OnView(std::shared_ptr<const membership::View> view);
  void OnLiveness();
  // The node is out of the cluster.
  void Stop();
  void ApplySettings(const config::Settings& settings);

  bool Delivering(uint64_t target) const { return core_.Walking(target); }
  double BytesPerSecond(uint64_t target) const;  // lately
  // Why the target, which takes its other hints, did not accept one lately; empty: it did.
  std::string NotAccepted(uint64_t target) const;

 private:
  struct Batch;
  using BatchPtr = std::shared_ptr<Batch>;  // co-owned by the callbacks of its steps
  void EachSecond();
  void Look();
  void Pump();
  void PumpAfter(base::Duration delay);
  void ReadPage(const HintDeliveryCore::Page& page);
  int64_t AgeMaxMs(const membership::BucketProperties& bucket) const;
  base::WallTime SteadyWall() const;
  HintStep Judge(const Batch& batch, const replica::HintPage::Entry& hint) const;
  void Gather(const BatchPtr& batch);
  void OnRecord(const BatchPtr& batch, size_t index,
                base::Result<std::optional<std::string>> record);
  void TakeChunk(const BatchPtr& batch);
  void TakeHint(Batch* batch, size_t index);
  void Dispatch(const BatchPtr& batch);
  void DropOld(const BatchPtr& batch);
  void Send(const BatchPtr& batch, uint64_t member);
  void Finish(const BatchPtr& batch);
  void End(const BatchPtr& batch);
  template <typename Use>
  auto IfCurrent(Use use);

  env::Env env_;
  HintPort& port_;
  replica::HintReader& reader_;
  replica::HintBudget& budget_;
  telemetry::Metrics& metrics_;
  telemetry::LogSink& log_;
  Throttle throttle_;
  HintDeliveryCore core_;
  const base::Instant started_;
  const base::WallTime started_wall_;
  int64_t window_ms_ = 0;
  std::shared_ptr<const membership::View> view_;
  std::map<uint32_t, const membership::BucketProperties*> buckets_;  // of view_
  struct Rate {
    uint64_t bytes = 0;  // in this second
    double per_second = 0;
  };
  std::map<uint64_t, Rate> rates_;
  // Targets that refused a record, and why: theirs go one by one, so that it holds up no other.
  std::map<uint64_t, std::string> careful_;
  size_t read_ahead_ = 1;  // records
  env::TimerId second_ = 0;
  env::TimerId pump_ = 0;
  std::shared_ptr<uint64_t> life_;  // counts lives; watched by callbacks
};

}  // namespace lariat::repair

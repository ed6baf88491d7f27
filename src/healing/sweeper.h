// SPDX-License-Identifier: Apache-2.0
// The stability sweep of a node: asks the members on behalf of repair::Sweep, and answers when
// others sweep. Lives on shard 0 and is called on its thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/admin_service.h"
#include "healing/kept.h"
#include "healing/shards.h"
#include "peers/home.h"
#include "repair/sweep/sweep.h"
#include "replica/range_reader.h"

namespace lariat::healing {

class Sweeper final : public repair::SweepPort {
 public:
  // What a sweep has to do with the progress that members tell of.
  struct PastPorts {
    using StatusDone = base::UniqueFunction<void(base::Status)>;
    // Members that confirmed what is about to be purged. Done when that is durable; kConflict: one
    // of them was let in since with an older directory.
    std::function<void(const std::vector<wire::SweepRequest::Confirmed>&, StatusDone)> learn;
    // Before something is confirmed: done when a greater number of it lies in files.
    std::function<void(StatusDone)> confirm;
    struct Confirmed {
      uint64_t run = 0, confirmed = 0;
    };
    std::function<Confirmed()> confirmed;  // what this run may tell
  };
  struct Ports {
    // Those of the keys for which this node holds a hint (Handoff::FindHinted).
    using KeysDone = base::UniqueFunction<void(base::Result<std::vector<std::string>>)>;
    std::function<void(const std::vector<std::string>& data_keys, KeysDone)> find_hinted;
    // Joins records into this node's own (Handoff::Join).
    std::function<void(wire::RecordPush, base::UniqueFunction<void(wire::Body)>)> join;
    // Why this node may hold old records; empty: it does not.
    std::function<std::string()> unclean;
    PastPorts past;
  };
  Sweeper(Shards& shards, peers::Home& home, storage::Engine& engine, telemetry::LogSink& log,
          Ports ports);

  void OnView(std::shared_ptr<const membership::View> view);
  void Stop();
  void ApplySettings(const config::Settings& settings) { sweep_.ApplySettings(settings); }

  // From a member that works by the same view.
  void Serve(wire::HintsRequest request, HintsDone done);
  void Serve(wire::SweepRequest request, SweepDone done);
  void FillStatus(coordinator::SweepStatus* status) const;
  // In words; empty if the key has nothing that could go.
  using TextDone = base::UniqueFunction<void(std::string)>;
  void WhyKept(KeptQuestion question, TextDone done);

  // repair::SweepPort
  void Ask(const To& to, wire::HintsRequest request, HintsDone done) override;
  void Ask(const To& to, wire::SweepRequest request, SweepDone done) override;
  void FindLeaves(uint32_t bucket, LeavesDone done) override;
  void MakeEqual(uint64_t fence, Mend mend) override;
  bool IsAlive(uint64_t member) override;
  std::optional<base::Duration> ForegroundLatency() override;

 private:
  template <typename Reply, typename Request, typename Done>
  void AskMember(const To& to, Request request, Done done);
  template <typename Done>
  void Send(const To& to, wire::Body request, Done done);
  base::Status CheckKeys(const std::vector<wire::KeyDigest>& keys) const;
  uint64_t GraceOf(uint32_t bucket) const;
  using Object = base::Result<std::optional<std::string>>;  // nothing: there is none
  struct Reading;
  // A few at a time; `use` once for each, in any order, then `done`.
  void ReadOwn(std::vector<std::string> data_keys, std::function<void(size_t, Object)> use,
               base::UniqueFunction<void()> done);
  void ReadMore(const std::shared_ptr<Reading>& reading);
  struct Confirming;
  void Confirm(wire::SweepRequest request, SweepDone done);
  void Compare(const std::shared_ptr<Confirming>& confirming, base::UniqueFunction<void()> done);
  void Answer(Confirming& confirming, const base::Status& status);
  // ok: every record that was stored before the call lies in files.
  using StatusDone = base::UniqueFunction<void(const base::Status&)>;
  void Flushed(StatusDone done);
  void FlushSoon();
  void Change(wire::SweepRequest request, SweepDone done);
  void PushOwn(uint64_t fence, const Mend& mend);

  Shards& shards_;
  peers::Home& home_;
  storage::Engine& engine_;
  Ports ports_;
  replica::RangeReader reader_;
  repair::Sweep sweep_;
  std::shared_ptr<const membership::View> view_;
  size_t confirming_ = 0;
  std::vector<StatusDone> unflushed_;  // wait for the next flush
  bool flushing_ = false;              // one runs, or a timer for it does
  std::optional<base::Instant> flushed_;
  uint64_t latency_count_ = 0;
  base::Duration latency_sum_{};
};

}  // namespace lariat::healing

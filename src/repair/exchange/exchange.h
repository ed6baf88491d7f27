// SPDX-License-Identifier: Apache-2.0
// One comparison with another replica at a time, with its timers and its brake: the shell of
// ExchangeCore. Everything it needs from the node comes through ExchangePort.
//
// Threads: one thread, that of the Env given; callbacks of the port come on it too.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "env/env.h"
#include "repair/exchange/exchange_core.h"
#include "repair/progress_core.h"
#include "repair/throttle_core.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace lariat::repair {

class ExchangePort {
 public:
  virtual ~ExchangePort() = default;
  using BodyDone = base::UniqueFunction<void(base::Result<wire::Body>)>;
  // Asks the partner with this number, or this node itself. The same messages go to both sides:
  // TreeRequest, LeafRequest, FetchRequest, RecordPush. Answers exactly once, at once or later.
  virtual void Ask(Side side, uint64_t partner, wire::Body request, BodyDone done) = 0;
};

struct ExchangeProgress {
  ExchangeFigures figures;
  uint64_t bytes_sent = 0;
  uint64_t bytes_received = 0;
  double fraction = 0;
  double bytes_per_s = 0;  // sent and received, over the last seconds
  std::optional<double> left_s;
  std::string trouble;
  int64_t started_ms = 0;  // wall clock
};

class Exchange {
 public:
  struct Ended {
    ExchangePlan plan;
    ExchangeEnd end = ExchangeEnd::kFailed;
    std::string why;  // it is not complete
    ExchangeProgress progress;
  };
  using Done = base::UniqueFunction<void(Ended)>;

  // What is sent and received is taken out of the throttle, which others may share.
  Exchange(env::Env env, ExchangePort& port, Throttle& throttle, telemetry::Metrics& metrics,
           telemetry::LogSink& log);
  ~Exchange();

  // REQUIRES: none is running. `done` comes once, from the loop, unless Stop comes first.
  void Start(ExchangePlan plan, Done done);
  void Stop();

  bool Running() const { return core_ != nullptr; }
  const ExchangePlan* plan() const { return core_ ? &core_->plan() : nullptr; }
  ExchangeProgress Progress() const;
  // Whether an object of this key, perhaps an old one by now, may be on its way to a replica. One
  // of a comparison that ended early may be so for a minute. Whoever forgets a delete asks first.
  bool IsInHand(const std::string& data_key) const;

 private:
  void SchedulePump();
  void Pump();
  void Ask(ExchangeCore::Ask ask);
  void OnReply(uint64_t ticket, Side side, base::Result<wire::Body> reply);
  void ArmTimer();
  void OnTimer();
  void CountNews();
  void Finish();
  // `use`, unless another comparison has begun or this object is gone by then.
  template <typename Use>
  auto IfCurrent(Use use);

  env::Env env_;
  ExchangePort& port_;
  telemetry::Metrics& metrics_;
  telemetry::LogSink& log_;
  Throttle& throttle_;
  std::unique_ptr<ExchangeCore> core_;
  Done done_;
  ProgressMeter meter_;
  uint64_t bytes_sent_ = 0;
  uint64_t bytes_received_ = 0;
  int64_t started_ms_ = 0;
  ExchangeFigures counted_;
  std::set<std::string> left_in_hand_;  // of the last comparison that ended early
  base::Instant left_until_{};
  bool pump_scheduled_ = false;
  env::TimerId timer_ = 0;
  base::Instant second_began_{};
  std::shared_ptr<uint64_t> life_;  // counts comparisons; watched by callbacks
};

}  // namespace lariat::repair

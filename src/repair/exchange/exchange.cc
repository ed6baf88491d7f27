// SPDX-License-Identifier: Apache-2.0
#include "repair/exchange/exchange.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "repair/exchange/message_size.h"

namespace lariat::repair {

using telemetry::LogLevel;

namespace {

constexpr base::Duration kExchangeTick = base::Millis(50);
// Longer than a message that was given up is still under way.
constexpr base::Duration kLeftInHand = base::Seconds(60);

std::string_view EndText(ExchangeEnd end) {
  switch (end) {
    case ExchangeEnd::kComplete:
      return "complete";
    case ExchangeEnd::kIncomplete:
      return "not complete";
    case ExchangeEnd::kStale:
      return "ended by a change of the topology";
    default:
      return "failed";
  }
}

}  // namespace

Exchange::Exchange(env::Env env, ExchangePort& port, Throttle& throttle,
                   telemetry::Metrics& metrics, telemetry::LogSink& log)
    : env_(env),
      port_(port),
      metrics_(metrics),
      log_(log),
      throttle_(throttle),
      life_(std::make_shared<uint64_t>(0)) {}

Exchange::~Exchange() { env_.timers.Cancel(timer_); }

template <typename Use>
auto Exchange::IfCurrent(Use use) {
  return [watch = std::weak_ptr<uint64_t>(life_), life = *life_,
          use = std::move(use)](auto&&... answer) mutable {
    const auto now = watch.lock();
    if (now && *now == life) use(std::forward<decltype(answer)>(answer)...);
  };
}

void Exchange::Start(ExchangePlan plan, Done done) {
  LARIAT_CHECK(!core_, "one comparison at a time");
  ++*life_;
  core_ = std::make_unique<ExchangeCore>(std::move(plan), ExchangeOptions{});
  done_ = std::move(done);
  meter_ = {};
  counted_ = {};
  bytes_sent_ = bytes_received_ = 0;
  pump_scheduled_ = false;
  started_ms_ = env_.clock.Wall().ms;
  second_began_ = env_.clock.Now();
  metrics_.repair_sessions.Add();
  SchedulePump();
  ArmTimer();
}

void Exchange::Stop() {
  ++*life_;
  const base::Instant now = env_.clock.Now();
  if (now >= left_until_) left_in_hand_.clear();
  if (core_ && !core_->KeysInHand().empty()) {
    for (std::string& key : core_->KeysInHand()) left_in_hand_.insert(std::move(key));
    left_until_ = now + kLeftInHand;
  }
  core_.reset();
  done_ = {};
  pump_scheduled_ = false;
  env_.timers.Cancel(std::exchange(timer_, 0));
}

void Exchange::SchedulePump() {
  if (std::exchange(pump_scheduled_, true)) return;
  env_.executor.Post(IfCurrent([this] {
    pump_scheduled_ = false;
    Pump();
  }));
}

void Exchange::Pump() {
  const base::Instant now = env_.clock.Now();
  if (core_->end() != ExchangeEnd::kRunning) return Finish();
  if (!throttle_.MayGo(now)) return;  // the timer looks again
  for (ExchangeCore::Ask& ask : core_->Next(now)) Ask(std::move(ask));
  CountNews();
  if (core_->end() != ExchangeEnd::kRunning) Finish();
}

void Exchange::Ask(ExchangeCore::Ask ask) {
  if (ask.side == Side::kTheirs) {
    const uint64_t bytes = MessageBytes(ask.request);
    throttle_.Take(bytes, env_.clock.Now());
    bytes_sent_ += bytes;
    metrics_.repair_bytes_sent.Add(bytes);
  }
  port_.Ask(ask.side, core_->plan().partner, std::move(ask.request),
            IfCurrent([this, ticket = ask.ticket, side = ask.side](base::Result<wire::Body> reply) {
              OnReply(ticket, side, std::move(reply));
            }));
}

void Exchange::OnReply(uint64_t ticket, Side side, base::Result<wire::Body> reply) {
  if (reply && side == Side::kTheirs) {
    const uint64_t bytes = MessageBytes(*reply);
    throttle_.Take(bytes, env_.clock.Now());
    bytes_received_ += bytes;
    metrics_.repair_bytes_received.Add(bytes);
  }
  core_->OnReply(ticket, std::move(reply), env_.clock.Now());
  SchedulePump();
}

void Exchange::ArmTimer() {
  timer_ = env_.timers.After(kExchangeTick, IfCurrent([this] { OnTimer(); }));
}

void Exchange::OnTimer() {
  const base::Instant now = env_.clock.Now();
  SchedulePump();
  ArmTimer();
  if (now - second_began_ < base::Seconds(1)) return;
  second_began_ = now;
  meter_.Note(bytes_sent_ + bytes_received_, core_->Fraction(), now);
}

// What was received is counted where it is written.
void Exchange::CountNews() {
  const ExchangeFigures figures = core_->figures();
  metrics_.repair_hashes.Add(figures.hashes_compared - counted_.hashes_compared);
  metrics_.repair_keys_compared.Add(figures.keys_listed - counted_.keys_listed);
  metrics_.repair_keys_sent.Add(figures.keys_sent - counted_.keys_sent);
  metrics_.repair_keys_left.Add(figures.keys_damaged - counted_.keys_damaged);
  counted_ = figures;
}

void Exchange::Finish() {
  CountNews();
  Ended ended = {core_->plan(), core_->end(), core_->why(), Progress()};
  Done done = std::move(done_);
  Stop();
  const ExchangeFigures& figures = ended.progress.figures;
  if (ended.end == ExchangeEnd::kFailed) metrics_.repair_sessions_failed.Add();
  const bool news =
      ended.end != ExchangeEnd::kComplete || figures.keys_received > 0 || figures.keys_sent > 0;
  log_.Log(news ? LogLevel::kInfo : LogLevel::kDebug, "repair",
           "comparison with {}, bucket {:08x}: {}{}{}; {} records received, {} sent, {} bytes sent",
           ended.plan.partner_name, ended.plan.bucket, EndText(ended.end),
           ended.why.empty() ? "" : ": ", ended.why, figures.keys_received, figures.keys_sent,
           ended.progress.bytes_sent);
  done(std::move(ended));
}

bool Exchange::IsInHand(const std::string& data_key) const {
  if (env_.clock.Now() < left_until_ && left_in_hand_.contains(data_key)) return true;
  if (!core_) return false;
  const std::vector<std::string> keys = core_->KeysInHand();
  return std::binary_search(keys.begin(), keys.end(), data_key);
}

ExchangeProgress Exchange::Progress() const {
  ExchangeProgress progress;
  if (!core_) return progress;
  const base::Instant now = env_.clock.Now();
  progress.figures = core_->figures();
  progress.bytes_sent = bytes_sent_;
  progress.bytes_received = bytes_received_;
  progress.fraction = core_->Fraction();
  progress.bytes_per_s = meter_.BytesPerSecond(now);
  progress.left_s = meter_.SecondsLeft(progress.fraction, now);
  progress.trouble = core_->why();
  progress.started_ms = started_ms_;
  return progress;
}

}  // namespace lariat::repair

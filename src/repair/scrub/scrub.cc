// SPDX-License-Identifier: Apache-2.0
#include "repair/scrub/scrub.h"

#include <fmt/format.h>

#include <utility>

namespace lariat::repair {

using base::Code;
using telemetry::LogLevel;

namespace {

constexpr const char* kName = "scrub";  // of the stored position
constexpr base::Duration kTurn = base::Millis(50);
constexpr base::Duration kStoreEvery = base::Seconds(60);
constexpr base::Duration kSoon = base::Seconds(1);
constexpr base::Duration kLater = base::Seconds(30);

}  // namespace

Scrub::Scrub(env::Env env, ScrubPort& port, replica::MetaStore& meta, telemetry::Metrics& metrics,
             telemetry::LogSink& log)
    : env_(env),
      port_(port),
      meta_(meta),
      metrics_(metrics),
      log_(log),
      throttle_({}),
      alive_(std::make_shared<bool>(true)) {}

Scrub::~Scrub() = default;

template <typename Use>
auto Scrub::WhileAlive(Use use) {
  return [use = std::move(use), alive = std::weak_ptr<bool>(alive_)](auto&&... answer) mutable {
    if (!alive.expired()) use(std::forward<decltype(answer)>(answer)...);
  };
}

void Scrub::Start() {
  asked_ = true;
  stored_ = env_.clock.Now();
  meta_.List(kName, WhileAlive([this](base::Result<replica::MetaStore::Values> values) {
               asked_ = false;
               for (const auto& [name, value] : values ? *values : replica::MetaStore::Values()) {
                 const auto position = DecodeScrubPosition(value);
                 if (name == kName && position) core_.Restore(*position);
               }
               EachTurn();
             }));
}

void Scrub::SetRate(uint64_t bytes_per_s) {
  rate_ = bytes_per_s;
  throttle_.SetOptions({.bytes_per_s = bytes_per_s});
}

void Scrub::Retry() {
  for (auto& [key, damage] : damaged_) damage.not_before = env_.clock.Now();
}

void Scrub::EachTurn() {
  env_.timers.After(kTurn, WhileAlive([this] { EachTurn(); }));
  Refill();
  Walk();
}

// --- walking -----------------------------------------------------------------------------------

void Scrub::Walk() {
  const base::Instant now = env_.clock.Now();
  if (asked_ || rate_ == 0 || !throttle_.MayGo(now)) return;
  const ScrubCore::Step step = core_.Next(now);
  if (step.kind == ScrubCore::Kind::kRest) return;
  asked_ = true;
  // An answer may come before the call returns: the next step is a turn of its own.
  const auto go_on = [this] {
    asked_ = false;
    env_.executor.Post(WhileAlive([this] { Walk(); }));
  };
  if (step.kind == ScrubCore::Kind::kBuckets) {
    return port_.FindBuckets(WhileAlive([this, go_on](base::Result<std::vector<uint32_t>> buckets) {
      if (!buckets) {
        asked_ = false;  // the next turn asks again
        return;
      }
      const bool was_resting = core_.position().resting;
      core_.OnBuckets(std::move(*buckets), env_.clock.Now(), env_.clock.Wall());
      if (was_resting) unread_.clear();
      if (core_.position().resting) EndPass();
      go_on();
    }));
  }
  if (step.kind == ScrubCore::Kind::kLeaves) {
    return port_.FindLeaves(step.bucket, step.first, step.last,
                            WhileAlive([this, go_on](const std::vector<bool>& worth_reading) {
                              core_.OnLeaves(worth_reading, env_.clock.Now(), env_.clock.Wall());
                              if (core_.position().resting) EndPass();
                              go_on();
                            }));
  }
  port_.Check(step.bucket, step.first,
              WhileAlive([this, step, go_on](base::Result<ScrubbedLeaf> result) {
                OnChecked(step.bucket, step.first, std::move(result));
                go_on();
              }));
}

void Scrub::OnChecked(uint32_t bucket, uint32_t leaf, base::Result<ScrubbedLeaf> result) {
  const base::Instant now = env_.clock.Now();
  throttle_.Take(kLeafBytes + (result ? result->bytes : 0), now);
  // The disk is busy: the same leaf again.
  if (!result && result.error().code == Code::kOverloaded) return;
  if (result) {
    metrics_.scrub_bytes.Add(result->bytes);
    for (ScrubFinding& finding : result->damaged) Note(std::move(finding));
  } else if (unread_.empty()) {
    unread_ = fmt::format("leaf {} of bucket {} cannot be read: {}", leaf, port_.BucketName(bucket),
                          result.error().message);
    log_.Log(LogLevel::kError, "scrub", "{}", unread_);
  }
  if (core_.OnChecked(result.has_value(), now, env_.clock.Wall())) {
    EndPass();
  } else if (now - stored_ >= kStoreEvery) {
    Store();
  }
}

void Scrub::EndPass() {
  unread_last_ = std::exchange(unread_, {});
  if (core_.position().whole) metrics_.scrub_passes.Add();
  Store();
}

void Scrub::Store() {
  stored_ = env_.clock.Now();
  meta_.Apply({{kName, EncodeScrubPosition(core_.position())}}, [](const base::Status&) {});
}

// --- refilling ---------------------------------------------------------------------------------

void Scrub::Note(ScrubFinding finding) {
  const auto known = damaged_.find(finding.data_key);
  if (known != damaged_.end()) {
    known->second.bytes = std::move(finding.bytes);
    return;
  }
  if (damaged_.size() >= kDamagedMax) return;
  ++found_;
  metrics_.scrub_damaged.Add();
  log_.Log(LogLevel::kError, "scrub", "a stored record is damaged: {}: {}",
           port_.NameOf(finding.data_key), finding.cause);
  damaged_[std::move(finding.data_key)] = {std::move(finding.bytes), env_.clock.Now(), ""};
}

void Scrub::Refill() {
  if (refilling_) return;
  const base::Instant now = env_.clock.Now();
  for (const auto& [data_key, damage] : damaged_) {
    if (now < damage.not_before) continue;
    refilling_ = true;
    return port_.AskOthers(
        data_key,
        WhileAlive([this, data_key = data_key](base::Result<std::vector<RefillAnswer>> answers) {
          OnAnswers(data_key, std::move(answers));
        }));
  }
}

void Scrub::OnAnswers(const std::string& data_key,
                      base::Result<std::vector<RefillAnswer>> answers) {
  if (!answers) return Postpone(data_key, answers.error().message, kLater);
  RefillVerdict verdict = JudgeRefill(*answers);
  if (verdict.kind != RefillVerdict::Kind::kRefill) {
    return Postpone(data_key, std::move(verdict.why), kLater);
  }
  port_.Replace(
      data_key, damaged_[data_key].bytes, std::move(verdict.object),
      WhileAlive([this, data_key](const base::Status& status) { OnReplaced(data_key, status); }));
}

void Scrub::OnReplaced(const std::string& data_key, const base::Status& status) {
  // Another record by now: somebody else has replaced or removed it.
  if (!status && status.error().code != Code::kConflict) {
    return Postpone(data_key, status.error().message, kSoon);
  }
  if (status) {
    ++refilled_;
    metrics_.scrub_refilled.Add();
    log_.Log(LogLevel::kWarn, "scrub", "a damaged record was replaced by what the others hold: {}",
             port_.NameOf(data_key));
  }
  damaged_.erase(data_key);
  refilling_ = false;
  env_.executor.Post(WhileAlive([this] { Refill(); }));
}

void Scrub::Postpone(const std::string& data_key, std::string why, base::Duration pause) {
  Damage& damage = damaged_[data_key];
  if (damage.why != why) {
    log_.Log(LogLevel::kError, "scrub", "a damaged record stays as it is for now: {}: {}",
             port_.NameOf(data_key), why);
  }
  damage.why = std::move(why);
  damage.not_before = env_.clock.Now() + pause;
  refilling_ = false;
}

ScrubStatus Scrub::Status() const {
  ScrubStatus status;
  status.fraction = core_.Fraction();
  status.last_ms = core_.position().last_ms;
  status.damaged = found_;
  status.refilled = refilled_;
  if (rate_ == 0) status.trouble = "it is switched off (repair.scrub_bytes_per_s)";
  const std::string& unread = unread_.empty() ? unread_last_ : unread_;
  if (!unread.empty()) status.trouble = unread;
  for (const auto& [data_key, damage] : damaged_) {
    if (damage.why.empty()) continue;
    status.trouble = fmt::format("{} damaged records cannot be refilled, among them {}: {}",
                                 damaged_.size(), port_.NameOf(data_key), damage.why);
    break;
  }
  return status;
}

}  // namespace lariat::repair

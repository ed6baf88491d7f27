// SPDX-License-Identifier: Apache-2.0
#include "repair/transfer.h"

#include <utility>

#include "base/check.h"

namespace lariat::repair {

using telemetry::LogLevel;

namespace {

constexpr base::Duration kTransferTick = base::Millis(100);

TransferOptions TransferOptionsOf(const config::Settings& settings) {
  TransferOptions options;
  options.parallel = static_cast<size_t>(settings.stream_parallel);
  options.page_bytes = static_cast<uint32_t>(settings.stream_page_bytes);
  options.throttle.bytes_per_s = static_cast<uint64_t>(settings.stream_max_bytes_per_s);
  options.throttle.latency_max = base::Millis(settings.stream_latency_ms);
  return options;
}

}  // namespace

Transfer::Transfer(env::Env env, TransferPort& port, telemetry::Metrics& metrics,
                   telemetry::LogSink& log, const config::Settings& settings)
    : env_(env), port_(port), metrics_(metrics), log_(log), life_(std::make_shared<uint64_t>(0)) {
  ApplySettings(settings);
}

Transfer::~Transfer() { env_.timers.Cancel(timer_); }

void Transfer::ApplySettings(const config::Settings& settings) {
  options_ = TransferOptionsOf(settings);
  timeout_ = base::Millis(settings.stream_timeout_ms);
  if (core_) core_->SetOptions(options_);
}

template <typename Use>
auto Transfer::IfCurrent(Use use) {
  return [watch = std::weak_ptr<uint64_t>(life_), life = *life_,
          use = std::move(use)](auto&&... answer) mutable {
    const auto now = watch.lock();
    if (now && *now == life) use(std::forward<decltype(answer)>(answer)...);
  };
}

// --- beginning and ending ----------------------------------------------------------------------

void Transfer::Start(TransferPlan plan, bool anew) {
  if (core_ && core_->change() == plan.change) return;
  anew_ = anew;
  ++*life_;
  log_.Log(LogLevel::kInfo, "repair", "change {}: {} ranges to receive", plan.change,
           plan.streams.size());
  if (plan.lost > 0) {
    log_.Log(LogLevel::kError, "repair",
             "change {}: nobody can give {} ranges: all members that held them are gone",
             plan.change, plan.lost);
  }
  core_ = std::make_unique<TransferCore>(std::move(plan), options_, env_.clock.Now());
  clean_ = loading_ = loaded_ = told_finished_ = pump_scheduled_ = false;
  counted_ = {};
  told_trouble_.clear();
  second_began_ = env_.clock.Now();
  Load();
  ArmTimer();
}

void Transfer::Stop() {
  if (!core_ && clean_) return;
  ++*life_;
  core_.reset();
  clean_ = true;
  loading_ = loaded_ = pump_scheduled_ = false;
  env_.timers.Cancel(std::exchange(timer_, 0));
  metrics_.streams_running.Set(0);
  Load();
}

void Transfer::Load() {
  loading_ = true;
  port_.LoadCursors(
      std::string(kCursorPrefix), IfCurrent([this](base::Result<TransferPort::Values> values) {
        loading_ = false;
        if (values) return OnLoaded(*values);
        load_trouble_ = "cursors cannot be read here (" + values.error().message + ")";
        clean_ = false;
      }));
}

void Transfer::OnLoaded(const TransferPort::Values& values) {
  load_trouble_.clear();
  std::vector<std::string> useless;
  for (const auto& [name, bytes] : values) {
    if (!core_ || anew_ || !core_->Restore(name, bytes)) useless.push_back(name);
  }
  const bool wait = core_ && anew_ && !useless.empty();  // before new ones of the same names
  DeleteCursors(std::move(useless));
  if (!core_ || wait) return;
  loaded_ = true;
  SchedulePump();
}

void Transfer::DeleteCursors(std::vector<std::string> names) {
  if (names.empty()) return;
  std::vector<TransferPort::CursorUpdate> updates;
  updates.reserve(names.size());
  for (std::string& name : names) updates.push_back({std::move(name), std::nullopt});
  port_.SaveCursors(std::move(updates), IfCurrent([this](const base::Status& status) {
                      if (!status) clean_ = false;              // the next Stop tries again
                      if (status && core_ && !loaded_) Load();  // to see that they are gone
                    }));
}

// --- going on ----------------------------------------------------------------------------------

void Transfer::SchedulePump() {
  if (std::exchange(pump_scheduled_, true)) return;
  env_.executor.Post(IfCurrent([this] {
    pump_scheduled_ = false;
    Pump();
  }));
}

void Transfer::Pump() {
  if (!core_ || !loaded_) return;
  auto actions = core_->Next(env_.clock.Now());
  for (auto& ask : actions.asks) Ask(std::move(ask));
  for (auto& write : actions.writes) Write(std::move(write));
  if (!actions.saves.empty()) Save(std::move(actions.saves));
  CountNews();
  if (core_->Finished()) TellNews();
}

void Transfer::Ask(TransferCore::Ask ask) {
  port_.Pull(ask.source, std::move(ask.request), timeout_,
             IfCurrent([this, stream = ask.stream,
                        ticket = ask.ticket](base::Result<wire::RangePage> page) {
               core_->OnPage(stream, ticket, std::move(page), env_.clock.Now());
               SchedulePump();
             }));
}

void Transfer::Write(TransferCore::Write write) {
  const auto key = ParseRecordKey(write.key);
  LARIAT_CHECK(key.has_value(), "the core checks the keys of a page");
  port_.WriteLocal(
      {key->bucket, key->token, std::string(key->key), std::move(write.object)},
      IfCurrent([this, stream = write.stream, ticket = write.ticket](const base::Status& status) {
        core_->OnWritten(stream, ticket, status, env_.clock.Now());
        SchedulePump();
      }));
}

void Transfer::Save(std::vector<TransferCore::Save> saves) {
  std::vector<TransferPort::CursorUpdate> updates;
  updates.reserve(saves.size());
  for (auto& save : saves) updates.push_back({std::move(save.name), std::move(save.cursor)});
  port_.SaveCursors(std::move(updates), IfCurrent([this](const base::Status& status) {
                      core_->OnSaved(status, env_.clock.Now());
                      SchedulePump();
                    }));
}

void Transfer::ArmTimer() {
  env_.timers.Cancel(timer_);
  timer_ = env_.timers.After(kTransferTick, IfCurrent([this] { OnTimer(); }));
}

void Transfer::OnTimer() {
  timer_ = 0;
  const base::Instant now = env_.clock.Now();
  if (!loaded_ && !loading_) Load();
  SchedulePump();
  if (!told_finished_) ArmTimer();
  if (now - second_began_ < base::Seconds(1)) return;
  second_began_ = now;
  core_->OnLatency(port_.ForegroundLatency(), now);
  TellNews();
}

// --- telling -----------------------------------------------------------------------------------

void Transfer::CountNews() {
  const TransferCore::Counts& counts = core_->counts();
  metrics_.stream_bytes.Add(counts.bytes - counted_.bytes);
  metrics_.stream_keys.Add(counts.keys - counted_.keys);
  metrics_.stream_pages_refused.Add(counts.refused - counted_.refused);
  metrics_.stream_retries.Add(counts.retries - counted_.retries);
  metrics_.streams_running.Set(static_cast<int64_t>(counts.running));
  counted_ = counts;
}

// Last in whatever calls it: the owner may stop the transfer.
void Transfer::TellNews() {
  const TransferProgress progress = Progress();
  if (told_finished_ == progress.finished && told_trouble_ == progress.trouble) return;
  if (progress.finished) {
    log_.Log(LogLevel::kInfo, "repair", "change {}: all ranges are here, {} records, {} bytes",
             progress.change, progress.keys, progress.bytes);
  } else if (!progress.trouble.empty()) {
    log_.Log(LogLevel::kWarn, "repair", "change {}: {}", progress.change, progress.trouble);
  }
  told_finished_ = progress.finished;
  told_trouble_ = progress.trouble;
  port_.OnTransferChanged();
}

TransferProgress Transfer::Progress() const {
  TransferProgress progress;
  if (!core_) return progress;
  progress = core_->Progress(env_.clock.Now());
  if (!loaded_) {
    progress.finished = false;
    progress.trouble = load_trouble_;
  }
  return progress;
}

}  // namespace lariat::repair

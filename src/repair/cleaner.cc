// SPDX-License-Identifier: Apache-2.0
#include "repair/cleaner.h"

#include <algorithm>
#include <utility>

namespace lariat::repair {

using telemetry::LogLevel;

namespace {

constexpr size_t kCleanPageBytes = 256 << 10;
constexpr size_t kCleanPageEntries = 512;
constexpr base::Duration kCleanPause = base::Millis(50);
constexpr base::Duration kCleanFailurePause = base::Seconds(1);

ThrottleOptions CleanThrottle(const config::Settings& settings) {
  ThrottleOptions options;
  options.bytes_per_s = static_cast<uint64_t>(settings.stream_clean_bytes_per_s);
  return options;
}

}  // namespace

Cleaner::Cleaner(env::Env env, CleanerPort& port, replica::RangeReader& reader, Books books,
                 telemetry::LogSink& log, const config::Settings& settings)
    : env_(env),
      port_(port),
      reader_(reader),
      books_(books),
      log_(log),
      throttle_(CleanThrottle(settings)),
      life_(std::make_shared<uint64_t>(0)) {}

Cleaner::~Cleaner() { env_.timers.Cancel(timer_); }

void Cleaner::ApplySettings(const config::Settings& settings) {
  throttle_.SetOptions(CleanThrottle(settings));
}

template <typename Use>
auto Cleaner::IfCurrent(Use use) {
  return [watch = std::weak_ptr<uint64_t>(life_), life = *life_,
          use = std::move(use)](auto&&... answer) mutable {
    const auto now = watch.lock();
    if (now && *now == life) use(std::forward<decltype(answer)>(answer)...);
  };
}

void Cleaner::Start(CleanerPlan plan) {
  if (started_fence_ == plan.fence) return;
  Stop();
  started_fence_ = plan.fence;
  removed_ = 0;
  core_ = std::make_unique<CleanerCore>(std::move(plan));
  StepAfter({});
}

void Cleaner::Stop() {
  ++*life_;
  env_.timers.Cancel(std::exchange(timer_, 0));
  core_.reset();
  started_fence_.reset();
}

void Cleaner::StepAfter(base::Duration delay) {
  env_.timers.Cancel(timer_);
  timer_ = env_.timers.After(delay, IfCurrent([this] {
                               timer_ = 0;
                               Step();
                             }));
}

void Cleaner::Step() {
  const auto place = core_->Next();
  if (!place) {
    if (removed_ > 0) {
      log_.Log(LogLevel::kInfo, "repair", "{} {} are removed", removed_, books_.what);
    }
    finished_fence_ = core_->fence();
    core_.reset();
    return;
  }
  if (!throttle_.MayGo(env_.clock.Now())) return StepAfter(kCleanPause);
  replica::PageOptions options;
  options.bytes_max = kCleanPageBytes;
  options.entries_max = kCleanPageEntries;
  options.keys_only = true;
  reader_.Next(
      {place->item.bucket, place->item.range}, place->after, options,
      IfCurrent([this](base::Result<replica::RecordPage> page) { OnPage(std::move(page)); }));
}

void Cleaner::OnPage(base::Result<replica::RecordPage> page) {
  if (!page) return OnFailure(page.error());
  if (page->records.empty()) return OnRemoved(std::move(*page), std::vector<std::string>());
  std::vector<std::string> keys;
  keys.reserve(page->records.size());
  for (const auto& record : page->records) keys.push_back(record.key);
  port_.Remove(core_->fence(), std::move(keys),
               IfCurrent([this, page = std::move(*page)](
                             base::Result<std::vector<std::string>> skipped) mutable {
                 OnRemoved(std::move(page), std::move(skipped));
               }));
}

void Cleaner::OnRemoved(replica::RecordPage page, base::Result<std::vector<std::string>> skipped) {
  if (!skipped) return OnFailure(skipped.error());
  std::sort(skipped->begin(), skipped->end());
  uint64_t records = 0;
  uint64_t bytes = 0;
  for (const auto& record : page.records) {
    if (std::binary_search(skipped->begin(), skipped->end(), record.key)) continue;
    ++records;
    bytes += record.bytes;
  }
  books_.records.Add(records);
  books_.bytes.Add(bytes);
  removed_ += records;
  throttle_.Take(bytes, env_.clock.Now());
  core_->OnPage(std::move(page.last_key), page.done, !skipped->empty());
  // Whoever works on the skipped records gets time to finish.
  if (!skipped->empty()) return StepAfter(kCleanFailurePause);
  Step();
}

void Cleaner::OnFailure(const base::Error& error) {
  if (error.code == base::Code::kStaleEpoch) return Stop();  // there is a new document
  log_.Log(LogLevel::kWarn, "repair", "{} stay for now: {}", books_.what, error.message);
  StepAfter(kCleanFailurePause);
}

}  // namespace lariat::repair

// SPDX-License-Identifier: Apache-2.0
#include "repair/sweep/sweep.h"

#include <algorithm>
#include <utility>

#include "repair/stream.h"

namespace lariat::repair {

using telemetry::LogLevel;
using wire::SweepStep;

static_assert(kSweepBlocks == static_cast<size_t>(telemetry::SweepBlock::kCount));

namespace {

constexpr size_t kBatchKeys = 256;
// Each replica reads them.
constexpr uint64_t kSweepBatchBytes = 4 << 20;
// Proofs that wait at the same time, and so the keys that can be dealt with in two pauses.
constexpr size_t kBatchesMax = 128;
constexpr size_t kSweepPageBytes = 256 << 10;
constexpr size_t kSweepPageEntries = 1024;
// A replica may have to write a file before it confirms.
constexpr base::Duration kAskTimeout = base::Seconds(20);
constexpr base::Duration kSweepPause = base::Millis(50);
constexpr base::Duration kSweepFailurePause = base::Seconds(1);
// After a new topology: members learn of it one by one.
constexpr base::Duration kDuePause = base::Seconds(2);

ThrottleOptions SweepThrottle(const config::Settings& settings) {
  ThrottleOptions options;
  options.bytes_per_s = static_cast<uint64_t>(settings.repair_max_bytes_per_s);
  options.latency_max = base::Millis(settings.repair_latency_ms);
  return options;
}

telemetry::SweepBlock LabelOf(size_t block) { return static_cast<telemetry::SweepBlock>(block); }

}  // namespace

Sweep::Sweep(env::Env env, SweepPort& port, replica::RangeReader& reader,
             telemetry::Metrics& metrics, telemetry::LogSink& log, const config::Settings& settings)
    : env_(env),
      port_(port),
      reader_(reader),
      metrics_(metrics),
      log_(log),
      prng_(env.entropy.Next()),
      throttle_(SweepThrottle(settings)),
      interval_(base::Seconds(settings.repair_purge_interval_s)),
      times_{.settle = base::Millis(settings.repair_settle_ms)},
      life_(std::make_shared<uint64_t>(0)) {}

Sweep::~Sweep() {
  for (const env::TimerId timer : {start_timer_, walk_timer_, batch_timer_, latency_timer_}) {
    env_.timers.Cancel(timer);
  }
}

void Sweep::ApplySettings(const config::Settings& settings) {
  throttle_.SetOptions(SweepThrottle(settings));
  times_.settle = base::Millis(settings.repair_settle_ms);
  const auto interval = base::Seconds(settings.repair_purge_interval_s);
  if (std::exchange(interval_, interval) == interval) return;
  if (plan_ && !running_) StartAfter(Jittered(interval_));
}

template <typename Use>
auto Sweep::IfCurrent(Use use) {
  return [watch = std::weak_ptr<uint64_t>(life_), life = *life_,
          use = std::move(use)](auto&&... answer) mutable {
    const auto now = watch.lock();
    if (now && *now == life) use(std::forward<decltype(answer)>(answer)...);
  };
}

// --- when ----------------------------------------------------------------------------------------

void Sweep::SetPlan(SweepPlan plan) {
  const bool same = plan_ && plan_->fence == plan.fence;
  plan_ = std::move(plan);
  if (same) return;
  if (running_) {
    End();
    due_ = true;
  }
  if (due_) return StartAfter(kDuePause);
  // Any time within an interval: nodes that were started together do not sweep together.
  if (!next_) StartAfter(interval_ * static_cast<int64_t>(1 + prng_.Below(1000)) / 1000);
}

void Sweep::Pause() {
  due_ = due_ || running_ != nullptr;
  plan_.reset();
  End();
}

base::Duration Sweep::Jittered(base::Duration interval) {
  return interval * static_cast<int64_t>(900 + prng_.Below(200)) / 1000;
}

void Sweep::StartAfter(base::Duration delay) {
  env_.timers.Cancel(start_timer_);
  next_ = env_.clock.Now() + delay;
  start_timer_ = env_.timers.After(delay, [this] {
    start_timer_ = 0;
    Start();
  });
}

std::optional<base::Duration> Sweep::NextIn() const {
  if (!plan_ || running_ || !next_) return std::nullopt;
  return std::max(base::Duration{}, *next_ - env_.clock.Now());
}

void Sweep::Start() {
  if (running_) return;
  due_ = !plan_;
  if (!plan_) return;
  running_ = std::make_unique<Run>();
  running_->plan = *plan_;
  MeasureLatency();
  WalkSoon({});
}

// Whatever is under way is forgotten.
void Sweep::End() {
  ++*life_;
  for (env::TimerId* timer : {&walk_timer_, &batch_timer_, &latency_timer_}) {
    env_.timers.Cancel(std::exchange(*timer, 0));
  }
  running_.reset();
}

void Sweep::Finish() {
  const Run& run = *running_;
  figures_.ended = env_.clock.Wall();
  figures_.tombstones = run.tombstones;
  figures_.blocked = run.blocked;
  for (size_t i = 0; i < kSweepBlocks; ++i) {
    metrics_.tombstones_blocked[LabelOf(i)].Set(static_cast<int64_t>(run.blocked[i]));
  }
  const int64_t now_ms = env_.clock.Wall().ms;
  const int64_t oldest_ms = std::clamp<int64_t>(run.oldest_ms, 0, now_ms);
  metrics_.sweep_oldest_blocked_s.Set((now_ms - oldest_ms) / 1000);
  metrics_.sweeps.Add();
  End();
  StartAfter(Jittered(interval_));
}

void Sweep::MeasureLatency() {
  throttle_.OnLatency(port_.ForegroundLatency(), env_.clock.Now());
  latency_timer_ = env_.timers.After(base::Seconds(1), IfCurrent([this] { MeasureLatency(); }));
}

// --- finding candidates --------------------------------------------------------------------------

void Sweep::WalkSoon(base::Duration delay) {
  env_.timers.Cancel(walk_timer_);
  walk_timer_ = env_.timers.After(delay, IfCurrent([this] {
                                    walk_timer_ = 0;
                                    Walk();
                                  }));
}

// Whether there is a part to read; otherwise the walk has ended or the leaves are being looked up.
bool Sweep::NextPart() {
  Run& run = *running_;
  while (run.parts.empty()) {
    if (run.item_begun) ++run.item;
    run.item_begun = false;
    if (run.item == run.plan.items.size()) {
      run.walked = true;
      for (auto& [group, gathered] : std::exchange(run.gathered, {})) {
        StartBatch(group, std::move(gathered.keys));
      }
      return false;
    }
    const SweepPlan::Item& item = run.plan.items[run.item];
    if (run.bucket != item.bucket) {
      run.looking = true;
      port_.FindLeaves(item.bucket,
                       IfCurrent([this, bucket = item.bucket](SweepPort::Leaves leaves) {
                         running_->looking = false;
                         running_->bucket = bucket;
                         running_->tombstones += leaves.tombstones;
                         running_->leaves = std::move(leaves);
                         WalkSoon({});
                       }));
      return false;
    }
    run.item_begun = true;
    const auto alive = [this](uint64_t member) { return port_.IsAlive(member); };
    if (std::any_of(item.before.begin(), item.before.end(), alive)) continue;
    const auto parts = PartsIn(item.range, run.leaves.worth_reading);
    run.parts.assign(parts.begin(), parts.end());
  }
  return true;
}

void Sweep::Walk() {
  Run& run = *running_;
  if (run.walked) {
    if (run.batches.empty()) Finish();
    return;
  }
  // Whoever ends a batch, or brings what was looked up, goes on.
  if (run.looking || run.batches.size() >= kBatchesMax) return;
  if (!throttle_.MayGo(env_.clock.Now())) return WalkSoon(kSweepPause);
  if (!NextPart()) {
    if (run.walked) WalkSoon({});
    return;
  }
  run.looking = true;
  replica::PageOptions options;
  options.bytes_max = kSweepPageBytes;
  options.entries_max = kSweepPageEntries;
  reader_.Next(
      {run.plan.items[run.item].bucket, run.parts.front()}, run.after, options,
      IfCurrent([this](base::Result<replica::RecordPage> page) { OnPage(std::move(page)); }));
}

void Sweep::OnPage(base::Result<replica::RecordPage> page) {
  running_->looking = false;
  if (!page) {
    log_.Log(LogLevel::kWarn, "repair", "the sweep cannot read records: {}", page.error().message);
    if (page.error().code == base::Code::kCorruption) SkipPart();
    return WalkSoon(kSweepFailurePause);
  }
  Run& run = *running_;
  uint64_t bytes = 0;
  for (const auto& record : page->records) {
    bytes += record.bytes;
    Judge(record);
  }
  throttle_.Take(bytes, env_.clock.Now());
  run.after = std::move(page->last_key);
  if (page->done) {
    run.parts.pop_front();
    run.after.clear();
  }
  WalkSoon({});
}

// What lies behind an unreadable place stays; what comes after it need not.
void Sweep::SkipPart() {
  ++running_->blocked[static_cast<size_t>(SweepBlock::kUnclean)];
  running_->parts.pop_front();
  running_->after.clear();
}

// Damaged records are not the sweep's concern: they are not purged, and the scrub finds them.
void Sweep::Judge(const replica::RecordPage::Record& record) {
  Run& run = *running_;
  const auto object = causal::Object::Decode(record.object);
  if (!object) return;
  const SweepPlan::Item& item = run.plan.items[run.item];
  const SweepVerdict verdict = JudgeForSweep(*object, env_.clock.Wall(), item.gc_grace_s);
  switch (verdict.decision) {
    case SweepDecision::kNothing:
      return;
    case SweepDecision::kGrace:
      ++run.blocked[static_cast<size_t>(SweepBlock::kGrace)];
      run.oldest_ms = std::min(run.oldest_ms, verdict.since_ms);
      return;
    case SweepDecision::kPurge:
    case SweepDecision::kFold:
      break;
  }
  if (!item.before.empty()) {  // who would sweep it is away
    ++run.blocked[static_cast<size_t>(SweepBlock::kNodeAway)];
    run.oldest_ms = std::min(run.oldest_ms, verdict.since_ms);
    return;
  }
  const bool fold = verdict.decision == SweepDecision::kFold;
  run.candidates[record.key] = verdict;
  Gather({item.replicas, fold ? SweepStep::kFold : SweepStep::kPurge},
         {record.key, causal::Object::Digest(record.object)}, record.bytes);
}

void Sweep::Gather(Group group, wire::KeyDigest key, uint64_t bytes) {
  Gathered& gathered = running_->gathered[group];
  gathered.keys.push_back(std::move(key));
  gathered.bytes += bytes;
  if (gathered.keys.size() < kBatchKeys && gathered.bytes < kSweepBatchBytes) return;
  StartBatch(group, std::exchange(gathered, {}).keys);
}

// --- proofs --------------------------------------------------------------------------------------

void Sweep::StartBatch(const Group& group, std::vector<wire::KeyDigest> keys) {
  if (keys.empty()) return;
  SweepBatchPlan plan;
  plan.self = running_->plan.self;
  plan.members = running_->plan.members;
  plan.replicas = group.first;
  plan.step = group.second;
  plan.keys = std::move(keys);
  const uint64_t number = ++last_batch_;
  running_->batches.emplace(number, SweepBatch(std::move(plan), times_));
  Pump(number);
}

void Sweep::Pump(uint64_t number) {
  const auto found = running_->batches.find(number);
  if (found == running_->batches.end()) return;
  auto asks = found->second.Next(env_.clock.Now());
  const bool done = found->second.Done();
  if (done) return OnBatchDone(number);
  // The batch may go meanwhile, because an answer can come at once.
  for (SweepBatch::Ask& ask : asks) Send(number, std::move(ask));
  ArmBatches();
}

void Sweep::Send(uint64_t number, SweepBatch::Ask ask) {
  const SweepPort::To to = {running_->plan.fence, ask.member, kAskTimeout};
  const auto answer = [this, number, member = ask.member, ticket = ask.ticket](auto take) {
    return IfCurrent([this, number, member, ticket, take](auto reply) {
      const auto found = running_->batches.find(number);
      if (found == running_->batches.end()) return;
      (found->second.*take)(member, ticket, reply, env_.clock.Now());
      Pump(number);
    });
  };
  if (auto* hints = std::get_if<wire::HintsRequest>(&ask.request)) {
    for (const std::string& key : hints->keys) throttle_.Take(key.size(), env_.clock.Now());
    return port_.Ask(to, std::move(*hints), answer(&SweepBatch::OnHints));
  }
  auto& sweep = std::get<wire::SweepRequest>(ask.request);
  for (const auto& key : sweep.keys) throttle_.Take(key.key.size(), env_.clock.Now());
  port_.Ask(to, std::move(sweep), answer(&SweepBatch::OnSweep));
}

void Sweep::OnBatchDone(uint64_t number) {
  Run& run = *running_;
  auto node = run.batches.extract(number);
  if (node.empty()) return;
  const SweepBatch& batch = node.mapped();
  for (const wire::KeyDigest& key : batch.removed()) {
    const auto candidate = run.candidates.extract(key.key);
    if (batch.plan().step == SweepStep::kFold) {
      metrics_.entries_folded.Add();
      ++figures_.folded;
      continue;
    }
    (candidate.mapped().tombstone ? metrics_.tombstones_purged : metrics_.expired_purged).Add();
    ++figures_.purged;
  }
  for (const wire::KeyDigest& key : batch.plan().keys) {
    const auto blocked = run.candidates.extract(key.key);
    if (!blocked.empty()) run.oldest_ms = std::min(run.oldest_ms, blocked.mapped().since_ms);
  }
  for (size_t i = 0; i < kSweepBlocks; ++i) run.blocked[i] += batch.blocked()[i];
  std::map<uint64_t, std::vector<std::string>> unequal;
  for (const auto& [member, key] : batch.unequal()) unequal[member].push_back(key);
  for (auto& [member, keys] : unequal) {
    port_.MakeEqual(run.plan.fence, {member, batch.plan().replicas, std::move(keys)});
  }
  WalkSoon({});
}

void Sweep::ArmBatches() {
  std::optional<base::Instant> first;
  for (const auto& [number, batch] : running_->batches) {
    if (batch.wake() && (!first || *batch.wake() < *first)) first = batch.wake();
  }
  env_.timers.Cancel(std::exchange(batch_timer_, 0));
  if (!first) return;
  const base::Instant now = env_.clock.Now();
  batch_timer_ = env_.timers.After(std::max(base::Duration{}, *first - now), IfCurrent([this] {
                                     batch_timer_ = 0;
                                     WakeBatches();
                                   }));
}

void Sweep::WakeBatches() {
  std::vector<uint64_t> awake;
  for (const auto& [number, batch] : running_->batches) {
    if (batch.wake() && *batch.wake() <= env_.clock.Now()) awake.push_back(number);
  }
  // None of them can end the sweep: that is done by a timer.
  for (const uint64_t number : awake) Pump(number);
  ArmBatches();
}

}  // namespace lariat::repair

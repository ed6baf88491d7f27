// SPDX-License-Identifier: Apache-2.0
#include "healing/anti_entropy.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace lariat::healing {

using base::Code;
using base::Fail;
using repair::ExchangePair;

namespace {

constexpr base::Duration kExchangeTimeout = base::Seconds(10);  // of one question to a partner
constexpr base::Duration kQuarter = base::Millis(250);
constexpr uint64_t kFloorBytesPerS = 256 << 10;

}  // namespace

AntiEntropy::AntiEntropy(Shards& shards, peers::Home& home, storage::Engine& engine,
                         telemetry::LogSink& log, Ports ports)
    : shards_(shards),
      home_(home),
      engine_(engine),
      log_(log),
      ports_(std::move(ports)),
      reader_(engine, home.queue(), home.metrics()),
      passes_(engine, home.queue()),
      own_(shards, home, [this] { return view_ ? std::optional(view_->fence()) : std::nullopt; }),
      throttle_({}),
      source_(home.env(), own_, reader_, throttle_, home.metrics()),
      exchange_(home.env(), *this, throttle_, home.metrics(), log),
      schedule_(home.env().entropy.Next(), home.self().id.high),
      tasks_seen_(std::make_shared<const std::vector<coordinator::TaskStatus>>()) {
  ApplySettings(home.settings());
}

AntiEntropy::~AntiEntropy() = default;

void AntiEntropy::ApplySettings(const config::Settings& settings) {
  repair::ThrottleOptions throttle;
  throttle.bytes_per_s = static_cast<uint64_t>(settings.repair_max_bytes_per_s);
  throttle.latency_max = base::Millis(settings.repair_latency_ms);
  throttle.floor_bytes_per_s = std::min(kFloorBytesPerS, throttle.bytes_per_s);
  throttle_.SetOptions(throttle);
  repair::ScheduleOptions schedule;
  schedule.enabled = enabled_ = settings.repair_enabled;
  schedule.interval = base::Seconds(settings.repair_interval_s);
  schedule_.SetOptions(schedule);
}

void AntiEntropy::Start() { EachQuarter(); }

void AntiEntropy::EachQuarter() {
  home_.env().timers.After(kQuarter, [this] { EachQuarter(); });
  if (++quarters_ % 4 == 0) EachSecond();
  Look();
}

void AntiEntropy::EachSecond() {
  const auto [count_now, sum_now] = shards_.RequestsSoFar();
  const uint64_t requests = count_now - std::exchange(latency_count_, count_now);
  const base::Duration took = sum_now - std::exchange(latency_sum_, sum_now);
  std::optional<base::Duration> latency;
  if (requests > 0) latency = took / static_cast<int64_t>(requests);
  throttle_.OnLatency(latency, home_.env().clock.Now());
  throttle_.OnOthers(engine_.Stats().compaction_bytes, home_.env().clock.Now());
  TakeMarks();
  passes_.Store(known_fence_);
  PublishTasks();
}

// --- what is held, and by whom -----------------------------------------------------------------

void AntiEntropy::OnView(std::shared_ptr<const membership::View> view) {
  const bool first = view_ == nullptr;
  view_ = std::move(view);
  repair::ExchangeMap map = repair::MapOf(*view_);
  const bool same = !first && known_fence_ == view_->fence() && map.pairs == map_.pairs;
  map_ = std::move(map);
  source_.SetHeld(map_.held);
  std::map<uint64_t, std::string> names;
  for (const membership::Member& member : view_->topology.members) {
    names[member.Number()] = member.name;
  }
  schedule_.SetNames(std::move(names));
  if (same) return;
  exchange_.Stop();
  known_fence_ = 0;
  passes_.Forget();
  if (const auto& operation = view_->topology.operation) return OnChange(operation->change.number);
  schedule_.Suspend("what was compared so far is being read");
  const uint64_t fence = view_->fence();
  passes_.Load(
      fence, [this](const ExchangePair& pair) { return map_.pairs.contains(pair); },
      [this, fence](const Passes::Began& began) {
        known_fence_ = fence;
        schedule_.SetPairs(map_.pairs, began, home_.env().clock.Now());
        Look();
      });
}

// What moves is compared when it has moved. But a node in doubt gives nothing that is copied from
// it alone, so its doubt has to end, or the change would not.
void AntiEntropy::OnChange(uint64_t number) {
  if (!map_.pairs.empty()) {
    known_fence_ = view_->fence();
    schedule_.SetPairs(map_.pairs, {}, home_.env().clock.Now());
  }
  schedule_.Suspend(fmt::format("a change of the topology is under way (task {})", number),
                    !map_.pairs.empty());
}

void AntiEntropy::Stop() {
  passes_.Forget();
  view_ = nullptr;
  known_fence_ = 0;
  exchange_.Stop();
  source_.SetHeld({});
  schedule_.Suspend("this node is out of the cluster");
}

// --- comparing ---------------------------------------------------------------------------------

void AntiEntropy::Look() {
  if (known_fence_ == 0) return;
  const base::Instant now = home_.env().clock.Now();
  for (const membership::Member& member : view_->topology.members) {
    if (member.Number() == view_->MemberAt(view_->self).Number()) continue;
    schedule_.SetAlive(member.Number(), home_.peers().IsAlive(member.id), now);
  }
  if (exchange_.Running()) return;
  if (auto pick = schedule_.Next(now, home_.env().clock.Wall())) Begin(std::move(*pick));
}

void AntiEntropy::Begin(repair::ScheduleCore::Pick pick) {
  seen_marks_ = MarksOf(pick.pair);
  repair::ExchangePlan plan;
  plan.bucket = pick.pair.bucket;
  plan.partner = pick.pair.partner;
  plan.partner_name = NameOf(pick.pair.partner);
  plan.ranges = std::move(pick.ranges);
  exchange_.Start(std::move(plan),
                  [this](repair::Exchange::Ended ended) { OnEnded(std::move(ended)); });
}

void AntiEntropy::OnEnded(repair::Exchange::Ended ended) {
  const auto& running = schedule_.running();
  if (!running) return;
  const repair::ScheduleCore::Pick pick = *running;
  const repair::ScheduleCore::Result result = {ended.end, std::move(ended.why),
                                               ended.progress.figures, ended.progress.bytes_sent};
  if (schedule_.OnEnded(result, home_.env().clock.Now(), home_.env().clock.Wall())) {
    passes_.Note(pick.pair, pick.began_wall.ms);
    if (ports_.marks != nullptr && !seen_marks_.empty()) ports_.marks->Clear(seen_marks_);
    if (ports_.passed) ports_.passed(pick.pair, pick.began);
  }
  seen_marks_.clear();
  // How far it is, each second; that it has ended, at once.
  const auto& tasks = schedule_.tasks();
  const auto ended_now = [pick](const repair::RepairTask& task) {
    return task.id == pick.task && task.state != repair::RepairTask::State::kRunning;
  };
  if (std::any_of(tasks.begin(), tasks.end(), ended_now)) PublishTasks();
  Look();
}

void AntiEntropy::Doubt(const ExchangePair& pair) {
  if (schedule_.StatusOf(pair).doubt) return;
  schedule_.Mark(pair, repair::Urgency::kDoubt, home_.env().clock.Now());
}

std::vector<replica::DirtyMarks::Seen> AntiEntropy::MarksOf(const ExchangePair& pair) const {
  std::vector<replica::DirtyMarks::Seen> marks;
  if (ports_.marks == nullptr) return marks;
  marks = ports_.marks->List();
  std::erase_if(marks, [&pair](const replica::DirtyMarks::Seen& seen) {
    return seen.mark.bucket != pair.bucket || seen.mark.target != pair.partner;
  });
  return marks;
}

void AntiEntropy::TakeMarks() {
  if (ports_.marks == nullptr || !schedule_.suspended().empty()) return;
  std::vector<replica::DirtyMarks::Seen> useless;
  for (const replica::DirtyMarks::Seen& seen : ports_.marks->List()) {
    const ExchangePair pair = {seen.mark.bucket, seen.mark.target};
    if (!map_.pairs.contains(pair)) {
      // The target holds nothing that is held here too: its fellow replicas find what it lacks.
      useless.push_back(seen);
    } else if (!schedule_.StatusOf(pair).dirty) {
      schedule_.Mark(pair, repair::Urgency::kDirty, home_.env().clock.Now());
    }
  }
  if (!useless.empty()) ports_.marks->Clear(useless);
}

// --- questions ---------------------------------------------------------------------------------

void AntiEntropy::Serve(wire::Body request, base::UniqueFunction<void(wire::Body)> done) {
  source_.Serve(std::move(request), std::move(done));
}

void AntiEntropy::Ask(repair::Side side, uint64_t partner, wire::Body request,
                      ExchangePort::BodyDone done) {
  if (side == repair::Side::kTheirs) {
    const auto peer = view_ ? home_.peers().PeerOf(partner) : std::nullopt;
    if (!peer) return done(Fail(Code::kUnavailable, "it is not known how to reach it"));
    return home_.peers().Call(*peer, std::move(request), kExchangeTimeout, std::move(done));
  }
  auto give = [done = std::move(done)](wire::Body body) mutable { done(std::move(body)); };
  if (auto* push = std::get_if<wire::RecordPush>(&request)) {
    return ports_.push(std::move(*push), std::move(give));
  }
  source_.Answer(std::move(request), std::move(give));
}

}  // namespace lariat::healing

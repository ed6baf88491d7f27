// SPDX-License-Identifier: Apache-2.0
#include "repair/exchange/schedule_core.h"

#include <algorithm>
#include <utility>

namespace lariat::repair {

using Pick = ScheduleCore::Pick;

namespace {

constexpr base::Duration kStartWithin = base::Seconds(1);
constexpr base::Duration kBackWithin = base::Seconds(1);
constexpr base::Duration kBackSecond = base::Seconds(5);       // of the two that know of it
constexpr base::Duration kTaskLooksAgain = base::Millis(100);  // at all parts of a task
constexpr base::Duration kFirstPassWithin = base::Seconds(60);

}  // namespace

base::Duration ScheduleCore::Random(base::Duration max) {
  return base::Duration(prng_.Between(0, std::max<int64_t>(max.count(), 0)));
}

// --- what there is to compare ------------------------------------------------------------------

void ScheduleCore::SetPairs(std::map<ExchangePair, std::vector<wire::TokenSpan>> pairs,
                            const std::map<ExchangePair, int64_t>& passes, base::Instant now) {
  std::map<ExchangePair, Pair> before = std::exchange(pairs_, {});
  const base::Duration spread = std::min(options_.interval, kFirstPassWithin);
  for (auto& [key, ranges] : pairs) {
    Pair& pair = pairs_[key];
    pair.ranges = std::move(ranges);
    const auto pass = passes.find(key);
    pair.last_pass_ms = pass == passes.end() ? 0 : pass->second;
    pair.due = now + Random(pair.last_pass_ms == 0 ? spread : options_.interval);
    if (const auto known = before.find(key); known != before.end()) {
      pair.urgent = known->second.urgent;
      pair.back_from = known->second.back_from;
    }
    if (!started_) {
      pair.At(Urgency::kBack) = now;
      pair.back_from = now + Random(kStartWithin);
    }
  }
  started_ = true;
  suspended_.clear();
  running_.reset();
  for (RepairTask& task : tasks_) {
    if (task.state == RepairTask::State::kRunning) BeginTask(&task);
  }
}

void ScheduleCore::Suspend(std::string why, bool doubts_go_on) {
  suspended_ = std::move(why);
  doubts_go_on_ = doubts_go_on;
  running_.reset();
  for (RepairTask& task : tasks_) {
    if (task.state == RepairTask::State::kRunning) task.trouble = suspended_;
  }
}

void ScheduleCore::SetAlive(uint64_t partner, bool alive, base::Instant now) {
  if (!alive) {
    alive_.erase(partner);
    return;
  }
  if (!alive_.insert(partner).second) return;
  // Whoever is met for the first time since this node's start is compared because of that.
  if (met_.insert(partner).second) return;
  const base::Duration wait = self_ < partner ? base::Duration{} : kBackSecond;
  for (auto& [key, pair] : pairs_) {
    if (key.partner != partner) continue;
    pair.At(Urgency::kBack) = now;
    pair.back_from = now + wait + Random(kBackWithin);
    pair.failures = 0;
    pair.not_before = now;
  }
}

void ScheduleCore::Mark(const ExchangePair& key, Urgency urgency, base::Instant now) {
  if (const auto found = pairs_.find(key); found != pairs_.end()) {
    found->second.At(urgency) = now;
  }
}

// --- whose turn it is --------------------------------------------------------------------------

std::optional<int> ScheduleCore::RankOf(const Pair& pair, base::Instant now) const {
  if (pair.Has(Urgency::kDoubt)) return 0;
  if (!suspended_.empty()) return std::nullopt;
  if (options_.enabled && pair.Has(Urgency::kDirty)) return 1;
  if (options_.enabled && pair.Has(Urgency::kBack) && now >= pair.back_from) return 2;
  if (options_.enabled && now >= pair.due) return 3;
  return std::nullopt;
}

std::optional<Pick> ScheduleCore::Next(base::Instant now, base::WallTime wall) {
  if (running_ || (!suspended_.empty() && !doubts_go_on_)) return std::nullopt;
  for (RepairTask& task : tasks_) {
    if (task.state != RepairTask::State::kRunning || !suspended_.empty()) continue;
    LookAtTask(&task, now, wall);
    if ((running_ = NextOfTask(&task, now, wall))) return running_;
  }
  std::optional<std::pair<int, base::Instant>> best;
  for (auto& [key, pair] : pairs_) {
    const auto rank = RankOf(pair, now);
    if (!rank || !IsAlive(key.partner) || now < pair.not_before) continue;
    if (best && *best <= std::pair(*rank, pair.due)) continue;
    best.emplace(*rank, pair.due);
    running_ = Pick{key, pair.ranges, 0, true, now, wall};
  }
  return running_;
}

bool ScheduleCore::OnEnded(const Result& result, base::Instant now, base::WallTime wall) {
  if (!running_) return false;
  const Pick pick = *std::exchange(running_, std::nullopt);
  const auto found = pairs_.find(pick.pair);
  const bool complete = result.end == ExchangeEnd::kComplete;
  if (found != pairs_.end() && complete && pick.whole) {
    found->second.last_pass_ms = pick.began_wall.ms;
    for (auto& mark : found->second.urgent) {
      if (mark && *mark <= pick.began) mark.reset();
    }
    PassDone(&found->second, now);
  } else if (found != pairs_.end() && !complete) {
    PassFailed(&found->second, result, now);
  }
  for (RepairTask& task : tasks_) {
    if (task.state != RepairTask::State::kRunning || task.id != pick.task) continue;
    NoteInTask(&task, pick.pair, result, now);
    if (!task.AnyOpen()) EndTask(&task, wall);
  }
  return complete && pick.whole && found != pairs_.end();
}

void ScheduleCore::PassDone(Pair* pair, base::Instant now) {
  pair->failures = 0;
  pair->not_before = now;
  pair->trouble.clear();
  pair->due = now + options_.interval * 9 / 10 + Random(options_.interval / 5);
}

void ScheduleCore::PassFailed(Pair* pair, const Result& result, base::Instant now) {
  pair->trouble = result.why;
  base::Duration pause = options_.backoff_min;
  for (uint32_t i = 0; i < pair->failures && pause < options_.backoff_max; ++i) pause *= 2;
  // A document is on its way to one of both: soon they have the same.
  if (result.end == ExchangeEnd::kStale) {
    pause = options_.backoff_min;
  } else {
    ++pair->failures;
  }
  pair->not_before = now + std::min(pause, options_.backoff_max);
  pair->due = std::min(pair->due, pair->not_before);
}

// --- what was asked for ------------------------------------------------------------------------

double RepairTask::Share() const {
  double share = 0;
  for (const auto& [pair, part] : parts) share += part.share;
  return share;
}

double RepairTask::ShareDone() const {
  double share = 0;
  for (const auto& [pair, part] : parts) share += part.needed ? 0 : part.share;
  return share;
}

bool RepairTask::AnyOpen() const {
  auto at = parts.upper_bound(last);
  for (size_t i = 0; i < parts.size(); ++i, ++at) {
    if (at == parts.end()) at = parts.begin();
    if (at->second.needed && !at->second.given_up) return true;
  }
  return false;
}

uint64_t ScheduleCore::AddTask(RepairOrder order, base::WallTime wall) {
  RepairTask task;
  task.id = ++last_task_;
  task.order = std::move(order);
  task.asked_ms = wall.ms;
  task.trouble = suspended_;
  if (suspended_.empty()) BeginTask(&task);
  tasks_.push_back(std::move(task));
  if (tasks_.size() > kTasksMax) {
    // The oldest that has ended; a running one only if there are as many.
    const auto ended = std::find_if(tasks_.begin(), tasks_.end(), [](const RepairTask& t) {
      return t.state != RepairTask::State::kRunning;
    });
    tasks_.erase(ended == tasks_.end() ? tasks_.begin() : ended);
  }
  return last_task_;
}

void ScheduleCore::BeginTask(RepairTask* task) {
  task->trouble.clear();
  task->parts.clear();
  task->last = {};
  task->looked_at.reset();
  for (const auto& [key, pair] : pairs_) {
    if (task->order.bucket && *task->order.bucket != key.bucket) continue;
    const auto ranges = task->order.range ? Clip(pair.ranges, *task->order.range) : pair.ranges;
    if (!ranges.empty()) task->parts[key].share = ShareOf(ranges);
  }
}

// Gives up what failed for too long, and ends the task if nothing is left to do.
void ScheduleCore::LookAtTask(RepairTask* task, base::Instant now, base::WallTime wall) {
  if (task->looked_at && now - *task->looked_at < kTaskLooksAgain) return;
  task->looked_at = now;
  bool open = false;
  for (auto& [key, part] : task->parts) {
    if (!part.needed || part.given_up) continue;
    if (IsAlive(key.partner) && part.rounds == 0) {
      part.trouble_since.reset();  // it was down, and nothing has failed
      part.trouble.clear();
    } else if (!part.trouble_since) {
      part.trouble_since = now;
    }
    if (part.trouble_since) {
      if (!IsAlive(key.partner)) part.trouble = names_[key.partner] + " is down";
      const auto patience = part.reads_data ? options_.patience_unknown : options_.patience;
      part.given_up = now - *part.trouble_since >= patience;
    }
    open = open || !part.given_up;
  }
  if (!open) EndTask(task, wall);
}

void ScheduleCore::EndTask(RepairTask* task, base::WallTime wall) {
  task->state = RepairTask::State::kDone;
  task->trouble.clear();
  task->ended_ms = wall.ms;
  for (const auto& [key, part] : task->parts) {
    if (!part.given_up) continue;
    task->state = RepairTask::State::kFailed;
    if (task->trouble.empty()) task->trouble = part.trouble;
  }
}

std::optional<Pick> ScheduleCore::NextOfTask(RepairTask* task, base::Instant now,
                                             base::WallTime wall) {
  if (task->state != RepairTask::State::kRunning) return std::nullopt;
  task->trouble.clear();
  // From where it was last: most of those before are done.
  auto at = task->parts.upper_bound(task->last);
  for (size_t i = 0; i < task->parts.size(); ++i, ++at) {
    if (at == task->parts.end()) at = task->parts.begin();
    const auto& [key, part] = *at;
    if (!part.needed || part.given_up) continue;
    const Pair& pair = pairs_.at(key);
    if (!IsAlive(key.partner) || now < pair.not_before) {
      task->trouble = part.trouble;
      continue;
    }
    Pick pick = {key, pair.ranges, task->id, true, now, wall};
    if (task->order.range) {
      pick.ranges = Clip(pair.ranges, *task->order.range);
      pick.whole = pick.ranges == pair.ranges;
    }
    task->last = key;
    return pick;
  }
  return std::nullopt;
}

void ScheduleCore::NoteInTask(RepairTask* task, const ExchangePair& pair, const Result& result,
                              base::Instant now) {
  task->keys_received += result.figures.keys_received;
  task->keys_sent += result.figures.keys_sent;
  task->bytes_sent += result.bytes_sent;
  const auto found = task->parts.find(pair);
  if (found == task->parts.end()) return;
  RepairTask::Part& part = found->second;
  ++part.rounds;
  if (result.end != ExchangeEnd::kComplete) {
    part.trouble = result.why;
    part.reads_data = result.end == ExchangeEnd::kIncomplete && result.figures.spans_unknown > 0;
    if (!part.trouble_since) part.trouble_since = now;
    return;
  }
  part.needed = false;
  part.trouble.clear();
  part.trouble_since.reset();
  if (result.figures.keys_received == 0) return;
  // What this one brought may be missing at the others.
  for (auto& [key, other] : task->parts) {
    const bool concerned = key.bucket == pair.bucket && key.partner != pair.partner;
    if (concerned && other.rounds < options_.rounds_max) other.needed = true;
  }
}

// --- what is told ------------------------------------------------------------------------------

PairStatus ScheduleCore::StatusOf(const ExchangePair& key) const {
  PairStatus status;
  status.alive = IsAlive(key.partner);
  status.running = running_ && running_->pair == key;
  const auto found = pairs_.find(key);
  if (found == pairs_.end()) return status;
  const Pair& pair = found->second;
  status.last_pass_ms = pair.last_pass_ms;
  status.dirty = pair.Has(Urgency::kDirty);
  status.back = pair.Has(Urgency::kBack);
  status.doubt = pair.Has(Urgency::kDoubt);
  status.trouble = pair.trouble;
  return status;
}

}  // namespace lariat::repair

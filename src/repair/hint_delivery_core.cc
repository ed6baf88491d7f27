// SPDX-License-Identifier: Apache-2.0
#include "repair/hint_delivery_core.h"

#include <algorithm>
#include <utility>

namespace lariat::repair {
namespace {

constexpr base::Duration kPauseMin = base::Seconds(1);
constexpr base::Duration kPauseMax = base::Seconds(60);
// Hints lie in key order, so looking for old ones is reading all of them.
constexpr base::Duration kExpiryPauseMin = base::Seconds(1);
constexpr base::Duration kExpiryPauseMax = base::Seconds(600);
constexpr int64_t kExpiryShare = 16;  // of the age limit: how late a hint may be dropped

// From this age on a hint is nearly too old: two walks before it is dropped.
int64_t LastCallMs(int64_t age_max_ms) { return age_max_ms - age_max_ms / kExpiryShare * 2; }

}  // namespace

HintStep StepFor(const HintCase& hint) {
  if (hint.age_ms >= hint.age_max_ms) {
    return hint.steady_age_ms >= hint.age_max_ms ? HintStep::kExpire : HintStep::kKeep;
  }
  if (!hint.is_replica) return hint.has_object ? HintStep::kReroute : HintStep::kDrop;
  if (hint.usable) return HintStep::kSend;
  const bool last_call = hint.leaving || hint.age_ms >= LastCallMs(hint.age_max_ms);
  return hint.has_object && last_call ? HintStep::kReroute : HintStep::kKeep;
}

void HintDeliveryCore::OnTargets(const std::map<uint64_t, HintTarget>& targets, base::Instant now,
                                 base::WallTime wall) {
  wall_ = wall;
  std::erase_if(targets_, [&](const auto& known) {
    return !known.second.reading && !targets.contains(known.first);
  });
  for (const auto& [number, target] : targets) {
    State& state = targets_[number];
    const bool is_back = target.usable && !state.target.usable;
    state.target = target;
    if (!is_back) continue;
    state.failures = 0;
    state.due = now;
    state.again = state.walking;
    state.fresh = true;
  }
}

void HintDeliveryCore::OnView(base::Instant now) {
  for (auto& [number, state] : targets_) {
    state.failures = 0;
    state.due = now;
    state.again = state.walking;
    state.fresh = true;
  }
}

base::Duration HintDeliveryCore::ExpiryPause() const {
  return std::clamp(base::Millis(age_min_ms_ / kExpiryShare), kExpiryPauseMin, kExpiryPauseMax);
}

bool HintDeliveryCore::MayBeTooOld(const State& state, base::Instant now) const {
  const int64_t age_ms = wall_.ms - state.target.oldest_ms;
  if (state.target.oldest_ms != 0 && age_ms < LastCallMs(age_min_ms_)) return false;
  return !state.expired_looked || now - *state.expired_looked >= ExpiryPause();
}

bool HintDeliveryCore::WantsWalk(const State& state, base::Instant now) const {
  if (state.target.hints <= 0) return false;
  if (state.fresh || MayBeTooOld(state, now)) return true;
  return state.target.usable || !state.target.member;
}

std::optional<HintDeliveryCore::Page> HintDeliveryCore::Next(base::Instant now) {
  const auto ready = [&](const auto& known) {
    const State& state = known.second;
    if (state.reading) return false;
    if (state.walking) return true;
    if (state.due <= now) return WantsWalk(state, now);
    return state.target.hints > 0 && MayBeTooOld(state, now);
  };
  auto at = std::find_if(targets_.upper_bound(last_), targets_.end(), ready);
  if (at == targets_.end()) at = std::find_if(targets_.begin(), targets_.end(), ready);
  if (at == targets_.end()) return std::nullopt;
  last_ = at->first;
  State& state = at->second;
  if (!state.walking) {
    state.walking = true;
    state.after.clear();
    state.again = state.failed = state.fresh = false;
    state.oldest_ms = 0;
    state.ages = state.due > now;
    if (MayBeTooOld(state, now)) state.expired_looked = now;
  }
  state.reading = true;
  return Page{at->first, state.after, state.target.usable && !state.ages};
}

void HintDeliveryCore::OnPage(uint64_t target, const PageEnd& end, base::Instant now) {
  const auto found = targets_.find(target);
  if (found == targets_.end()) return;
  State& state = found->second;
  state.reading = false;
  state.after = end.last_key;
  if (end.oldest_ms != 0 && (state.oldest_ms == 0 || end.oldest_ms < state.oldest_ms)) {
    state.oldest_ms = end.oldest_ms;
  }
  if (end.refused) {
    // The view that it takes will begin the walk anew; should there be none, the pause does.
    state.walking = state.ages = false;
    state.due = std::max(state.due, now + kPauseMin);
    return;
  }
  state.failed = state.failed || end.failed || end.stopped;
  if (end.stopped) return EndWalk(&state, now);
  if (!end.done) return;
  state.oldest_of_walk = state.oldest_ms;
  EndWalk(&state, now);
}

void HintDeliveryCore::EndWalk(State* state, base::Instant now) {
  state->walking = false;
  if (!std::exchange(state->ages, false)) {
    state->failures = state->failed ? std::min(state->failures + 1, 16) : 0;
    state->due = now + std::min(kPauseMin * (1 << std::min(state->failures, 10)), kPauseMax);
  }
  if (state->again) {
    state->due = now;
    state->fresh = true;
  }
  state->again = false;
}

std::optional<int64_t> HintDeliveryCore::TakeOldest(uint64_t target) {
  const auto found = targets_.find(target);
  if (found == targets_.end()) return std::nullopt;
  return std::exchange(found->second.oldest_of_walk, std::nullopt);
}

bool HintDeliveryCore::Walking(uint64_t target) const {
  const auto found = targets_.find(target);
  return found != targets_.end() && found->second.walking;
}

}  // namespace lariat::repair

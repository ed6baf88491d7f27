// SPDX-License-Identifier: Apache-2.0
#include "coordinator/put_core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lariat::coordinator {

using base::Code;
using causal::Standing;

PutCore::PutCore(Options options, const std::vector<bool>& usable, const std::vector<ListSet>& sets)
    : is_fallback_(options.is_fallback), fallbacks_(options.fallbacks) {
  state_.self = options.self;
  state_.replicas.resize(usable.size());
  state_.has_fallbacks = options.fallbacks > 0;
  state_.ordered = !options.is_fallback && options.lists[0].held > 0;
  LARIAT_CHECK(options.lists[0].w >= 1, "a write needs at least one replica");
  LARIAT_CHECK(state_.self < usable.size(), "the coordinator is a replica or stands in for one");
  LARIAT_CHECK(sets.empty() || sets.size() == usable.size(), "every replica has its lists");
  state_.SetLists(options.lists, sets);
  LARIAT_CHECK(!is_fallback_ || !fallbacks_.empty(), "who stands in is the first fallback");
  for (size_t i = 0; i < usable.size(); ++i) {
    if (!usable[i]) state_.replicas[i].state = At::kUnreachable;
    if (!sets.empty()) state_.replicas[i].set = sets[i];
  }
  if (!is_fallback_) {
    state_.own().state = At::kSent;
    return;
  }
  state_.own().state = At::kUnreachable;
  state_.own().fallback = At::kSent;
  fallbacks_[0] = {state_.self, false};
}

PutCore::Actions PutCore::OnUpdated(Standing own) {
  LARIAT_CHECK(!state_.updated, "one write makes one event");
  state_.updated = true;
  state_.own().standing = own;
  Actions actions;
  if (finished_) {
    OweAll(&actions);
    return actions;
  }
  for (size_t i = 0; i < state_.replicas.size(); ++i) {
    if (state_.replicas[i].state == At::kIdle) Send(i, &actions);
    if (!state_.replicas[i].Pending()) TakeFallback(i, &actions);
  }
  CheckEnd(&actions);
  return actions;
}

PutCore::Actions PutCore::OnRefused(base::Error error) {
  Actions actions;
  Replica& own = state_.own();
  (is_fallback_ ? own.fallback : own.state) = At::kFailed;
  if (!finished_) GiveUp(std::move(error), &actions);
  return actions;
}

PutCore::Actions PutCore::OnAck(size_t index, Standing standing, causal::HlcStamp greater) {
  Actions actions;
  Replica& replica = state_.replicas[index];
  if (replica.state != At::kSent) return actions;
  if (index != state_.self) replica.standing = standing;
  state_.overtaken = state_.overtaken || greater.packed != 0;
  greater_ = std::max(greater_, greater);
  // A node that is in no list any more may drop what it holds.
  replica.state = replica.set != 0 ? At::kAcked : At::kUnreachable;
  if (!finished_) CheckEnd(&actions);
  return actions;
}

PutCore::Actions PutCore::OnFailure(size_t index, const base::Error& error) {
  Actions actions;
  if (state_.replicas[index].state != At::kSent) return actions;
  state_.replicas[index].state = At::kFailed;
  last_failure_ = error.message;
  if (finished_) {
    OweIfMissing(index, &actions);
    return actions;
  }
  TakeFallback(index, &actions);
  CheckEnd(&actions);
  return actions;
}

PutCore::Actions PutCore::OnFallbackAck(size_t fallback) {
  Actions actions;
  if (!Waits(fallback)) return actions;
  state_.replicas[fallbacks_[fallback].replica].fallback = At::kAcked;
  if (!finished_) CheckEnd(&actions);
  return actions;
}

PutCore::Actions PutCore::OnFallbackFailure(size_t fallback, const base::Error& error) {
  Actions actions;
  if (!Waits(fallback)) return actions;
  const size_t index = fallbacks_[fallback].replica;
  state_.replicas[index].fallback = At::kFailed;
  fallbacks_[fallback].replica = kNoFallback;
  last_failure_ = error.message;
  if (finished_) {
    OweIfMissing(index, &actions);
    return actions;
  }
  TakeFallback(index, &actions);
  CheckEnd(&actions);
  return actions;
}

PutCore::Actions PutCore::OnTimeout() {
  expired_ = true;
  Actions actions;
  if (finished_) {
    OweAll(&actions);
  } else {
    GiveUp(Unknown("replicas did not acknowledge in time"), &actions);
  }
  return actions;
}

PutCore::Actions PutCore::OnRestamped(Standing own) {
  LARIAT_CHECK(restamping_, "asked for");
  restamping_ = false;
  state_.self_unshown = true;
  state_.overtaken = false;
  ++round_;
  Actions actions;
  if (finished_) return actions;
  for (size_t i = 0; i < state_.replicas.size(); ++i) {
    Replica& replica = state_.replicas[i];
    replica.standing = Standing::kHeld;
    const bool takes = replica.state == At::kSent || replica.state == At::kAcked;
    if (i != state_.self && takes) Send(i, &actions);
  }
  state_.own().state = At::kAcked;
  state_.own().standing = own;
  CheckEnd(&actions);
  return actions;
}

PutCore::Actions PutCore::OnShown() {
  restamping_ = false;
  state_.self_unshown = false;
  Actions actions;
  if (!finished_) CheckEnd(&actions);
  return actions;
}

PutCore::Actions PutCore::OnRestampFailed(const base::Error& error) {
  Actions actions;
  if (!finished_) GiveUp(Unknown("it could not be ordered (" + error.message + ")"), &actions);
  return actions;
}

PutCore::Actions PutCore::OnNewLists(const Plan& plan) {
  LARIAT_CHECK(state_.updated, "before the event there is nothing to go on with");
  LARIAT_CHECK(plan.sets.size() >= state_.replicas.size(), "replicas keep their index");
  LARIAT_CHECK(plan.sets.size() == plan.usable.size(), "every replica has its lists");
  state_.SetLists(plan.lists, plan.sets);
  state_.replicas.resize(plan.sets.size());
  // What fallbacks hold finds its way to the new replicas, but who it counts for is not known.
  const bool own_counts = is_fallback_ && plan.is_fallback && plan.sets[state_.self] != 0;
  for (size_t fallback = own_counts ? 1 : 0; fallback < fallbacks_.size(); ++fallback) {
    const size_t replica = fallbacks_[fallback].replica;
    if (replica != kNoFallback) state_.replicas[replica].fallback = At::kIdle;
    fallbacks_[fallback] = {kNoFallback, false};
  }
  first_free_ = fallbacks_.size();
  fallbacks_.resize(fallbacks_.size() + plan.fallbacks);
  Actions actions;
  for (size_t i = 0; i < state_.replicas.size(); ++i) {
    Replica& replica = state_.replicas[i];
    replica.set = plan.sets[i];
    if (replica.state == At::kSent) continue;
    // What it acknowledged is forgotten: see OnAck.
    if (replica.set == 0) replica.state = At::kUnreachable;
    if (replica.set == 0 || replica.state == At::kAcked) continue;
    if (plan.usable[i]) {
      Send(i, &actions);
      continue;
    }
    replica.state = At::kUnreachable;
    if (!finished_ && !replica.Held() && !replica.Pending()) TakeFallback(i, &actions);
  }
  if (!finished_) {
    CheckEnd(&actions);
  } else {
    OweAll(&actions);
  }
  return actions;
}

// --- fallbacks -----------------------------------------------------------------------------------

bool PutCore::Waits(size_t fallback) const {
  const size_t replica = fallbacks_[fallback].replica;
  return replica != kNoFallback && state_.replicas[replica].fallback == At::kSent;
}

void PutCore::Send(size_t replica, Actions* actions) {
  state_.replicas[replica].state = At::kSent;
  actions->push_back({ActionKind::kSendWrite, replica});
}

void PutCore::TakeFallback(size_t replica, Actions* actions) {
  if (state_.replicas[replica].set == 0) return;
  while (first_free_ < fallbacks_.size() && !fallbacks_[first_free_].free) ++first_free_;
  if (first_free_ == fallbacks_.size()) return;
  state_.ordered = false;
  state_.replicas[replica].fallback = At::kSent;
  fallbacks_[first_free_] = {replica, false};
  actions->push_back({ActionKind::kSendWrite, replica, first_free_});
}

// --- the end -------------------------------------------------------------------------------------

uint32_t PutCore::Acks() const { return state_.Count(0).primaries; }

uint32_t PutCore::FallbackAcks() const {
  const PutState::Tally tally = state_.Count(0);
  return tally.held - tally.primaries;
}

bool PutCore::Restamp(Actions* actions) {
  if (!state_.ordered || !state_.overtaken || !state_.updated || state_.own().set == 0)
    return false;
  Action action{ActionKind::kRestamp, state_.self};
  if (!state_.Restampable(&action.unless_shown)) return false;
  if (round_ + 1 >= kRoundsMax) {
    GiveUp(Unknown("others write the key faster than this write could be ordered"), actions);
    return true;
  }
  restamping_ = true;
  actions->push_back(action);
  return true;
}

std::vector<size_t> PutCore::Missing() const {
  std::vector<size_t> missing;
  for (size_t i = 0; i < state_.replicas.size(); ++i) {
    if (state_.replicas[i].set != 0 && state_.replicas[i].state != At::kAcked) missing.push_back(i);
  }
  return missing;
}

void PutCore::CheckEnd(Actions* actions) {
  if (restamping_) return;
  if (state_.Unmet() == kListsMax) {
    finished_ = true;
    actions->push_back({ActionKind::kDone, 0});
    OweAll(actions);
    return;
  }
  if (Restamp(actions)) return;
  const bool lost = state_.Lost();
  // Each list for itself may be good enough for another stamp, and both together not: then there is
  // nothing to wait for either.
  const bool waits = !state_.updated || std::any_of(state_.replicas.begin(), state_.replicas.end(),
                                                    [](const Replica& r) { return r.Pending(); });
  if (!lost && waits) return;
  const std::string why = last_failure_.empty() ? "" : " (" + last_failure_ + ")";
  GiveUp(Unknown("too few replicas acknowledged" + why), actions);
}

// With the figures of the list that is short.
base::Error PutCore::Unknown(const std::string& why) const {
  const size_t unmet = state_.Unmet();
  const size_t list = unmet < kListsMax ? unmet : 0;
  const Needs& needs = state_.needs[list];
  const PutState::Tally tally = state_.Count(list);
  const bool of_primaries = tally.held >= needs.w;
  const std::string where = list > 0 ? " in the list that the key moves to or from" : "";
  const bool unordered = tally.held >= needs.w && tally.primaries >= needs.pw && state_.ordered;
  if (unordered) {
    return {Code::kUnknown,
            "its order among other writes of the key could not be settled" + where + " (" + why +
                "); it may or may not have happened",
            needs.held, tally.stood};
  }
  return {Code::kUnknown, why + where + "; the write may or may not have happened",
          of_primaries ? needs.pw : needs.w, of_primaries ? tally.primaries : tally.held};
}

void PutCore::GiveUp(base::Error error, Actions* actions) {
  finished_ = true;
  error_ = std::move(error);
  actions->push_back({ActionKind::kFail, 0});
  OweAll(actions);
}

// --- what is owed --------------------------------------------------------------------------------

void PutCore::OweAll(Actions* actions) {
  for (size_t i = 0; i < state_.replicas.size(); ++i) OweIfMissing(i, actions);
}

void PutCore::OweIfMissing(size_t index, Actions* actions) {
  Replica& replica = state_.replicas[index];
  if (replica.Held() || replica.owed || replica.set == 0) return;
  // Only what this node holds itself can be owed.
  if (!state_.updated || is_fallback_ || index == state_.self) return;
  if (replica.Pending() && !expired_) return;
  replica.owed = true;
  actions->push_back({ActionKind::kOwe, index});
}

}  // namespace lariat::coordinator

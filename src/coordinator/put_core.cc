// SPDX-License-Identifier: Apache-2.0
#include "coordinator/put_core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lariat::coordinator {

using base::Code;
using causal::Standing;

PutCore::PutCore(Options options, const std::vector<bool>& usable, const std::vector<ListSet>& sets)
    : self_(options.self),
      is_fallback_(options.is_fallback),
      replicas_(usable.size()),
      fallbacks_(options.fallbacks),
      ordered_(!options.is_fallback && options.lists[0].held > 0) {
  LARIAT_CHECK(options.lists[0].w >= 1, "a write needs at least one replica");
  LARIAT_CHECK(self_ < usable.size(), "the coordinator is a replica or stands in for one");
  LARIAT_CHECK(sets.empty() || sets.size() == usable.size(), "every replica has its lists");
  SetLists(options.lists, sets);
  LARIAT_CHECK(!is_fallback_ || !fallbacks_.empty(), "who stands in is the first fallback");
  for (size_t i = 0; i < usable.size(); ++i) {
    if (!usable[i]) replicas_[i].state = State::kUnreachable;
    if (!sets.empty()) replicas_[i].set = sets[i];
  }
  if (!is_fallback_) {
    replicas_[self_].state = State::kSent;
    return;
  }
  replicas_[self_].state = State::kUnreachable;
  replicas_[self_].fallback = State::kSent;
  fallbacks_[0] = {self_, false};
}

void PutCore::SetLists(const PerList<Needs>& needs, const std::vector<ListSet>& sets) {
  needs_ = needs;
  lists_ = kInRead;
  for (const ListSet set : sets) lists_ |= set;
}

PutCore::Actions PutCore::OnUpdated(Standing own) {
  LARIAT_CHECK(!updated_, "one write makes one event");
  updated_ = true;
  replicas_[self_].standing = own;
  Actions actions;
  if (finished_) {
    OweAll(&actions);
    return actions;
  }
  for (size_t i = 0; i < replicas_.size(); ++i) {
    if (replicas_[i].state == State::kIdle) Send(i, &actions);
    if (!replicas_[i].Pending()) TakeFallback(i, &actions);
  }
  CheckEnd(&actions);
  return actions;
}

PutCore::Actions PutCore::OnRefused(base::Error error) {
  Actions actions;
  Replica& own = replicas_[self_];
  (is_fallback_ ? own.fallback : own.state) = State::kFailed;
  if (!finished_) GiveUp(std::move(error), &actions);
  return actions;
}

PutCore::Actions PutCore::OnAck(size_t index, Standing standing, causal::HlcStamp greater) {
  Actions actions;
  Replica& replica = replicas_[index];
  if (replica.state != State::kSent) return actions;
  if (index != self_) replica.standing = standing;
  overtaken_ = overtaken_ || greater.packed != 0;
  greater_ = std::max(greater_, greater);
  // A node that is in no list any more may drop what it holds.
  replica.state = replica.set != 0 ? State::kAcked : State::kUnreachable;
  if (!finished_) CheckEnd(&actions);
  return actions;
}

PutCore::Actions PutCore::OnFailure(size_t index, const base::Error& error) {
  Actions actions;
  if (replicas_[index].state != State::kSent) return actions;
  replicas_[index].state = State::kFailed;
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
  replicas_[fallbacks_[fallback].replica].fallback = State::kAcked;
  if (!finished_) CheckEnd(&actions);
  return actions;
}

PutCore::Actions PutCore::OnFallbackFailure(size_t fallback, const base::Error& error) {
  Actions actions;
  if (!Waits(fallback)) return actions;
  const size_t index = fallbacks_[fallback].replica;
  replicas_[index].fallback = State::kFailed;
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
  self_unshown_ = true;
  overtaken_ = false;
  ++round_;
  Actions actions;
  if (finished_) return actions;
  for (size_t i = 0; i < replicas_.size(); ++i) {
    Replica& replica = replicas_[i];
    replica.standing = Standing::kHeld;
    const bool takes = replica.state == State::kSent || replica.state == State::kAcked;
    if (i != self_ && takes) Send(i, &actions);
  }
  replicas_[self_].state = State::kAcked;
  replicas_[self_].standing = own;
  CheckEnd(&actions);
  return actions;
}

PutCore::Actions PutCore::OnShown() {
  restamping_ = false;
  self_unshown_ = false;
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
  LARIAT_CHECK(updated_, "before the event there is nothing to go on with");
  LARIAT_CHECK(plan.sets.size() >= replicas_.size(), "replicas keep their index");
  LARIAT_CHECK(plan.sets.size() == plan.usable.size(), "every replica has its lists");
  SetLists(plan.lists, plan.sets);
  replicas_.resize(plan.sets.size());
  // What fallbacks hold finds its way to the new replicas, but who it counts for is not known.
  const bool own_counts = is_fallback_ && plan.is_fallback && plan.sets[self_] != 0;
  for (size_t fallback = own_counts ? 1 : 0; fallback < fallbacks_.size(); ++fallback) {
    const size_t replica = fallbacks_[fallback].replica;
    if (replica != kNoFallback) replicas_[replica].fallback = State::kIdle;
    fallbacks_[fallback] = {kNoFallback, false};
  }
  first_free_ = fallbacks_.size();
  fallbacks_.resize(fallbacks_.size() + plan.fallbacks);
  Actions actions;
  for (size_t i = 0; i < replicas_.size(); ++i) {
    Replica& replica = replicas_[i];
    replica.set = plan.sets[i];
    if (replica.state == State::kSent) continue;
    // What it acknowledged is forgotten: see OnAck.
    if (replica.set == 0) replica.state = State::kUnreachable;
    if (replica.set == 0 || replica.state == State::kAcked) continue;
    if (plan.usable[i]) {
      Send(i, &actions);
      continue;
    }
    replica.state = State::kUnreachable;
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
  return replica != kNoFallback && replicas_[replica].fallback == State::kSent;
}

void PutCore::Send(size_t replica, Actions* actions) {
  replicas_[replica].state = State::kSent;
  actions->push_back({ActionKind::kSendWrite, replica});
}

void PutCore::TakeFallback(size_t replica, Actions* actions) {
  if (replicas_[replica].set == 0) return;
  while (first_free_ < fallbacks_.size() && !fallbacks_[first_free_].free) ++first_free_;
  if (first_free_ == fallbacks_.size()) return;
  ordered_ = false;
  replicas_[replica].fallback = State::kSent;
  fallbacks_[first_free_] = {replica, false};
  actions->push_back({ActionKind::kSendWrite, replica, first_free_});
}

// --- the end -------------------------------------------------------------------------------------

uint32_t PutCore::Acks() const { return Count(0).primaries; }

uint32_t PutCore::FallbackAcks() const {
  const Tally tally = Count(0);
  return tally.held - tally.primaries;
}

PutCore::Tally PutCore::Count(size_t list) const {
  Tally tally;
  // Before the event nobody stands in yet.
  const bool has_fallbacks = !updated_ && first_free_ < fallbacks_.size();
  for (const Replica& replica : replicas_) {
    if (!IsIn(replica.set, list)) continue;
    const bool primary = replica.state == State::kAcked;
    const bool may_be =
        primary || replica.state == State::kSent || (!updated_ && replica.state == State::kIdle);
    tally.primaries += primary ? 1 : 0;
    tally.held += replica.Held() ? 1 : 0;
    tally.may_primaries += may_be ? 1 : 0;
    tally.may_hold += may_be || replica.Held() || replica.Pending() || has_fallbacks ? 1 : 0;
    const bool own = &replica == &replicas_[self_];
    const bool open = may_be && !primary;
    tally.stood += primary && replica.standing == Standing::kHeld ? 1 : 0;
    // Of its own the coordinator knows before it is durable.
    const bool may_stand = open && !(own && updated_ && replica.standing != Standing::kHeld);
    tally.may_stand += may_stand || (primary && replica.standing == Standing::kHeld) ? 1 : 0;
    const bool never = !own && primary && replica.standing == Standing::kNeverHeld;
    tally.never += never ? 1 : 0;
    tally.may_never += never || (open && !own) ? 1 : 0;
    if (own) tally.unshown_self = self_unshown_;
  }
  return tally;
}

bool PutCore::Met(size_t list) const {
  const Tally tally = Count(list);
  const Needs& needs = needs_[list];
  const bool in_order = !ordered_ || tally.stood >= needs.held;
  return tally.held >= needs.w && tally.primaries >= needs.pw && in_order;
}

size_t PutCore::Unmet() const {
  size_t list = 0;
  while (list < kListsMax && (!IsIn(lists_, list) || Met(list))) ++list;
  return list;
}

bool PutCore::Lost(size_t list) const {
  const Tally tally = Count(list);
  const Needs& needs = needs_[list];
  if (tally.may_hold < needs.w || tally.may_primaries < needs.pw) return true;
  if (!ordered_ || tally.may_stand >= needs.held) return false;
  const uint32_t may_never = tally.may_never + (tally.unshown_self ? 1 : 0);
  const bool may_hear = overtaken_ || tally.may_never > tally.never;
  return may_never < needs.unread || !may_hear;
}

bool PutCore::AnyLost() const {
  for (size_t list = 0; list < kListsMax; ++list) {
    if (IsIn(lists_, list) && Lost(list)) return true;
  }
  return false;
}

bool PutCore::Restampable(size_t list, bool* unless_shown) const {
  const Tally tally = Count(list);
  if (tally.never >= needs_[list].unread) return true;
  *unless_shown = true;
  return tally.unshown_self && tally.never + 1 >= needs_[list].unread;
}

bool PutCore::AllRestampable(bool* unless_shown) const {
  for (size_t list = 0; list < kListsMax; ++list) {
    if (IsIn(lists_, list) && !Restampable(list, unless_shown)) return false;
  }
  return true;
}

bool PutCore::Restamp(Actions* actions) {
  if (!ordered_ || !overtaken_ || !updated_ || replicas_[self_].set == 0) return false;
  Action action{ActionKind::kRestamp, self_};
  if (!AllRestampable(&action.unless_shown)) return false;
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
  for (size_t i = 0; i < replicas_.size(); ++i) {
    if (replicas_[i].set != 0 && replicas_[i].state != State::kAcked) missing.push_back(i);
  }
  return missing;
}

void PutCore::CheckEnd(Actions* actions) {
  if (restamping_) return;
  if (Unmet() == kListsMax) {
    finished_ = true;
    actions->push_back({ActionKind::kDone, 0});
    OweAll(actions);
    return;
  }
  if (Restamp(actions)) return;
  const bool lost = AnyLost();
  // Each list for itself may be good enough for another stamp, and both together not: then there is
  // nothing to wait for either.
  const bool waits = !updated_ || std::any_of(replicas_.begin(), replicas_.end(),
                                              [](const Replica& r) { return r.Pending(); });
  if (!lost && waits) return;
  const std::string why = last_failure_.empty() ? "" : " (" + last_failure_ + ")";
  GiveUp(Unknown("too few replicas acknowledged" + why), actions);
}

// With the figures of the list that is short.
base::Error PutCore::Unknown(const std::string& why) const {
  const size_t unmet = Unmet();
  const size_t list = unmet < kListsMax ? unmet : 0;
  const Needs& needs = needs_[list];
  const Tally tally = Count(list);
  const bool of_primaries = tally.held >= needs.w;
  const std::string where = list > 0 ? " in the list that the key moves to or from" : "";
  const bool unordered = tally.held >= needs.w && tally.primaries >= needs.pw && ordered_;
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
  for (size_t i = 0; i < replicas_.size(); ++i) OweIfMissing(i, actions);
}

void PutCore::OweIfMissing(size_t index, Actions* actions) {
  Replica& replica = replicas_[index];
  if (replica.Held() || replica.owed || replica.set == 0) return;
  // Only what this node holds itself can be owed.
  if (!updated_ || is_fallback_ || index == self_) return;
  if (replica.Pending() && !expired_) return;
  replica.owed = true;
  actions->push_back({ActionKind::kOwe, index});
}

}  // namespace lariat::coordinator

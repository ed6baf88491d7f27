// SPDX-License-Identifier: Apache-2.0
#include "coordinator/put_core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lariat::coordinator {

using base::Code;

namespace {

bool HasOther(const std::vector<ListSet>& sets) {
  return std::any_of(sets.begin(), sets.end(), [](ListSet set) { return (set & kInOther) != 0; });
}

}  // namespace

PutCore::PutCore(Options options, const std::vector<bool>& usable, const std::vector<ListSet>& sets)
    : options_(options), replicas_(usable.size()), two_lists_(HasOther(sets)) {
  LARIAT_CHECK(options.w >= 1, "a write needs at least one replica");
  LARIAT_CHECK(options.self < usable.size(), "the coordinator is a replica");
  LARIAT_CHECK(sets.empty() || sets.size() == usable.size(), "every replica has its lists");
  for (size_t i = 0; i < usable.size(); ++i) {
    if (!usable[i]) replicas_[i].state = State::kUnreachable;
    if (!sets.empty()) replicas_[i].set = sets[i];
  }
  replicas_[options.self].state = State::kSent;
}

PutCore::Actions PutCore::OnUpdated() {
  LARIAT_CHECK(!updated_, "one write makes one event");
  updated_ = true;
  Actions actions;
  if (finished_) return actions;
  for (size_t i = 0; i < replicas_.size(); ++i) {
    if (replicas_[i].state != State::kIdle) continue;
    replicas_[i].state = State::kSent;
    actions.push_back({ActionKind::kSendWrite, i});
  }
  CheckEnd(&actions);
  return actions;
}

PutCore::Actions PutCore::OnRefused(base::Error error) {
  Actions actions;
  replicas_[options_.self].state = State::kFailed;
  if (!finished_) GiveUp(std::move(error), &actions);
  return actions;
}

PutCore::Actions PutCore::OnAck(size_t replica) {
  Actions actions;
  if (replicas_[replica].state != State::kSent) return actions;
  // A node that is in no list any more may drop what it holds.
  replicas_[replica].state = replicas_[replica].set != 0 ? State::kAcked : State::kUnreachable;
  if (!finished_) CheckEnd(&actions);
  return actions;
}

PutCore::Actions PutCore::OnFailure(size_t replica, const base::Error& error) {
  Actions actions;
  if (replicas_[replica].state != State::kSent) return actions;
  replicas_[replica].state = State::kFailed;
  last_failure_ = error.message;
  if (!finished_) CheckEnd(&actions);
  return actions;
}

PutCore::Actions PutCore::OnTimeout() {
  Actions actions;
  if (finished_) return actions;
  GiveUp(Unknown("replicas did not acknowledge in time"), &actions);
  return actions;
}

PutCore::Actions PutCore::OnNewLists(uint32_t w, uint32_t w_other, const std::vector<bool>& usable,
                                     const std::vector<ListSet>& sets) {
  LARIAT_CHECK(updated_, "before the event there is nothing to go on with");
  LARIAT_CHECK(sets.size() >= replicas_.size() && sets.size() == usable.size(),
               "replicas keep their index");
  options_.w = w;
  options_.w_other = w_other;
  two_lists_ = HasOther(sets);
  replicas_.resize(sets.size());
  Actions actions;
  for (size_t i = 0; i < replicas_.size(); ++i) {
    Replica& replica = replicas_[i];
    replica.set = sets[i];
    if (replica.state == State::kSent) continue;
    // What it acknowledged is forgotten: see OnAck.
    if (replica.set == 0) replica.state = State::kUnreachable;
    if (replica.set == 0 || replica.state == State::kAcked || !usable[i]) continue;
    replica.state = State::kSent;
    actions.push_back({ActionKind::kSendWrite, i});
  }
  if (!finished_) CheckEnd(&actions);
  return actions;
}

uint32_t PutCore::Count(ListSet list, State state) const {
  return static_cast<uint32_t>(
      std::count_if(replicas_.begin(), replicas_.end(), [list, state](const Replica& replica) {
        return (replica.set & list) != 0 && replica.state == state;
      }));
}

std::vector<size_t> PutCore::Missing() const {
  std::vector<size_t> missing;
  for (size_t i = 0; i < replicas_.size(); ++i) {
    if (replicas_[i].set != 0 && replicas_[i].state != State::kAcked) missing.push_back(i);
  }
  return missing;
}

bool PutCore::Lost(ListSet list, uint32_t w) const {
  const uint32_t to_come = Count(list, State::kSent) + (updated_ ? 0 : Count(list, State::kIdle));
  return Count(list, State::kAcked) + to_come < w;
}

void PutCore::CheckEnd(Actions* actions) {
  if (Held(kInRead, options_.w) && (!two_lists_ || Held(kInOther, options_.w_other))) {
    finished_ = true;
    actions->push_back({ActionKind::kDone, 0});
    return;
  }
  if (!Lost(kInRead, options_.w) && (!two_lists_ || !Lost(kInOther, options_.w_other))) return;
  const std::string why = last_failure_.empty() ? "" : " (" + last_failure_ + ")";
  GiveUp(Unknown("too few replicas acknowledged" + why), actions);
}

// With the figures of the list that is short.
base::Error PutCore::Unknown(const std::string& why) const {
  const bool other = Held(kInRead, options_.w);
  const std::string where = other ? " in the list that the key moves to or from" : "";
  return {Code::kUnknown, why + where + "; the write may or may not have happened",
          other ? options_.w_other : options_.w, Count(other ? kInOther : kInRead, State::kAcked)};
}

void PutCore::GiveUp(base::Error error, Actions* actions) {
  finished_ = true;
  error_ = std::move(error);
  actions->push_back({ActionKind::kFail, 0});
}

}  // namespace lariat::coordinator

// SPDX-License-Identifier: Apache-2.0
#include "coordinator/put_core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lariat::coordinator {

using base::Code;

PutCore::PutCore(Options options, std::vector<bool> usable) : options_(options) {
  LARIAT_CHECK(options.w >= 1, "a write needs at least one replica");
  LARIAT_CHECK(options.self < usable.size(), "the coordinator is a replica");
  for (const bool u : usable) replicas_.push_back(u ? State::kIdle : State::kUnreachable);
  replicas_[options.self] = State::kSent;
}

PutCore::Actions PutCore::OnUpdated() {
  LARIAT_CHECK(!updated_, "one write makes one event");
  updated_ = true;
  Actions actions;
  if (finished_) return actions;
  for (size_t i = 0; i < replicas_.size(); ++i) {
    if (replicas_[i] != State::kIdle) continue;
    replicas_[i] = State::kSent;
    actions.push_back({ActionKind::kSendWrite, i});
  }
  CheckEnd(&actions);
  return actions;
}

PutCore::Actions PutCore::OnRefused(base::Error error) {
  Actions actions;
  replicas_[options_.self] = State::kFailed;
  if (!finished_) GiveUp(std::move(error), &actions);
  return actions;
}

PutCore::Actions PutCore::OnAck(size_t replica) {
  Actions actions;
  if (replicas_[replica] != State::kSent) return actions;
  replicas_[replica] = State::kAcked;
  if (!finished_) CheckEnd(&actions);
  return actions;
}

PutCore::Actions PutCore::OnFailure(size_t replica, const base::Error& error) {
  Actions actions;
  if (replicas_[replica] != State::kSent) return actions;
  replicas_[replica] = State::kFailed;
  last_failure_ = error.message;
  if (!finished_) CheckEnd(&actions);
  return actions;
}

PutCore::Actions PutCore::OnTimeout() {
  Actions actions;
  if (finished_) return actions;
  GiveUp({Code::kUnknown,
          "replicas did not acknowledge in time; the write may or may not have happened",
          options_.w, Acks()},
         &actions);
  return actions;
}

uint32_t PutCore::Acks() const {
  return static_cast<uint32_t>(std::count(replicas_.begin(), replicas_.end(), State::kAcked));
}

std::vector<size_t> PutCore::Missing() const {
  std::vector<size_t> missing;
  for (size_t i = 0; i < replicas_.size(); ++i) {
    if (replicas_[i] != State::kAcked) missing.push_back(i);
  }
  return missing;
}

void PutCore::CheckEnd(Actions* actions) {
  const uint32_t acks = Acks();
  if (acks >= options_.w) {
    finished_ = true;
    actions->push_back({ActionKind::kDone, 0});
    return;
  }
  const auto outstanding = static_cast<uint32_t>(
      std::count(replicas_.begin(), replicas_.end(), State::kSent) +
      (updated_ ? 0 : std::count(replicas_.begin(), replicas_.end(), State::kIdle)));
  if (acks + outstanding >= options_.w) return;
  const std::string why = last_failure_.empty() ? "" : " (" + last_failure_ + ")";
  GiveUp({Code::kUnknown,
          "too few replicas acknowledged" + why + "; the write may or may not have happened",
          options_.w, acks},
         actions);
}

void PutCore::GiveUp(base::Error error, Actions* actions) {
  finished_ = true;
  error_ = std::move(error);
  actions->push_back({ActionKind::kFail, 0});
}

}  // namespace lariat::coordinator

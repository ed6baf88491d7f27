// SPDX-License-Identifier: Apache-2.0
#include "repair/exchange/mend_core.h"

#include <algorithm>

#include "base/check.h"

namespace lariat::repair {

using base::Code;
using base::Fail;

MendCore::MendCore(std::vector<std::string> keys) : keys_(std::move(keys)), covered_(keys_.size()) {
  LARIAT_CHECK(!keys_.empty(), "a batch has a key");
  requests_.emplace_back(Side::kOurs, wire::FetchRequest{keys_});
  requests_.emplace_back(Side::kTheirs, wire::FetchRequest{keys_});
}

std::vector<MendCore::Request> MendCore::TakeRequests() { return std::exchange(requests_, {}); }

base::Status MendCore::OnReply(Side side, wire::Body body) {
  if (auto* fetched = std::get_if<wire::FetchReply>(&body)) {
    if (!fetched->outcome.ok()) return Fail(fetched->outcome.ToError());
    if (step_ == Step::kCompare) return TakeFetched(side, std::move(*fetched));
    if (step_ == Step::kReread) return TakeReread(std::move(*fetched));
  }
  if (auto* pushed = std::get_if<wire::RecordPushReply>(&body)) {
    if (!pushed->outcome.ok()) return Fail(pushed->outcome.ToError());
    if (step_ == Step::kJoin && joins_.empty()) {
      AfterJoin();
      return {};
    }
    if (step_ == Step::kJoin) {
      PushNext(Side::kOurs, &joins_);
      return {};
    }
    if (step_ == Step::kSend) {
      sent_ += pushed_now_;
      Send();
      return {};
    }
  }
  return Fail(Code::kInternal, "an answer of another kind");
}

// --- comparing ---------------------------------------------------------------------------------

base::Status MendCore::TakeFetched(Side side, wire::FetchReply reply) {
  Objects objects;
  for (auto& entry : reply.entries) {
    if (!std::binary_search(keys_.begin(), keys_.end(), entry.key)) {
      return Fail(Code::kInternal, "an object that was not asked for");
    }
    objects.emplace(std::move(entry.key), std::move(entry.object));
  }
  if (!reply.complete) {
    // What comes behind the last one was not looked at.
    if (objects.empty()) return Fail(Code::kInternal, "an answer that gets no further");
    const auto end = std::upper_bound(keys_.begin(), keys_.end(), objects.rbegin()->first);
    covered_ = std::min(covered_, static_cast<size_t>(end - keys_.begin()));
  }
  (side == Side::kOurs ? ours_ : theirs_) = std::move(objects);
  if (ours_ && theirs_) Compare();
  return {};
}

void MendCore::Compare() {
  rest_.assign(keys_.begin() + static_cast<ptrdiff_t>(covered_), keys_.end());
  Objects to_join;
  for (size_t i = 0; i < covered_; ++i) {
    const std::string& key = keys_[i];
    const auto mine = ours_->find(key);
    const auto other = theirs_->find(key);
    const bool have = mine != ours_->end();
    if (other == theirs_->end()) {
      if (have) to_send_.emplace(key, std::move(mine->second));
      continue;
    }
    if (have && mine->second == other->second) continue;
    if (have) {
      joined_.emplace(key, base::HashOf128(mine->second));
      reread_.push_back(key);
    } else {
      ++received_;
    }
    to_join.emplace(key, other->second);
  }
  ours_.reset();
  step_ = Step::kJoin;
  joins_ = Cut(std::move(to_join));
  if (joins_.empty()) return AfterJoin();
  PushNext(Side::kOurs, &joins_);
}

// --- after the join ----------------------------------------------------------------------------

void MendCore::AfterJoin() {
  step_ = Step::kReread;
  if (!reread_.empty()) return AskReread();
  step_ = Step::kSend;
  sends_ = Cut(std::move(to_send_));
  Send();
}

void MendCore::AskReread() { requests_.emplace_back(Side::kOurs, wire::FetchRequest{reread_}); }

base::Status MendCore::TakeReread(wire::FetchReply reply) {
  size_t answered = reply.complete ? reread_.size() : 0;
  for (auto& entry : reply.entries) {
    const auto found = std::lower_bound(reread_.begin(), reread_.end(), entry.key);
    if (found == reread_.end() || *found != entry.key) {
      return Fail(Code::kInternal, "an object that was not asked for");
    }
    answered = std::max(answered, static_cast<size_t>(found - reread_.begin()) + 1);
    if (base::HashOf128(entry.object) != joined_.at(entry.key)) ++received_;
    if (entry.object == theirs_->at(entry.key)) continue;
    to_send_.emplace(std::move(entry.key), std::move(entry.object));
  }
  if (answered == 0) return Fail(Code::kInternal, "an answer that gets no further");
  reread_.erase(reread_.begin(), reread_.begin() + static_cast<ptrdiff_t>(answered));
  AfterJoin();
  return {};
}

// --- sending -----------------------------------------------------------------------------------

void MendCore::Send() {
  if (!sends_.empty()) return PushNext(Side::kTheirs, &sends_);
  step_ = Step::kFinished;
  theirs_.reset();
}

void MendCore::PushNext(Side side, std::deque<wire::RecordPush>* pushes) {
  pushed_now_ = pushes->front().entries.size();
  requests_.emplace_back(side, std::move(pushes->front()));
  pushes->pop_front();
}

std::deque<wire::RecordPush> MendCore::Cut(Objects objects) {
  std::deque<wire::RecordPush> pushes;
  size_t bytes = 0;
  for (auto& [key, object] : objects) {
    const size_t size = key.size() + object.size();
    const bool full = !pushes.empty() && (bytes + size > wire::kRecordBytesMax ||
                                          pushes.back().entries.size() == wire::kRecordsMax);
    if (pushes.empty() || full) {
      pushes.emplace_back();
      bytes = 0;
    }
    bytes += size;
    pushes.back().entries.push_back({key, std::move(object)});
  }
  return pushes;
}

}  // namespace lariat::repair

// SPDX-License-Identifier: Apache-2.0
#include "coordinator/internal/get_replicas.h"

#include <utility>

#include "base/check.h"

namespace lariat::coordinator {

GetReplicas::GetReplicas(const GetOptions& options, const std::vector<bool>& usable,
                         const std::vector<ListSet>& sets)
    : all_(usable.size()), readers_(usable.size()), fallbacks_(options.fallbacks) {
  LARIAT_CHECK(sets.empty() || sets.size() == usable.size(), "every replica has its lists");
  for (size_t i = 0; i < usable.size(); ++i) all_[i].usable = usable[i];
  if (!sets.empty()) readers_ = 0;
  for (size_t i = 0; i < sets.size(); ++i) {
    all_[i].set = sets[i];
    lists_ |= sets[i];
    if ((sets[i] & kInRead) == 0) continue;
    LARIAT_CHECK(readers_ == i, "those of the read list come first");
    ++readers_;
  }
  LARIAT_CHECK(options.fallbacks <= readers_, "fallbacks come behind the read list");
  for (size_t i = readers_ - options.fallbacks; i < readers_; ++i) all_[i].fallback = true;
}

size_t GetReplicas::Count(State state) const {
  size_t count = 0;
  for (const Replica& replica : readers()) count += replica.state == state ? 1 : 0;
  return count;
}

uint32_t GetReplicas::Answered() const {
  return static_cast<uint32_t>(Count(State::kHasData) + Count(State::kHasDigest));
}

uint32_t GetReplicas::FallbacksAnswered() const {
  uint32_t count = 0;
  for (const Replica& replica : readers()) count += replica.fallback && replica.Answered() ? 1 : 0;
  return count;
}

bool GetReplicas::AskOne(State how, GetActions* actions) {
  for (size_t i = 0; i < primaries(); ++i) {
    Replica& replica = all_[i];
    if (replica.state != State::kUnasked || !replica.usable) continue;
    replica.state = how;
    actions->push_back(
        {how == State::kAskedData ? GetActionKind::kReadData : GetActionKind::kReadDigest, i});
    return true;
  }
  return fallbacks_ > 0 && AskFallback(how, actions);
}

// For the next replica that cannot answer itself.
bool GetReplicas::AskFallback(State how, GetActions* actions) {
  const auto gone = [](const Replica& replica) {
    return !replica.usable || replica.state == State::kFailed;
  };
  size_t absent = 0;
  while (absent < primaries() && (!gone(all_[absent]) || all_[absent].stood_for)) ++absent;
  size_t i = primaries();
  while (i < readers_ && all_[i].state != State::kUnasked) ++i;
  if (absent == primaries() || i == readers_) return false;
  Replica& fallback = all_[i];
  fallback.state = how;
  fallback.set = all_[absent].set;
  fallback.stands_for = absent;
  all_[absent].stood_for = true;
  actions->push_back(
      {how == State::kAskedData ? GetActionKind::kReadData : GetActionKind::kReadDigest, i,
       absent});
  return true;
}

bool GetReplicas::AskHolder(ListSet lists, GetActions* actions) {
  for (size_t i = readers_; i < all_.size(); ++i) {
    Replica& replica = all_[i];
    const bool free = replica.state == State::kUnasked && replica.usable;
    if (!free || (replica.set & lists) == 0) continue;
    replica.state = State::kAskedDigest;
    actions->push_back({GetActionKind::kReadDigest, i});
    return true;
  }
  return false;
}

bool GetReplicas::AskForData(GetActions* actions) {
  bool asked = false;
  for (size_t i = 0; i < readers_; ++i) {
    Replica& replica = all_[i];
    if (replica.state != State::kHasDigest) continue;
    bool explained = false;
    for (const Replica& other : readers()) {
      if (other.state == State::kHasData && other.digest == replica.digest) explained = true;
    }
    if (explained) continue;
    replica.state = State::kAskedData;
    actions->push_back({GetActionKind::kReadData, i, replica.stands_for});
    asked = true;
  }
  return asked;
}

uint32_t GetReplicas::Holders(size_t list) const {
  uint32_t holders = 0;
  for (const Replica& replica : all_) {
    holders += IsIn(replica.set, list) && replica.write == WriteState::kHolds ? 1 : 0;
  }
  return holders;
}

uint32_t GetReplicas::Pending(size_t list) const {
  uint32_t pending = 0;
  for (size_t i = 0; i < all_.size(); ++i) {
    const Replica& replica = all_[i];
    if (!IsIn(replica.set, list)) continue;
    const bool asked = i >= readers_ && replica.write == WriteState::kNone && replica.Asked();
    pending += replica.write == WriteState::kSent || asked ? 1 : 0;
  }
  return pending;
}

bool Joined::Join(std::span<const GetReplicas::Replica> replicas) {
  const GetReplicas::Replica* only = nullptr;
  bool same = true;
  for (const GetReplicas::Replica& replica : replicas) {
    if (replica.Answered() && !replica.idempotency_answer.empty()) {
      idempotency_answer = replica.idempotency_answer;
    }
    if (replica.state != GetReplicas::State::kHasData || !replica.found) continue;
    if (only == nullptr) {
      only = &replica;
    } else if (replica.digest != only->digest) {
      same = false;
    }
  }
  if (only == nullptr) return true;  // nobody has it
  found = true;
  auto first = causal::Object::Decode(only->object);
  if (!first) return false;
  object = std::move(*first);
  if (same) {
    bytes = only->object;
    digest = only->digest;
    return true;
  }
  for (const GetReplicas::Replica& replica : replicas) {
    if (replica.state != GetReplicas::State::kHasData || !replica.found || &replica == only)
      continue;
    auto other = causal::Object::Decode(replica.object);
    if (!other || !object.Join(*other)) return false;
  }
  bytes = object.Encode();
  digest = causal::Object::Digest(bytes);
  return true;
}

}  // namespace lariat::coordinator

// SPDX-License-Identifier: Apache-2.0
#include "coordinator/get_core.h"

#include <utility>

#include "base/check.h"

namespace lariat::coordinator {

using base::Code;

GetCore::GetCore(Options options, std::vector<bool> usable)
    : options_(options), replicas_(usable.size()), merged_(options.kind) {
  LARIAT_CHECK(options.r >= 1, "a read needs at least one replica");
  for (size_t i = 0; i < usable.size(); ++i) replicas_[i].usable = usable[i];
}

size_t GetCore::Count(State state) const {
  size_t count = 0;
  for (const Replica& replica : replicas_) count += replica.state == state ? 1 : 0;
  return count;
}

size_t GetCore::Outstanding() const {
  return Count(State::kAskedData) + Count(State::kAskedDigest);
}

uint32_t GetCore::Answered() const {
  return static_cast<uint32_t>(Count(State::kHasData) + Count(State::kHasDigest));
}

bool GetCore::AskOne(State how, Actions* actions) {
  for (size_t i = 0; i < replicas_.size(); ++i) {
    Replica& replica = replicas_[i];
    if (replica.state != State::kUnasked || !replica.usable) continue;
    replica.state = how;
    actions->push_back(
        {how == State::kAskedData ? ActionKind::kReadData : ActionKind::kReadDigest, i});
    return true;
  }
  return false;
}

GetCore::Actions GetCore::Start() {
  Actions actions;
  for (uint32_t i = 0; i < options_.r; ++i) {
    if (!AskOne(i == 0 ? State::kAskedData : State::kAskedDigest, &actions)) break;
  }
  if (actions.size() < options_.r) {
    const auto alive = static_cast<uint32_t>(actions.size());
    actions.clear();
    GiveUp({Code::kInsufficientReplicas, "too few replicas are alive", options_.r, alive},
           &actions);
  }
  return actions;
}

GetCore::Actions GetCore::OnReadReply(size_t index, wire::ReadReply reply) {
  if (!reply.outcome.ok()) return OnFailure(index, reply.outcome.ToError());
  Actions actions;
  Replica& replica = replicas_[index];
  const bool wanted = replica.state == State::kAskedData || replica.state == State::kAskedDigest;
  if (finished_ || !wanted) return actions;
  // "Not there" is complete without data.
  const bool complete = replica.state == State::kAskedData || !reply.found;
  replica.state = complete ? State::kHasData : State::kHasDigest;
  replica.found = reply.found;
  replica.digest = reply.digest;
  replica.object = std::move(reply.object);
  if (!reply.idempotency_answer.empty()) {
    replica.idempotency_answer = std::move(reply.idempotency_answer);
  }
  Progress(&actions);
  return actions;
}

GetCore::Actions GetCore::OnFailure(size_t index, base::Error error) {
  Actions actions;
  Replica& replica = replicas_[index];
  const bool asked = replica.state == State::kAskedData || replica.state == State::kAskedDigest;
  if (finished_ || !asked) return actions;
  const State was = replica.state;
  replica.state = State::kFailed;
  last_failure_ = std::move(error);
  AskOne(was, &actions);
  Progress(&actions);
  return actions;
}

GetCore::Actions GetCore::OnHedge() {
  Actions actions;
  if (finished_ || writing_back_) return actions;
  // Data, not a digest: it can stand in for whichever replica is late.
  AskOne(State::kAskedData, &actions);
  return actions;
}

GetCore::Actions GetCore::OnTimeout() {
  Actions actions;
  if (finished_) return actions;
  GiveUp({Code::kTimeout, "replicas did not answer in time; nothing was changed by the read",
          options_.r, Answered()},
         &actions);
  return actions;
}

void GetCore::Progress(Actions* actions) {
  if (Answered() + Outstanding() < options_.r) {
    const std::string why = last_failure_.message.empty() ? "" : ": " + last_failure_.message;
    GiveUp({Code::kUnavailable, "too few replicas could answer" + why, options_.r, Answered()},
           actions);
    return;
  }
  if (writing_back_ || Answered() < options_.r) return;
  // A digest alone cannot be shown: there has to be data that goes with it.
  if (Count(State::kHasData) == 0) {
    if (Count(State::kAskedData) > 0 || AskOne(State::kAskedData, actions)) return;
    Resolve(actions);
    return;
  }
  bool agree = true;
  for (const Replica& a : replicas_) {
    for (const Replica& b : replicas_) {
      const bool both = (a.state == State::kHasData || a.state == State::kHasDigest) &&
                        (b.state == State::kHasData || b.state == State::kHasDigest);
      if (both && a.digest != b.digest) agree = false;
    }
  }
  if (!agree) disagreed_ = true;
  Resolve(actions);
}

// Fetches the data behind every digest that nobody's data explains, then merges.
void GetCore::Resolve(Actions* actions) {
  bool waiting = false;
  bool waiting_for_answer = false;
  for (size_t i = 0; i < replicas_.size(); ++i) {
    Replica& replica = replicas_[i];
    if (replica.state == State::kAskedData && disagreed_) waiting = true;
    if (replica.state != State::kHasDigest) continue;
    bool explained = false;
    for (const Replica& other : replicas_) {
      if (other.state == State::kHasData && other.digest == replica.digest) explained = true;
    }
    if (explained) continue;
    replica.state = State::kAskedData;
    actions->push_back({ActionKind::kReadData, i});
    waiting = true;
  }
  for (const Replica& replica : replicas_) {
    const bool has_answer = !replica.idempotency_answer.empty();
    if (has_answer && replica.state == State::kAskedData) waiting_for_answer = true;
  }
  // An answer tells of an event: without its data the state shown could lack it.
  if (waiting_for_answer || (waiting && Answered() < options_.r)) return;
  if (Count(State::kHasData) == 0) return;
  if (!MergeAll()) {
    GiveUp({Code::kCorruption, "a replica sent a malformed object"}, actions);
    return;
  }
  WriteBack(actions);
}

bool GetCore::MergeAll() {
  const Replica* only = nullptr;
  bool same = true;
  for (const Replica& replica : replicas_) {
    const bool included = replica.state == State::kHasData || replica.state == State::kHasDigest;
    if (included && !replica.idempotency_answer.empty()) {
      idempotency_answer_ = replica.idempotency_answer;
    }
    if (replica.state != State::kHasData || !replica.found) continue;
    if (only == nullptr) {
      only = &replica;
    } else if (replica.digest != only->digest) {
      same = false;
    }
  }
  if (only == nullptr) return true;  // nobody has it
  merged_found_ = true;
  auto first = causal::Object::Decode(only->object);
  if (!first) return false;
  merged_ = std::move(*first);
  if (same) {
    merged_bytes_ = only->object;
    merged_digest_ = only->digest;
    return true;
  }
  for (const Replica& replica : replicas_) {
    if (replica.state != State::kHasData || !replica.found || &replica == only) continue;
    auto other = causal::Object::Decode(replica.object);
    if (!other || !merged_.Join(*other)) return false;
  }
  merged_bytes_ = merged_.Encode();
  merged_digest_ = causal::Object::Digest(merged_bytes_);
  return true;
}

void GetCore::WriteBack(Actions* actions) {
  writing_back_ = true;
  for (size_t i = 0; i < replicas_.size(); ++i) {
    Replica& replica = replicas_[i];
    if (replica.state != State::kHasData && replica.state != State::kHasDigest) continue;
    const bool holds = merged_found_ ? replica.digest == merged_digest_ : !replica.found;
    if (holds) {
      replica.write = WriteState::kHolds;
      continue;
    }
    replica.write = WriteState::kSent;
    actions->push_back({ActionKind::kWriteBack, i});
  }
  CheckHolders(actions);
}

GetCore::Actions GetCore::OnWriteBackReply(size_t index, bool ok) {
  Actions actions;
  Replica& replica = replicas_[index];
  if (finished_ || replica.write != WriteState::kSent) return actions;
  replica.write = ok ? WriteState::kHolds : WriteState::kFailed;
  if (!ok) {
    // Somebody else has to hold it instead.
    for (size_t i = 0; i < replicas_.size(); ++i) {
      if (replicas_[i].write != WriteState::kNone || !replicas_[i].usable) continue;
      replicas_[i].write = WriteState::kSent;
      actions.push_back({ActionKind::kWriteBack, i});
      break;
    }
  }
  CheckHolders(&actions);
  return actions;
}

void GetCore::CheckHolders(Actions* actions) {
  size_t holders = 0;
  size_t possible = 0;
  for (const Replica& replica : replicas_) {
    holders += replica.write == WriteState::kHolds ? 1 : 0;
    possible += replica.write == WriteState::kSent ? 1 : 0;
  }
  if (!options_.strict || holders >= options_.r) {
    Finish(actions);
  } else if (holders + possible < options_.r) {
    GiveUp({Code::kUnavailable, "replicas disagree and could not be brought together", options_.r,
            static_cast<uint32_t>(holders)},
           actions);
  }
}

void GetCore::Finish(Actions* actions) {
  finished_ = true;
  actions->push_back({ActionKind::kDone, 0});
}

void GetCore::GiveUp(base::Error error, Actions* actions) {
  finished_ = true;
  error_ = std::move(error);
  actions->push_back({ActionKind::kFail, 0});
}

}  // namespace lariat::coordinator

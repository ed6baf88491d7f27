// SPDX-License-Identifier: Apache-2.0
#include "coordinator/get_core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lariat::coordinator {

using base::Code;

GetCore::GetCore(Options options, const std::vector<bool>& usable, const std::vector<ListSet>& sets)
    : options_(options), replicas_(usable.size()), readers_(usable.size()), merged_(options.kind) {
  LARIAT_CHECK(options.lists[0].r >= 1, "a read needs at least one replica");
  LARIAT_CHECK(sets.empty() || sets.size() == usable.size(), "every replica has its lists");
  for (size_t i = 0; i < usable.size(); ++i) replicas_[i].usable = usable[i];
  if (!sets.empty()) readers_ = 0;
  for (size_t i = 0; i < sets.size(); ++i) {
    replicas_[i].set = sets[i];
    lists_ |= sets[i];
    if ((sets[i] & kInRead) == 0) continue;
    LARIAT_CHECK(readers_ == i, "those of the read list come first");
    ++readers_;
  }
  LARIAT_CHECK(options.fallbacks <= readers_, "fallbacks come behind the read list");
  for (size_t i = readers_ - options.fallbacks; i < readers_; ++i) replicas_[i].fallback = true;
}

size_t GetCore::Count(State state) const {
  size_t count = 0;
  for (const Replica& replica : readers()) count += replica.state == state ? 1 : 0;
  return count;
}

size_t GetCore::Outstanding() const {
  return Count(State::kAskedData) + Count(State::kAskedDigest);
}

uint32_t GetCore::Answered() const {
  return static_cast<uint32_t>(Count(State::kHasData) + Count(State::kHasDigest));
}

uint32_t GetCore::FallbacksAnswered() const {
  uint32_t count = 0;
  for (const Replica& replica : readers()) count += replica.fallback && replica.Answered() ? 1 : 0;
  return count;
}

bool GetCore::AskOne(State how, Actions* actions) {
  const size_t primaries = readers_ - options_.fallbacks;
  for (size_t i = 0; i < primaries; ++i) {
    Replica& replica = replicas_[i];
    if (replica.state != State::kUnasked || !replica.usable) continue;
    replica.state = how;
    actions->push_back(
        {how == State::kAskedData ? ActionKind::kReadData : ActionKind::kReadDigest, i});
    return true;
  }
  return options_.fallbacks > 0 && AskFallback(how, actions);
}

// For the next replica that cannot answer itself.
bool GetCore::AskFallback(State how, Actions* actions) {
  const auto gone = [](const Replica& replica) {
    return !replica.usable || replica.state == State::kFailed;
  };
  const size_t primaries = readers_ - options_.fallbacks;
  size_t absent = 0;
  while (absent < primaries && (!gone(replicas_[absent]) || replicas_[absent].stood_for)) ++absent;
  size_t i = primaries;
  while (i < readers_ && replicas_[i].state != State::kUnasked) ++i;
  if (absent == primaries || i == readers_) return false;
  Replica& fallback = replicas_[i];
  fallback.state = how;
  fallback.set = replicas_[absent].set;
  fallback.stands_for = absent;
  replicas_[absent].stood_for = true;
  actions->push_back(
      {how == State::kAskedData ? ActionKind::kReadData : ActionKind::kReadDigest, i, absent});
  return true;
}

// One that is in one of the lists and not in the read list: whether it holds what that says.
bool GetCore::AskHolder(ListSet lists, Actions* actions) {
  for (size_t i = readers_; i < replicas_.size(); ++i) {
    Replica& replica = replicas_[i];
    const bool free = replica.state == State::kUnasked && replica.usable;
    if (!free || (replica.set & lists) == 0) continue;
    replica.state = State::kAskedDigest;
    actions->push_back({ActionKind::kReadDigest, i});
    return true;
  }
  return false;
}

void GetCore::AskEnoughHolders(Actions* actions) {
  for (size_t list = 1; list < kListsMax; ++list) {
    if (!Counts(list)) continue;
    uint32_t may_hold = 0;
    for (const Replica& replica : replicas_) {
      may_hold += IsIn(replica.set, list) && (replica.Answered() || replica.Asked()) ? 1 : 0;
    }
    while (may_hold < Needed(list) && AskHolder(InList(list), actions)) ++may_hold;
  }
}

bool GetCore::CheckUsable(size_t list, Actions* actions) {
  uint32_t alive = 0;
  uint32_t dead = 0;
  for (const Replica& replica : replicas_) {
    if (!IsIn(replica.set, list) || replica.fallback) continue;
    ++(replica.usable ? alive : dead);
  }
  const uint32_t with_fallbacks = alive + std::min(dead, static_cast<uint32_t>(options_.fallbacks));
  if (with_fallbacks >= Needed(list) && alive >= pr()) return true;
  const bool of_primaries = with_fallbacks >= Needed(list);
  GiveUp({Code::kInsufficientReplicas, "too few replicas are alive",
          of_primaries ? pr() : Needed(list), of_primaries ? alive : with_fallbacks},
         actions);
  return false;
}

GetCore::Actions GetCore::Start() {
  Actions actions;
  for (size_t list = 0; list < kListsMax; ++list) {
    const bool matters = list == 0 || (Counts(list) && !options_.sloppy);
    if (matters && !CheckUsable(list, &actions)) return actions;
  }
  for (uint32_t i = 0; i < r(); ++i) {
    AskOne(i == 0 ? State::kAskedData : State::kAskedDigest, &actions);
  }
  AskEnoughHolders(&actions);
  return actions;
}

GetCore::Actions GetCore::OnReadReply(size_t index, wire::ReadReply reply) {
  if (!reply.outcome.ok()) return OnFailure(index, reply.outcome.ToError());
  Actions actions;
  Replica& replica = replicas_[index];
  if ((finished_ && !comparing_) || !replica.Asked()) return actions;
  if (index >= readers_) {
    OnHolderReply(&replica, reply, &actions);
    return actions;
  }
  // "Not there" is complete without data.
  const bool complete = replica.state == State::kAskedData || !reply.found;
  replica.state = complete ? State::kHasData : State::kHasDigest;
  replica.found = reply.found;
  replica.digest = reply.digest;
  replica.object = std::move(reply.object);
  if (!reply.idempotency_answer.empty()) {
    replica.idempotency_answer = std::move(reply.idempotency_answer);
  }
  if (comparing_) {
    Compare(&actions);
    return actions;
  }
  if (writing_back_) {
    NoteHolder(&replica);
    CheckHolders(&actions);
    return actions;
  }
  Progress(&actions);
  return actions;
}

void GetCore::OnHolderReply(Replica* replica, const wire::ReadReply& reply, Actions* actions) {
  replica->state = State::kHasDigest;
  replica->found = reply.found;
  replica->digest = reply.digest;
  if (!writing_back_) return;
  NoteHolder(replica);
  CheckHolders(actions);
}

GetCore::Actions GetCore::OnFailure(size_t index, base::Error error) {
  Actions actions;
  Replica& replica = replicas_[index];
  if ((finished_ && !comparing_) || !replica.Asked()) return actions;
  const State was = replica.state;
  replica.state = State::kFailed;
  if (replica.fallback) replicas_[replica.stands_for].stood_for = false;
  if (comparing_) {
    Compare(&actions);
    return actions;
  }
  last_failure_ = std::move(error);
  if (writing_back_) {
    CheckHolders(&actions);
    return actions;
  }
  if (index < readers_) AskOne(was, &actions);
  AskEnoughHolders(&actions);
  Progress(&actions);
  return actions;
}

GetCore::Actions GetCore::OnHedge() {
  Actions actions;
  if (finished_) return actions;
  // Data, not a digest: it can stand in for whichever replica is late.
  if (!writing_back_) AskOne(State::kAskedData, &actions);
  const bool late = std::any_of(replicas_.begin() + static_cast<std::ptrdiff_t>(readers_),
                                replicas_.end(), [](const Replica& r) { return r.Asked(); });
  if (late) AskHolder(static_cast<ListSet>(~kInRead), &actions);
  return actions;
}

GetCore::Actions GetCore::OnTimeout() {
  Actions actions;
  if (finished_) return actions;
  GiveUp({Code::kTimeout, "replicas did not answer in time; nothing was changed by the read", r(),
          Answered()},
         &actions);
  return actions;
}

// Enough have answered; or, if not, whether that can still be.
bool GetCore::Enough(bool with_outstanding) const {
  uint32_t count = 0;
  uint32_t primaries = 0;
  for (const Replica& replica : readers()) {
    if (!replica.Answered() && !(with_outstanding && replica.Asked())) continue;
    ++count;
    primaries += replica.fallback ? 0 : 1;
  }
  return count >= r() && primaries >= pr();
}

void GetCore::Progress(Actions* actions) {
  if (!Enough(true)) {
    const std::string why = last_failure_.message.empty() ? "" : ": " + last_failure_.message;
    const bool of_primaries = Answered() >= r();
    GiveUp({Code::kUnavailable, "too few replicas could answer" + why, of_primaries ? pr() : r(),
            of_primaries ? Answered() - FallbacksAnswered() : Answered()},
           actions);
    return;
  }
  if (writing_back_ || !Enough(false)) return;
  // A digest alone cannot be shown: there has to be data that goes with it.
  if (Count(State::kHasData) == 0) {
    if (Count(State::kAskedData) > 0 || AskOne(State::kAskedData, actions)) return;
    Resolve(actions);
    return;
  }
  for (const Replica& a : readers()) {
    for (const Replica& b : readers()) {
      if (a.Answered() && b.Answered() && a.digest != b.digest) disagreed_ = true;
    }
  }
  Resolve(actions);
}

// Fetches the data behind every digest that nobody's data explains.
bool GetCore::AskForData(Actions* actions) {
  bool asked = false;
  for (size_t i = 0; i < readers_; ++i) {
    Replica& replica = replicas_[i];
    if (replica.state != State::kHasDigest) continue;
    bool explained = false;
    for (const Replica& other : readers()) {
      if (other.state == State::kHasData && other.digest == replica.digest) explained = true;
    }
    if (explained) continue;
    replica.state = State::kAskedData;
    actions->push_back({ActionKind::kReadData, i, replica.stands_for});
    asked = true;
  }
  return asked;
}

void GetCore::Resolve(Actions* actions) {
  bool waiting = disagreed_ && Count(State::kAskedData) > 0;
  waiting = AskForData(actions) || waiting;
  bool waiting_for_answer = false;
  for (const Replica& replica : readers()) {
    const bool has_answer = !replica.idempotency_answer.empty();
    if (has_answer && replica.state == State::kAskedData) waiting_for_answer = true;
  }
  // An answer tells of an event: without its data the state shown could lack it.
  if (waiting_for_answer || (waiting && !Enough(false))) return;
  if (Count(State::kHasData) == 0) return;
  if (!MergeAll()) {
    GiveUp({Code::kCorruption, "a replica sent a malformed object"}, actions);
    return;
  }
  if (!options_.strict) return Finish(actions);
  WriteBack(actions);
}

bool GetCore::MergeAll() {
  const Replica* only = nullptr;
  bool same = true;
  for (const Replica& replica : readers()) {
    if (replica.Answered() && !replica.idempotency_answer.empty()) {
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
  for (const Replica& replica : readers()) {
    if (replica.state != State::kHasData || !replica.found || &replica == only) continue;
    auto other = causal::Object::Decode(replica.object);
    if (!other || !merged_.Join(*other)) return false;
  }
  merged_bytes_ = merged_.Encode();
  merged_digest_ = causal::Object::Digest(merged_bytes_);
  return true;
}

// --- who holds it --------------------------------------------------------------------------------

void GetCore::WriteBack(Actions* actions) {
  writing_back_ = true;
  if (!merged_found_) return Finish(actions);  // no event, so there is nothing to be held
  for (size_t i = 0; i < replicas_.size(); ++i) {
    Replica& replica = replicas_[i];
    if (!replica.Answered()) continue;
    NoteHolder(&replica);
    if (replica.write == WriteState::kHolds || replica.fallback) continue;
    replica.write = WriteState::kSent;
    actions->push_back({ActionKind::kWriteBack, i});
  }
  CheckHolders(actions);
}

void GetCore::NoteHolder(Replica* replica) const {
  if (replica->found && replica->digest == merged_digest_) replica->write = WriteState::kHolds;
}

GetCore::Actions GetCore::OnWriteBackReply(size_t index, bool ok) {
  Actions actions;
  Replica& replica = replicas_[index];
  if (finished_ || replica.write != WriteState::kSent) return actions;
  replica.write = ok ? WriteState::kHolds : WriteState::kFailed;
  CheckHolders(&actions);
  return actions;
}

GetCore::Actions GetCore::OnOvertaken(size_t index) {
  // What fallbacks took part in has no order, and is shown.
  if (options_.sloppy) return OnWriteBackReply(index, true);
  overtaken_ = true;
  return OnWriteBackReply(index, false);
}

uint32_t GetCore::Holders(size_t list) const {
  uint32_t holders = 0;
  for (const Replica& replica : replicas_) {
    holders += IsIn(replica.set, list) && replica.write == WriteState::kHolds ? 1 : 0;
  }
  return holders;
}

// Those that may turn out to hold it.
uint32_t GetCore::Pending(size_t list) const {
  uint32_t pending = 0;
  for (size_t i = 0; i < replicas_.size(); ++i) {
    const Replica& replica = replicas_[i];
    if (!IsIn(replica.set, list)) continue;
    const bool asked = i >= readers_ && replica.write == WriteState::kNone && replica.Asked();
    pending += replica.write == WriteState::kSent || asked ? 1 : 0;
  }
  return pending;
}

// Somebody else has to hold it instead of one that does not.
bool GetCore::Recruit(size_t list, Actions* actions) {
  for (size_t i = 0; i < replicas_.size(); ++i) {
    Replica& replica = replicas_[i];
    const bool free = replica.write == WriteState::kNone && replica.usable && !replica.fallback;
    if (!IsIn(replica.set, list) || !free) continue;
    if (options_.sloppy && replica.state == State::kFailed) continue;
    if (i >= readers_ && replica.state == State::kUnasked) return AskHolder(InList(list), actions);
    if (i >= readers_ && !replica.Answered()) continue;  // asked, or it could not even be read
    replica.write = WriteState::kSent;
    actions->push_back({ActionKind::kWriteBack, i});
    return true;
  }
  return false;
}

void GetCore::CheckHolders(Actions* actions) {
  bool waiting = false;
  for (size_t list = 0; list < kListsMax; ++list) {
    if (!IsIn(lists_, list)) continue;
    while (Holders(list) + Pending(list) < Needed(list)) {
      if (Recruit(list, actions)) continue;
      if (options_.sloppy) break;
      if (overtaken_) return GiveUp({Code::kStaleEpoch, "the key was written meanwhile"}, actions);
      GiveUp({Code::kUnavailable, "replicas disagree and could not be brought together",
              Needed(list), Holders(list)},
             actions);
      return;
    }
    waiting = waiting || (Holders(list) < Needed(list) && Pending(list) > 0);
  }
  if (!waiting) Finish(actions);
}

// --- after the answer ----------------------------------------------------------------------------

GetCore::Actions GetCore::AfterAnswer(bool all) {
  LARIAT_CHECK(finished_ && !options_.strict, "a strict read compares before its answer");
  Actions actions;
  comparing_ = true;
  for (size_t i = 0; all && i < readers_ - options_.fallbacks; ++i) {
    Replica& replica = replicas_[i];
    if (replica.state != State::kUnasked || !replica.usable) continue;
    replica.state = State::kAskedDigest;
    actions.push_back({ActionKind::kReadDigest, i});
  }
  Compare(&actions);
  return actions;
}

void GetCore::Compare(Actions* actions) {
  if (Outstanding() > 0 || AskForData(actions)) return;
  comparing_ = false;
  if (!MergeAll() || !merged_found_) return;
  for (size_t i = 0; i < readers_ - options_.fallbacks; ++i) {
    Replica& replica = replicas_[i];
    const bool holds = replica.found && replica.digest == merged_digest_;
    if (replica.Answered() && !holds) actions->push_back({ActionKind::kWriteBack, i});
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

// SPDX-License-Identifier: Apache-2.0
#include "coordinator/get_core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lariat::coordinator {

using base::Code;

GetCore::GetCore(Options options, const std::vector<bool>& usable, const std::vector<ListSet>& sets)
    : options_(options), replicas_(options, usable, sets), joined_(options.kind) {
  LARIAT_CHECK(options.lists[0].r >= 1, "a read needs at least one replica");
}

void GetCore::AskEnoughHolders(Actions* actions) {
  for (size_t list = 1; list < kListsMax; ++list) {
    if (!Counts(list)) continue;
    uint32_t may_hold = 0;
    for (const Replica& replica : replicas_.all()) {
      may_hold += IsIn(replica.set, list) && (replica.Answered() || replica.Asked()) ? 1 : 0;
    }
    while (may_hold < options_.lists[list].r && replicas_.AskHolder(InList(list), actions))
      ++may_hold;
  }
}

bool GetCore::CheckUsable(size_t list, Actions* actions) {
  uint32_t alive = 0;
  uint32_t dead = 0;
  for (const Replica& replica : replicas_.all()) {
    if (!IsIn(replica.set, list) || replica.fallback) continue;
    ++(replica.usable ? alive : dead);
  }
  const uint32_t with_fallbacks = alive + std::min(dead, static_cast<uint32_t>(options_.fallbacks));
  if (with_fallbacks >= options_.lists[list].r && alive >= options_.pr()) return true;
  const bool of_primaries = with_fallbacks >= options_.lists[list].r;
  GiveUp({Code::kInsufficientReplicas, "too few replicas are alive",
          of_primaries ? options_.pr() : options_.lists[list].r,
          of_primaries ? alive : with_fallbacks},
         actions);
  return false;
}

GetCore::Actions GetCore::Start() {
  Actions actions;
  for (size_t list = 0; list < kListsMax; ++list) {
    const bool matters = list == 0 || (Counts(list) && !options_.sloppy);
    if (matters && !CheckUsable(list, &actions)) return actions;
  }
  for (uint32_t i = 0; i < options_.r(); ++i) {
    replicas_.AskOne(i == 0 ? State::kAskedData : State::kAskedDigest, &actions);
  }
  AskEnoughHolders(&actions);
  return actions;
}

GetCore::Actions GetCore::OnReadReply(size_t index, wire::ReadReply reply) {
  if (!reply.outcome.ok()) return OnFailure(index, reply.outcome.ToError());
  Actions actions;
  Replica& replica = replicas_[index];
  if ((finished_ && !comparing_) || !replica.Asked()) return actions;
  if (!replicas_.IsReader(index)) {
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
    replica.NoteHolds(joined_.digest);
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
  replica->NoteHolds(joined_.digest);
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
  if (replicas_.IsReader(index)) replicas_.AskOne(was, &actions);
  AskEnoughHolders(&actions);
  Progress(&actions);
  return actions;
}

GetCore::Actions GetCore::OnHedge() {
  Actions actions;
  if (finished_) return actions;
  // Data, not a digest: it can stand in for whichever replica is late.
  if (!writing_back_) replicas_.AskOne(State::kAskedData, &actions);
  const auto others = replicas_.others();
  if (std::any_of(others.begin(), others.end(), [](const Replica& r) { return r.Asked(); })) {
    replicas_.AskHolder(static_cast<ListSet>(~kInRead), &actions);
  }
  return actions;
}

GetCore::Actions GetCore::OnTimeout() {
  Actions actions;
  if (finished_) return actions;
  GiveUp({Code::kTimeout, "replicas did not answer in time; nothing was changed by the read",
          options_.r(), replicas_.Answered()},
         &actions);
  return actions;
}

// Enough have answered; or, if not, whether that can still be.
bool GetCore::Enough(bool with_outstanding) const {
  uint32_t count = 0;
  uint32_t primaries = 0;
  for (const Replica& replica : replicas_.readers()) {
    if (!replica.Answered() && !(with_outstanding && replica.Asked())) continue;
    ++count;
    primaries += replica.fallback ? 0 : 1;
  }
  return count >= options_.r() && primaries >= options_.pr();
}

void GetCore::Progress(Actions* actions) {
  if (!Enough(true)) {
    const std::string why = last_failure_.message.empty() ? "" : ": " + last_failure_.message;
    const bool of_primaries = replicas_.Answered() >= options_.r();
    GiveUp({Code::kUnavailable, "too few replicas could answer" + why,
            of_primaries ? options_.pr() : options_.r(),
            of_primaries ? replicas_.Answered() - replicas_.FallbacksAnswered()
                         : replicas_.Answered()},
           actions);
    return;
  }
  if (writing_back_ || !Enough(false)) return;
  // A digest alone cannot be shown: there has to be data that goes with it.
  if (replicas_.Count(State::kHasData) == 0) {
    if (replicas_.Count(State::kAskedData) > 0 || replicas_.AskOne(State::kAskedData, actions))
      return;
    Resolve(actions);
    return;
  }
  for (const Replica& a : replicas_.readers()) {
    for (const Replica& b : replicas_.readers()) {
      if (a.Answered() && b.Answered() && a.digest != b.digest) disagreed_ = true;
    }
  }
  Resolve(actions);
}

void GetCore::Resolve(Actions* actions) {
  bool waiting = disagreed_ && replicas_.Count(State::kAskedData) > 0;
  waiting = replicas_.AskForData(actions) || waiting;
  bool waiting_for_answer = false;
  for (const Replica& replica : replicas_.readers()) {
    const bool has_answer = !replica.idempotency_answer.empty();
    if (has_answer && replica.state == State::kAskedData) waiting_for_answer = true;
  }
  // An answer tells of an event: without its data the state shown could lack it.
  if (waiting_for_answer || (waiting && !Enough(false))) return;
  if (replicas_.Count(State::kHasData) == 0) return;
  if (!joined_.Join(replicas_.readers())) {
    GiveUp({Code::kCorruption, "a replica sent a malformed object"}, actions);
    return;
  }
  if (!options_.strict) return Finish(actions);
  WriteBack(actions);
}

// --- who holds it --------------------------------------------------------------------------------

void GetCore::WriteBack(Actions* actions) {
  writing_back_ = true;
  if (!joined_.found) return Finish(actions);  // no event, so there is nothing to be held
  for (size_t i = 0; i < replicas_.size(); ++i) {
    Replica& replica = replicas_[i];
    if (!replica.Answered()) continue;
    replica.NoteHolds(joined_.digest);
    if (replica.write == WriteState::kHolds || replica.fallback) continue;
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
  CheckHolders(&actions);
  return actions;
}

GetCore::Actions GetCore::OnOvertaken(size_t index) {
  // What fallbacks took part in has no order, and is shown.
  if (options_.sloppy) return OnWriteBackReply(index, true);
  overtaken_ = true;
  return OnWriteBackReply(index, false);
}

// Somebody else has to hold it instead of one that does not.
bool GetCore::Recruit(size_t list, Actions* actions) {
  for (size_t i = 0; i < replicas_.size(); ++i) {
    Replica& replica = replicas_[i];
    const bool free = replica.write == WriteState::kNone && replica.usable && !replica.fallback;
    if (!IsIn(replica.set, list) || !free) continue;
    if (options_.sloppy && replica.state == State::kFailed) continue;
    if (!replicas_.IsReader(i) && replica.state == State::kUnasked)
      return replicas_.AskHolder(InList(list), actions);
    if (!replicas_.IsReader(i) && !replica.Answered())
      continue;  // asked, or it could not even be read
    replica.write = WriteState::kSent;
    actions->push_back({ActionKind::kWriteBack, i});
    return true;
  }
  return false;
}

void GetCore::CheckHolders(Actions* actions) {
  bool waiting = false;
  for (size_t list = 0; list < kListsMax; ++list) {
    if (!IsIn(replicas_.lists(), list)) continue;
    while (replicas_.Holders(list) + replicas_.Pending(list) < options_.lists[list].r) {
      if (Recruit(list, actions)) continue;
      if (options_.sloppy) break;
      if (overtaken_) return GiveUp({Code::kStaleEpoch, "the key was written meanwhile"}, actions);
      GiveUp({Code::kUnavailable, "replicas disagree and could not be brought together",
              options_.lists[list].r, replicas_.Holders(list)},
             actions);
      return;
    }
    waiting = waiting ||
              (replicas_.Holders(list) < options_.lists[list].r && replicas_.Pending(list) > 0);
  }
  if (!waiting) Finish(actions);
}

// --- after the answer ----------------------------------------------------------------------------

GetCore::Actions GetCore::AfterAnswer(bool all) {
  LARIAT_CHECK(finished_ && !options_.strict, "a strict read compares before its answer");
  Actions actions;
  comparing_ = true;
  for (size_t i = 0; all && i < replicas_.primaries(); ++i) {
    Replica& replica = replicas_[i];
    if (replica.state != State::kUnasked || !replica.usable) continue;
    replica.state = State::kAskedDigest;
    actions.push_back({ActionKind::kReadDigest, i});
  }
  Compare(&actions);
  return actions;
}

void GetCore::Compare(Actions* actions) {
  if (replicas_.Outstanding() > 0 || replicas_.AskForData(actions)) return;
  comparing_ = false;
  if (!joined_.Join(replicas_.readers()) || !joined_.found) return;
  for (size_t i = 0; i < replicas_.primaries(); ++i) {
    Replica& replica = replicas_[i];
    const bool holds = replica.found && replica.digest == joined_.digest;
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

// SPDX-License-Identifier: Apache-2.0
#include "consensus/proposer_core.h"

#include <algorithm>

#include "base/check.h"

namespace lariat::consensus {

std::optional<std::string> ReadOnly(std::optional<std::string_view> /*current*/) {
  return std::nullopt;
}

ProposerCore::ProposerCore(Options options, BallotSource* ballots, Change change,
                           ProposerCache cache)
    : options_(options), ballots_(ballots), change_(std::move(change)), cache_(std::move(cache)) {
  if (options_.lists.empty()) options_.lists.assign(options_.acceptors, 1);
  LARIAT_CHECK(options_.lists.size() == options_.acceptors, "lists of each acceptor");
  if (options_.quorum == 0) options_.quorum = options_.acceptors / 2 + 1;
  LARIAT_CHECK(options_.quorum <= options_.acceptors, "a quorum is of the acceptors");
  LARIAT_CHECK(options_.quorum * 2 > options_.acceptors, "two quorums must meet");
  LARIAT_CHECK(options_.attempts_max >= 1, "an operation has at least one attempt");
}

ProposerCore::Actions ProposerCore::Start() {
  LARIAT_CHECK(phase_ == Phase::kIdle, "an operation starts once");
  if (cache_.empty()) return StartAttempt();
  attempt_ = 1;
  ballot_ = cache_.ballot_;
  ProposerCache used = std::move(cache_);
  return Propose(Ballot{}, std::move(used.value_));
}

ProposerCore::Actions ProposerCore::OnBackedOff() {
  if (phase_ != Phase::kBackOff) return {};
  return StartAttempt();
}

ProposerCore::Actions ProposerCore::StartAttempt() {
  const std::optional<Ballot> ballot = ballots_->Next();
  if (!ballot) return GiveUp(base::Code::kUnavailable, "the ballots are used up");
  ++attempt_;
  ballot_ = *ballot;
  highest_ = Ballot{};
  highest_value_.reset();
  phase_ = Phase::kPrepare;
  return ToAll(ActionKind::kPrepare);
}

ProposerCore::Actions ProposerCore::OnPrepareReply(size_t acceptor, const PrepareReply& reply) {
  ballots_->Observe(reply.seen);
  if (!Awaited(acceptor, Phase::kPrepare, reply.ballot)) return {};
  if (!reply.ok) {
    replies_[acceptor] = Reply::kNo;
    return CheckHopeless();
  }
  replies_[acceptor] = Reply::kYes;
  if (!reply.accepted.IsZero() && reply.accepted == highest_ && reply.value != highest_value_) {
    return GiveUp(base::Code::kCorruption,
                  "one ballot stands for two values: two processes run as the same node");
  }
  if (reply.accepted > highest_) {
    highest_ = reply.accepted;
    highest_value_ = reply.value;
  }
  if (!Said(Reply::kYes)) return {};
  return Propose(highest_, std::move(highest_value_));
}

ProposerCore::Actions ProposerCore::Propose(const Ballot& highest,
                                            std::optional<std::string> current) {
  Lineage lineage = LineageOf(highest);
  refused_ = false;
  if (lineage == Lineage::kUntouched) {
    std::optional<std::string> next = change_(current);
    refused_ = !next.has_value();
    if (next && next != current) {
      lineage = Lineage::kHasChange;
      current = std::move(next);
    }
  }
  made_.push_back({ballot_, lineage});
  proposal_ = {ballot_, std::move(current), Ballot{}};
  if (options_.ask_next) proposal_.next = ballots_->Next().value_or(Ballot{});
  next_promises_.assign(options_.acceptors, false);
  phase_ = Phase::kAccept;
  return ToAll(ActionKind::kAccept);
}

// Values only ever grow out of values of lower ballots. So what was accepted below the first ballot
// that carried the change cannot have it, and neither can the first proposal be decided any more:
// a majority without it has promised a greater ballot.
ProposerCore::Lineage ProposerCore::LineageOf(const Ballot& highest) const {
  bool change_went_out = false;
  for (const Made& made : made_) {
    if (made.ballot == highest) return made.lineage;
    if (made.lineage == Lineage::kUntouched) continue;
    if (made.ballot < highest) change_went_out = true;
  }
  return change_went_out ? Lineage::kMayHaveChange : Lineage::kUntouched;
}

ProposerCore::Actions ProposerCore::OnAcceptReply(size_t acceptor, const AcceptReply& reply) {
  ballots_->Observe(reply.seen);
  if (!Awaited(acceptor, Phase::kAccept, reply.ballot)) return {};
  if (!reply.ok) {
    replies_[acceptor] = Reply::kNo;
    return CheckHopeless();
  }
  replies_[acceptor] = Reply::kYes;
  if (reply.next_promised) next_promises_[acceptor] = true;
  if (!Said(Reply::kYes)) return {};
  return FinishDecided();
}

ProposerCore::Actions ProposerCore::OnFailure(const Action& request) {
  const Phase phase = request.kind == ActionKind::kPrepare ? Phase::kPrepare : Phase::kAccept;
  if (!Awaited(request.acceptor, phase, request.ballot)) return {};
  if (replies_[request.acceptor] != Reply::kNone) return {};
  replies_[request.acceptor] = Reply::kFailed;
  return CheckHopeless();
}

ProposerCore::Actions ProposerCore::OnTimeout() {
  if (finished()) return {};
  return GiveUp(base::Code::kUnavailable, "no majority of the acceptors answered in time");
}

// A yes stands, also when a refusal of a repeated request overtook it: what it says was true then
// and is all that a quorum rests on.
bool ProposerCore::Awaited(size_t acceptor, Phase phase, const Ballot& ballot) const {
  LARIAT_CHECK(acceptor < options_.acceptors, "a reply of an acceptor");
  return phase_ == phase && ballot_ == ballot && replies_[acceptor] != Reply::kYes;
}

template <typename Counts>
bool ProposerCore::IsQuorum(Counts counts) const {
  for (size_t list = 0; list < kListsMax; ++list) {
    size_t all = 0;
    size_t counted = 0;
    for (size_t i = 0; i < options_.acceptors; ++i) {
      if ((options_.lists[i] >> list & 1) == 0) continue;
      ++all;
      if (counts(i)) ++counted;
    }
    const size_t needed = list == 0 && all == options_.acceptors ? options_.quorum : all / 2 + 1;
    if (all > 0 && counted < needed) return false;
  }
  return true;
}

bool ProposerCore::Said(Reply reply) const {
  return IsQuorum([&](size_t i) { return replies_[i] == reply; });
}

ProposerCore::Actions ProposerCore::CheckHopeless() {
  if (!IsQuorum([&](size_t i) { return replies_[i] != Reply::kFailed; })) {
    return GiveUp(base::Code::kUnavailable, "too few acceptors answered");
  }
  const auto may_say_yes = [&](size_t i) {
    return replies_[i] == Reply::kYes || replies_[i] == Reply::kNone;
  };
  if (IsQuorum(may_say_yes)) return {};
  if (attempt_ >= options_.attempts_max) {
    return GiveUp(base::Code::kUnavailable, "other proposers were always faster");
  }
  phase_ = Phase::kBackOff;
  return {{ActionKind::kBackOff, 0, ballot_, attempt_}};
}

ProposerCore::Actions ProposerCore::ToAll(ActionKind kind) {
  replies_.assign(options_.acceptors, Reply::kNone);
  Actions actions;
  for (size_t i = 0; i < options_.acceptors; ++i) actions.push_back({kind, i, ballot_, attempt_});
  return actions;
}

ProposerCore::Actions ProposerCore::Finish(Result result) {
  phase_ = Phase::kFinished;
  result_ = std::move(result);
  return {{ActionKind::kFinish, 0, ballot_, attempt_}};
}

ProposerCore::Actions ProposerCore::FinishDecided() {
  Result result;
  const Lineage lineage = made_.back().lineage;
  result.outcome = refused_ ? Outcome::kRefused : Outcome::kDecided;
  if (lineage == Lineage::kMayHaveChange) {
    result.outcome = Outcome::kUnknown;
    result.error = {base::Code::kUnknown, "another proposer took over; the change may be in"};
  }
  result.changed = lineage == Lineage::kHasChange;
  result.confirmed = true;
  result.value = proposal_.value;
  if (IsQuorum([&](size_t i) { return next_promises_[i]; })) {
    result.cache.ballot_ = proposal_.next;
    result.cache.value_ = proposal_.value;
  }
  return Finish(std::move(result));
}

ProposerCore::Actions ProposerCore::GiveUp(base::Code code, std::string why) {
  const bool change_went_out = std::any_of(
      made_.begin(), made_.end(), [](const Made& m) { return m.lineage != Lineage::kUntouched; });
  Result result;
  if (change_went_out) {
    result.outcome = Outcome::kUnknown;
    result.error = {base::Code::kUnknown, why + "; the change may or may not be applied"};
  } else {
    result.error = {code, std::move(why)};
  }
  return Finish(std::move(result));
}

}  // namespace lariat::consensus

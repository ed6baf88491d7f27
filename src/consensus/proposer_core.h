// SPDX-License-Identifier: Apache-2.0
// One operation on one register, driven by a proposer: CASPaxos (Rystsov, arXiv 1802.07000). Pure:
// replies in, actions out. The caller sends, waits and keeps the time. One thread.
//
//   prepare 7 -> A, B, C      A: nothing accepted    B: accepted (5, "x")      majority: "x" holds
//   change("x") = "y"
//   accept (7, "y") -> all    A: yes    C: yes       majority: "y" is decided; B's answer is late
//
// A change that is refused (change("x") = nullopt: a read, a compare-and-set that lost) is answered
// only after a majority accepted "x" again under the new ballot. Before that, B may be the only one
// that has "x": the next proposer could hear A and C, and answer that "x" never was.
//
// After a conflict the operation tries again. If its own proposal went out before, it may only be
// finished, never made twice: the register's highest accepted ballot says which.
//   below the first ballot it proposed under: nobody took it up; the change is tried afresh
//   a ballot of its own: its value is there; it is proposed again as it is
//   another's: may have been built upon the proposal or not. The value is confirmed, and the
//     outcome is kUnknown with that value, from which callers may be able to tell.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "consensus/acceptor.h"
#include "consensus/ballot.h"

namespace lariat::consensus {

// The next value of a register that holds `current` (nullopt: empty), or nullopt to leave it as it
// is. Called once for each attempt that starts afresh, so it must have no effects.
using Change = std::function<std::optional<std::string>(std::optional<std::string_view> current)>;

std::optional<std::string> ReadOnly(std::optional<std::string_view> current);

// A ballot that a quorum promised beforehand, and what they had accepted: saves the next operation
// on this register its first phase. Serves one operation (so it moves and does not copy), in the
// process that got it, with the same acceptors.
class ProposerCache {
 public:
  ProposerCache() = default;
  ProposerCache(ProposerCache&& other) noexcept { *this = std::move(other); }
  ProposerCache& operator=(ProposerCache&& other) noexcept {
    ballot_ = std::exchange(other.ballot_, Ballot{});
    value_ = std::exchange(other.value_, std::nullopt);
    return *this;
  }
  bool empty() const { return ballot_.IsZero(); }

 private:
  friend class ProposerCore;
  Ballot ballot_;
  std::optional<std::string> value_;
};

class ProposerCore {
 public:
  struct Options {
    size_t acceptors = 0;
    size_t quorum = 0;           // 0: a majority. Two quorums must always meet.
    uint32_t attempts_max = 16;  // the last conflict is a failure
    bool ask_next = false;       // ask for the promise that fills Result::cache
    // Not empty: the lists that each acceptor is in, as bits; a quorum has a majority of each list
    // that anybody is in, and `quorum` is 0. For registers whose acceptors are being changed.
    std::vector<uint8_t> lists = {};
  };

  enum class ActionKind : uint8_t {
    kPrepare,  // send ballot to `acceptor`
    kAccept,   // send proposal() to `acceptor`
    kBackOff,  // wait a random time that grows with `attempt`, then call OnBackedOff
    kFinish    // result() is there; nothing follows
  };
  struct Action {
    ActionKind kind;
    size_t acceptor = 0;
    Ballot ballot;
    uint32_t attempt = 0;  // the attempt that failed, from 1
  };
  using Actions = std::vector<Action>;

  enum class Outcome : uint8_t {
    kDecided,     // `value` was decided; `changed` says whether the change altered it
    kRefused,     // the change refused `value`, which is confirmed; definitely not applied
    kNotApplied,  // definitely not, now or later; `error` says why
    kUnknown      // may have been applied, or be applied later. If `confirmed`, the register held
                  // `value` after the try, and whether that has the change in it is final
  };
  struct Result {
    Outcome outcome = Outcome::kNotApplied;
    bool changed = false;
    bool confirmed = false;  // `value` is what the register held (nullopt: empty)
    std::optional<std::string> value;
    base::Error error;  // of kNotApplied and kUnknown
    ProposerCache cache;
  };

  // `ballots` outlives the core and is the only source of its incarnation.
  ProposerCore(Options options, BallotSource* ballots, Change change, ProposerCache cache = {});

  Actions Start();  // once
  Actions OnPrepareReply(size_t acceptor, const PrepareReply& reply);
  Actions OnAcceptReply(size_t acceptor, const AcceptReply& reply);
  // No answer will come to this action (refused connection, deadline of the one request). It may
  // have arrived all the same. Late and repeated reports of any kind do no harm.
  Actions OnFailure(const Action& request);
  Actions OnBackedOff();
  Actions OnTimeout();

  bool finished() const { return phase_ == Phase::kFinished; }
  // Of the attempt that runs. REQUIRES: its kAccept actions were given out.
  const Proposal& proposal() const { return proposal_; }
  // REQUIRES: finished().
  const Result& result() const { return result_; }
  Result TakeResult() { return std::move(result_); }

 private:
  enum class Phase : uint8_t { kIdle, kPrepare, kAccept, kBackOff, kFinished };
  enum class Reply : uint8_t { kNone, kYes, kNo, kFailed };
  // Of a value that is proposed: what it has to do with this operation's change.
  enum class Lineage : uint8_t { kUntouched, kHasChange, kMayHaveChange };
  struct Made {
    Ballot ballot;
    Lineage lineage;
  };

  Actions StartAttempt();
  Actions Propose(const Ballot& highest, std::optional<std::string> current);
  Lineage LineageOf(const Ballot& highest) const;
  bool Awaited(size_t acceptor, Phase phase, const Ballot& ballot) const;
  // Whether a quorum is among those of whom `counts` is true.
  template <typename Counts>
  bool IsQuorum(Counts counts) const;
  bool Said(Reply reply) const;  // a quorum did
  static constexpr size_t kListsMax = 8;
  Actions CheckHopeless();
  Actions ToAll(ActionKind kind);
  Actions Finish(Result result);
  Actions FinishDecided();
  Actions GiveUp(base::Code code, std::string why);

  Options options_;
  BallotSource* ballots_;
  Change change_;
  ProposerCache cache_;
  Phase phase_ = Phase::kIdle;
  uint32_t attempt_ = 0;
  Ballot ballot_;
  std::vector<Reply> replies_;  // to what this phase of this attempt asked
  std::vector<bool> next_promises_;
  Ballot highest_;  // accepted by those who promised in this attempt
  std::optional<std::string> highest_value_;
  Proposal proposal_;
  bool refused_ = false;    // by the change, in this attempt
  std::vector<Made> made_;  // every proposal that went out, oldest first
  Result result_;
};

}  // namespace lariat::consensus

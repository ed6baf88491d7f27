// SPDX-License-Identifier: Apache-2.0
// One write over its replicas, as a value. The coordinator is itself a replica: it makes the event
// locally first, then sends the full state to the others and answers when w of them, itself
// included, hold it durably.
//
//   n=3 w=2: local update -> write B, write C -> own sync ok, B acks -> done (C's ack is late)
//
// There may be several lists (lists.h), each with its needs: w replicas of each have to hold it,
// and one that is in two counts in both:
//
//   read A B C w=2, move B C D w=2: A and B hold it -> C or D is still needed for the move list
//   read A B C w=2, a list for each of two datacenters, A B w=1 and C w=1: A, B -> C is needed
//
// If the lists change on the way, the write is planned again: acknowledgements are facts about a
// node's disk and stay, new replicas are sent the same object.
//
// A sloppy write has fallbacks: live nodes that are no replicas, in the order to take them. One
// stands in for each replica that is dead or fails before the write is done, and keeps the object
// for it. Its acknowledgement counts as that replica's, in the same lists, but never towards pw:
//
//   n=3 w=2, B and C dead, fallbacks D E: D for B, E for C -> own sync ok, D acks -> done
//
// A replica that has not acknowledged when the write is over, and for which nobody stands in, is
// owed what the coordinator holds (kOwe), once.
//
// Last writer wins: the coordinator's clock chose the stamp, and a write that was acknowledged
// before this one began may have a greater one. Its replicas and ours meet, and each says how ours
// stands (causal::Standing):
//
//   n=3 r=2 w=2, 6 from C acknowledged by B and C, then 5 made at A: B "never held, 6", C too
//
// Done takes w durable copies and n-w+1 replicas that held it: one of these would have had what was
// acknowledged before we began, so there was nothing greater, and whatever is greater now is
// concurrent and comes after. Otherwise the event gets a stamp above those heard of (kRestamp) and
// goes to all again.
//
// That moves it behind other events, so it may be done only to one that no read has returned. Say V
// was read with stamp 5, then W with stamp 6, and then V got 7: the next read would return V, which
// readers have seen both before and after W. What proves that no read has returned the event:
//
//   - A strict read returns what r replicas held. If n-r+1 replicas never held the event, and never
//     will because they hold a greater one, then no r replicas ever did.
//   - The coordinator held it. Still it may be one of the n-r+1 if it has given the event to no
//     read. It looks at the moment in which it replaces the event (`unless_shown`), before others
//     hear of the new stamp.
//
//   n=3 r=2, above: B and C never held 5, two are enough -> kRestamp
//   n=3 r=2, C is silent: B never held it, the coordinator is the second -> kRestamp, unless shown
//
// Without this proof the outcome is unknown. A fallback promises nothing of all this: once one
// takes part, order is not asked for.
//
// Outcomes: before the local update is in, every failure is "definitely not done". After it, the
// event exists and may reach the others later, so every failure is "unknown". Pure.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/result.h"
#include "causal/lww.h"
#include "coordinator/internal/put_state.h"
#include "coordinator/lists.h"

namespace lariat::coordinator {

class PutCore {
 public:
  using Needs = PutNeeds;
  struct Options {
    PerList<Needs> lists;
    size_t self = 0;  // the coordinator's index among the replicas
    size_t fallbacks = 0;
    // The coordinator is no replica: it is the first fallback and makes the event for replica
    // `self`.
    bool is_fallback = false;
  };
  static constexpr size_t kNoFallback = std::numeric_limits<size_t>::max();
  static constexpr uint32_t kRoundsMax = 32;  // stamps of one event
  enum class ActionKind : uint8_t { kSendWrite, kDone, kFail, kOwe, kRestamp };
  struct Action {
    ActionKind kind;
    size_t replica = 0;
    size_t fallback = kNoFallback;  // kSendWrite: who gets it in the place of the replica
    bool unless_shown = false;      // kRestamp: not if a read was given the event here
  };
  using Actions = boost::container::small_vector<Action, 4>;

  // `sets`: the lists of each replica; empty if all are in the read list and there is no other.
  PutCore(Options options, const std::vector<bool>& usable, const std::vector<ListSet>& sets = {});

  // The local update is in the engine.
  Actions OnUpdated(causal::Standing own = causal::Standing::kHeld);
  // The local update was refused: definitely not done.
  Actions OnRefused(base::Error error);
  // The local one too, when it is durable. `greater`: what the replica holds, if another.
  Actions OnAck(size_t replica, causal::Standing standing = causal::Standing::kHeld,
                causal::HlcStamp greater = {});
  Actions OnFailure(size_t replica, const base::Error& error);
  Actions OnFallbackAck(size_t fallback);
  Actions OnFallbackFailure(size_t fallback, const base::Error& error);
  // After kRestamp. The event has its new stamp, durably, at the coordinator: a new round, in which
  // only what is said of that counts.
  Actions OnRestamped(causal::Standing own = causal::Standing::kHeld);
  // A read was given it, and nothing was changed.
  Actions OnShown();
  Actions OnRestampFailed(const base::Error& error);
  // Of the replicas that told of greater ones, the greatest.
  causal::HlcStamp greater() const { return greater_; }
  uint32_t round() const { return round_; }
  bool Ordered() const { return state_.ordered; }
  // The deadline, also of a write that is over: what is missing now is owed.
  Actions OnTimeout();
  // The lists have changed. Replicas keep their index, also those that are in no list any more
  // (set 0); new ones come behind them. Fallbacks are forgotten, but for a coordinator that is one;
  // the new ones are numbered on. REQUIRES: OnUpdated came; as many replicas as there were, or
  // more. A request under way to a replica stays so: its outcome counts as before.
  struct Plan {
    PerList<Needs> lists;
    std::vector<bool> usable;
    std::vector<ListSet> sets;
    size_t fallbacks = 0;      // that may be taken now
    bool is_fallback = false;  // the coordinator still may
  };
  Actions OnNewLists(const Plan& plan);

  bool finished() const { return finished_; }
  // Of the read list: replicas that acknowledged, and those of which only a fallback did.
  uint32_t Acks() const;
  uint32_t FallbackAcks() const;
  const base::Error& error() const { return error_; }
  // Replicas that did not acknowledge (yet).
  std::vector<size_t> Missing() const;
  // The fallback was asked and its answer counts.
  bool Waits(size_t fallback) const;

 private:
  using At = PutState::At;
  using Replica = PutState::Replica;
  struct Fallback {
    size_t replica = kNoFallback;  // whose place it takes
    bool free = true;
  };
  bool Restamp(Actions* actions);
  void TakeFallback(size_t replica, Actions* actions);
  void Send(size_t replica, Actions* actions);
  void CheckEnd(Actions* actions);
  void OweAll(Actions* actions);
  void OweIfMissing(size_t replica, Actions* actions);
  base::Error Unknown(const std::string& why) const;
  void GiveUp(base::Error error, Actions* actions);

  PutState state_;
  bool is_fallback_;
  std::vector<Fallback> fallbacks_;
  size_t first_free_ = 0;  // no fallback before it is free
  bool restamping_ = false;
  uint32_t round_ = 0;
  causal::HlcStamp greater_;
  bool finished_ = false;
  bool expired_ = false;
  base::Error error_;
  std::string last_failure_;
};

}  // namespace lariat::coordinator

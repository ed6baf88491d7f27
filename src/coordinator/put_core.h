// SPDX-License-Identifier: Apache-2.0
// One write over its replicas, as a value. The coordinator is itself a replica: it makes the event
// locally first, then sends the full state to the others and answers when w of them, itself
// included, hold it durably.
//
//   n=3 w=2: local update -> write B, write C -> own sync ok, B acks -> done (C's ack is late)
//
// While the key's range moves there are two lists (lists.h), and w replicas of each have to hold
// it; one that is in both counts in both:
//
//   read A B C, other B C D, w=2: A and B hold it -> C or D is still needed for the other list
//
// If the lists change on the way, the write is planned again: acknowledgements are facts about a
// node's disk and stay, new replicas are sent the same object.
//
// Outcomes: before the local update is in, every failure is "definitely not done". After it, the
// event exists and may reach the others later, so every failure is "unknown". Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "coordinator/lists.h"

namespace lariat::coordinator {

class PutCore {
 public:
  struct Options {
    uint32_t w = 1;
    size_t self = 0;       // the coordinator's index among the replicas
    uint32_t w_other = 1;  // of the other list, if there is one
  };
  enum class ActionKind : uint8_t { kSendWrite, kDone, kFail };
  struct Action {
    ActionKind kind;
    size_t replica = 0;
  };
  using Actions = std::vector<Action>;

  // `sets`: the lists of each replica; empty if all are in the read list and there is no other.
  PutCore(Options options, const std::vector<bool>& usable, const std::vector<ListSet>& sets = {});

  // The local update is in the engine.
  Actions OnUpdated();
  // The local update was refused: definitely not done.
  Actions OnRefused(base::Error error);
  Actions OnAck(size_t replica);  // the local one too, when it is durable
  Actions OnFailure(size_t replica, const base::Error& error);
  Actions OnTimeout();
  // The lists have changed. Replicas keep their index, also those that are in no list any more
  // (set 0); new ones come behind them. REQUIRES: OnUpdated came; as many of both as there were, or
  // more. A request under way stays so: its outcome counts as before.
  Actions OnNewLists(uint32_t w, uint32_t w_other, const std::vector<bool>& usable,
                     const std::vector<ListSet>& sets);

  bool finished() const { return finished_; }
  // Of the read list.
  uint32_t Acks() const { return Count(kInRead, State::kAcked); }
  const base::Error& error() const { return error_; }
  // Replicas that did not acknowledge (yet): owed a hint.
  std::vector<size_t> Missing() const;

 private:
  enum class State : uint8_t { kUnreachable, kIdle, kSent, kAcked, kFailed };
  struct Replica {
    State state = State::kIdle;
    ListSet set = kInRead;
  };

  uint32_t Count(ListSet list, State state) const;
  bool Held(ListSet list, uint32_t w) const { return Count(list, State::kAcked) >= w; }
  // Too few of the list are left.
  bool Lost(ListSet list, uint32_t w) const;
  void CheckEnd(Actions* actions);
  base::Error Unknown(const std::string& why) const;
  void GiveUp(base::Error error, Actions* actions);

  Options options_;
  std::vector<Replica> replicas_;
  bool two_lists_ = false;
  bool updated_ = false;
  bool finished_ = false;
  base::Error error_;
  std::string last_failure_;
};

}  // namespace lariat::coordinator

// SPDX-License-Identifier: Apache-2.0
// One write over its replicas, as a value. The coordinator is itself a replica: it makes the event
// locally first, then sends the full state to the others and answers when w of them, itself
// included, hold it durably.
//
//   n=3 w=2: local update -> write B, write C -> own sync ok, B acks -> done (C's ack is late)
//
// Outcomes: before the local update is in, every failure is "definitely not done". After it, the
// event exists and may reach the others later, so every failure is "unknown". Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"

namespace lariat::coordinator {

class PutCore {
 public:
  struct Options {
    uint32_t w = 1;
    size_t self = 0;  // the coordinator's index in the preference list
  };
  enum class ActionKind : uint8_t { kSendWrite, kDone, kFail };
  struct Action {
    ActionKind kind;
    size_t replica = 0;
  };
  using Actions = std::vector<Action>;

  PutCore(Options options, std::vector<bool> usable);

  // The local update is in the engine.
  Actions OnUpdated();
  // The local update was refused: definitely not done.
  Actions OnRefused(base::Error error);
  Actions OnAck(size_t replica);  // the local one too, when it is durable
  Actions OnFailure(size_t replica, const base::Error& error);
  Actions OnTimeout();

  bool finished() const { return finished_; }
  uint32_t Acks() const;
  const base::Error& error() const { return error_; }
  // Replicas that did not acknowledge (yet): owed a hint.
  std::vector<size_t> Missing() const;

 private:
  enum class State : uint8_t { kUnreachable, kIdle, kSent, kAcked, kFailed };

  void CheckEnd(Actions* actions);
  void GiveUp(base::Error error, Actions* actions);

  Options options_;
  std::vector<State> replicas_;
  bool updated_ = false;
  bool finished_ = false;
  base::Error error_;
  std::string last_failure_;
};

}  // namespace lariat::coordinator

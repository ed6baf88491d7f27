// SPDX-License-Identifier: Apache-2.0
// One acceptor's share of one register, as a value: what it promised and what it accepted. Pure.
//
// The caller's part. A reply may leave only when the state as it is after the call is durable. So:
// call, store state() if the reply says `changed`, and hold the reply back until that store, and
// every earlier one of this register, is synced (a reply that changed nothing may rest on a change
// that is still on its way to the disk). The state never expires, is never rebuilt from other
// acceptors, and moves with the key it belongs to: an acceptor that forgets can help to decide a
// second value.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "consensus/ballot.h"

namespace lariat::consensus {

struct AcceptorState {
  Ballot promised;  // never below `accepted`
  Ballot accepted;  // zero: nothing was ever accepted
  // What was accepted. nullopt with a non-zero `accepted` is a decision too: the register is empty.
  std::optional<std::string> value;

  bool operator==(const AcceptorState&) const = default;
  void EncodeTo(std::string* out) const;  // docs/consensus.md
  // kCorruption for anything that EncodeTo does not write.
  static base::Result<AcceptorState> Decode(std::string_view bytes);
};

struct PrepareReply {
  bool ok = false;
  bool changed = false;  // for the caller beside the acceptor; not sent
  Ballot ballot;         // of the request
  Ballot seen;           // the promise that holds now; the reason when refused
  Ballot accepted;       // with `value`: only when ok
  std::optional<std::string> value;
};

struct AcceptReply {
  bool ok = false;
  bool changed = false;
  Ballot ballot;               // of the request
  Ballot seen;                 // the promise that holds now; the reason when refused
  bool next_promised = false;  // `next` of the request holds
};

// What is asked of every acceptor in the second phase.
struct Proposal {
  Ballot ballot;
  std::optional<std::string> value;
  // Not zero: whoever accepts also promises this greater ballot of the same proposer, which then
  // needs no first phase the next time.
  Ballot next;
};

class Acceptor {
 public:
  Acceptor() = default;
  explicit Acceptor(AcceptorState state) : state_(std::move(state)) {}

  // Idempotent: a repeated request gets the same answer.
  PrepareReply OnPrepare(const Ballot& ballot);
  AcceptReply OnAccept(const Proposal& proposal);

  const AcceptorState& state() const { return state_; }

 private:
  AcceptorState state_;
};

}  // namespace lariat::consensus

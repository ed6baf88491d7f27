// SPDX-License-Identifier: Apache-2.0
#include "consensus/acceptor.h"

namespace lariat::consensus {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kEmpty = 0;
constexpr uint8_t kHasValue = 1;

}  // namespace

void AcceptorState::EncodeTo(std::string* out) const {
  base::ByteWriter writer(out);
  writer.U8(kVersion);
  promised.Encode(&writer);
  accepted.Encode(&writer);
  writer.U8(value ? kHasValue : kEmpty);
  if (value) writer.Sized(*value);
}

base::Result<AcceptorState> AcceptorState::Decode(std::string_view bytes) {
  base::ByteReader reader(bytes);
  const uint8_t version = reader.U8();
  AcceptorState state;
  state.promised = Ballot::Decode(&reader);
  state.accepted = Ballot::Decode(&reader);
  const uint8_t has_value = reader.U8();
  if (has_value == kHasValue) state.value = std::string(reader.Sized());
  const bool known = version == kVersion && has_value <= kHasValue;
  const bool value_was_accepted = !state.value || !state.accepted.IsZero();
  if (known && reader.AtEnd() && value_was_accepted && state.accepted <= state.promised) {
    return state;
  }
  return base::Fail(base::Code::kCorruption, "malformed acceptor state");
}

PrepareReply Acceptor::OnPrepare(const Ballot& ballot) {
  PrepareReply reply;
  reply.ballot = ballot;
  reply.ok = ballot.IsValid() && ballot >= state_.promised;
  if (reply.ok) {
    reply.changed = ballot > state_.promised;
    state_.promised = ballot;
    reply.accepted = state_.accepted;
    reply.value = state_.value;
  }
  reply.seen = state_.promised;
  return reply;
}

// A repeated request meets a greater promise if it carried one itself. It is still true that its
// ballot was accepted here, and a proposer that missed the first answer must hear so.
AcceptReply Acceptor::OnAccept(const Proposal& proposal) {
  AcceptReply reply;
  reply.ballot = proposal.ballot;
  const bool repeated = proposal.ballot.IsValid() && proposal.ballot == state_.accepted;
  const bool allowed = proposal.ballot.IsValid() && proposal.ballot >= state_.promised;
  reply.ok = repeated || allowed;
  if (allowed) {
    Ballot promise = proposal.ballot;
    if (proposal.next.IsValid() && proposal.next > promise) promise = proposal.next;
    reply.changed = !repeated || promise != state_.promised;
    state_.promised = promise;
    if (!repeated) {
      state_.accepted = proposal.ballot;
      state_.value = proposal.value;
    }
  }
  reply.next_promised = reply.ok && !proposal.next.IsZero() && state_.promised == proposal.next;
  reply.seen = state_.promised;
  return reply;
}

}  // namespace lariat::consensus

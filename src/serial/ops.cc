// SPDX-License-Identifier: Apache-2.0
#include "serial/ops.h"

#include <algorithm>
#include <utility>

#include "causal/context.h"

namespace lariat::serial {
namespace {

using causal::SerialState;

std::optional<causal::Value> LiveValue(const SerialState& state, const Terms& terms) {
  if (IsGone(state.value, terms)) return std::nullopt;
  return state.value;
}

causal::Value Tombstone(const Terms& terms) {
  causal::Value value;
  value.tombstone = true;
  value.written = terms.now;
  return value;
}

Outcome Shown(const SerialState& state, const Terms& terms) {
  return {Outcome::Kind::kDone, false, state.version, state.value.written.ms,
          LiveValue(state, terms)};
}

bool Holds(const Op& op, const SerialState& state, bool live) {
  if (op.if_none && live) return false;
  const bool wants_value = op.if_any || op.if_version || op.if_version_2 || op.expect;
  if (wants_value && !live) return false;
  if (op.if_version && *op.if_version != state.version) return false;
  if (op.if_version_2 && *op.if_version_2 != state.version) return false;
  return !op.expect || *op.expect == state.value.bytes;
}

void BuryExpired(const Terms& terms, SerialState* state) {
  ++state->version;
  state->value = Tombstone(terms);
}

// Without its id. True: the state became another one.
bool ApplyOne(const Op& op, const Terms& terms, SerialState* state, Outcome* result) {
  const bool live = !IsGone(state->value, terms);
  if (!Holds(op, *state, live)) {
    *result = Shown(*state, terms);
    result->kind = Outcome::Kind::kLost;
    return false;
  }
  const bool nothing_to_do = !op.IsWrite() || (op.kind == Op::Kind::kDelete && !live);
  if (!nothing_to_do) {
    ++state->version;
    state->value = op.kind == Op::Kind::kPut ? op.value : Tombstone(terms);
  }
  *result = Shown(*state, terms);
  if (op.IsWrite()) result->value.reset();
  return !nothing_to_do;
}

void ForgetOldAnswers(const Terms& terms, SerialState* state) {
  std::erase_if(state->answers, [&](const SerialState::Answer& answer) {
    return answer.written_ms < terms.now.ms - kAnswerMs;
  });
}

}  // namespace

bool IsGone(const causal::Value& value, const Terms& terms) {
  if (value.tombstone) return true;
  return value.expires_ms != 0 && value.expires_ms <= terms.now.ms - terms.drift_ms;
}

base::Result<Op> OpOf(causal::ClientWrite* write, const std::string& idempotency_key,
                      const causal::ChangeTerms& terms) {
  const auto version_in =
      [&](const std::optional<std::string>& text) -> base::Result<std::optional<uint64_t>> {
    if (!text || *text == "*") return std::nullopt;
    auto version = causal::SerialVersionOf(*text, terms.bucket, terms.key);
    if (!version) return base::Fail(std::move(version.error()));
    return std::optional(*version);
  };
  Op op;
  auto by_match = version_in(write->if_match);
  if (!by_match) return base::Fail(std::move(by_match.error()));
  auto by_context = version_in(write->context);
  if (!by_context) return base::Fail(std::move(by_context.error()));
  op.if_version = *by_match;
  op.if_version_2 = *by_context;
  op.if_any = write->if_match == "*";
  op.if_none = write->if_none_match_any || write->expect_absent;
  op.expect = write->expect;
  if (!idempotency_key.empty()) op.id = base::HashOf128(idempotency_key);
  // Its conditions are for the kinds that Change knows; value and expiry are made as for them.
  write->context.reset();
  write->if_match.reset();
  auto change = causal::Change::Of(write, terms);
  if (!change) return base::Fail(std::move(change.error()));
  op.kind = change->IsDelete() ? Op::Kind::kDelete : Op::Kind::kPut;
  op.value = std::move(change->value);
  return op;
}

std::optional<Outcome> AnswerTo(const base::Hash128& id, const SerialState& state,
                                const Terms& terms) {
  for (const SerialState::Answer& answer : state.answers) {
    if (answer.id != id) continue;
    Outcome result;
    result.kind = answer.lost ? Outcome::Kind::kLost : Outcome::Kind::kDone;
    result.replayed = true;
    result.version = answer.version;
    result.written_ms = answer.written_ms;
    // What it lost to may be gone by now.
    if (answer.lost && state.version == answer.version) result.value = LiveValue(state, terms);
    return result;
  }
  return std::nullopt;
}

// Versions only grow along the chain of states, and each is one write. So a confirmed state of a
// lower version than the write would have is not made from it; and it can be decided no more,
// because a majority has accepted a greater ballot.
Fate FateOf(const Op& op, const Outcome& made, const SerialState* confirmed, const Terms& terms) {
  const bool had_effect = op.id || (op.IsWrite() && made.kind == Outcome::Kind::kDone);
  if (!had_effect) return Fate::kOut;
  if (confirmed == nullptr) return Fate::kUnknown;
  if (op.id) return AnswerTo(*op.id, *confirmed, terms) ? Fate::kAnswered : Fate::kOut;
  return confirmed->version < made.version ? Fate::kOut : Fate::kUnknown;
}

bool Apply(std::span<const Op> ops, const Terms& terms, SerialState* state,
           std::vector<Outcome>* results) {
  results->clear();
  bool changed = false;
  if (!state->value.tombstone && IsGone(state->value, terms)) {
    BuryExpired(terms, state);
    changed = true;
  }
  for (const Op& op : ops) {
    Outcome& result = results->emplace_back();
    if (!op.id) {
      changed = ApplyOne(op, terms, state, &result) || changed;
      continue;
    }
    if (auto answer = AnswerTo(*op.id, *state, terms)) {
      result = std::move(*answer);
      continue;
    }
    ForgetOldAnswers(terms, state);
    if (state->answers.size() >= kAnswersMax) {
      result.kind = Outcome::Kind::kTooManyIds;
      continue;
    }
    ApplyOne(op, terms, state, &result);
    const bool lost = result.kind == Outcome::Kind::kLost;
    state->answers.push_back({*op.id, terms.now.ms, lost, result.version});
    changed = true;
  }
  return changed;
}

}  // namespace lariat::serial

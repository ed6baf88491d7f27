// SPDX-License-Identifier: Apache-2.0
#include "coordinator/serial/serial_core.h"

#include <algorithm>
#include <utility>

namespace lariat::coordinator {
namespace {

using causal::SerialState;

std::optional<causal::Value> LiveValue(const SerialState& state, const SerialTerms& terms) {
  if (IsGone(state.value, terms)) return std::nullopt;
  return state.value;
}

SerialResult Shown(const SerialState& state, const SerialTerms& terms) {
  return {SerialResult::Kind::kDone, false, state.version, state.value.written.ms,
          LiveValue(state, terms)};
}

bool Holds(const SerialOp& op, const SerialState& state, bool live) {
  if (op.if_none && live) return false;
  const bool wants_value = op.if_any || op.if_version || op.if_version_2 || op.expect;
  if (wants_value && !live) return false;
  if (op.if_version && *op.if_version != state.version) return false;
  if (op.if_version_2 && *op.if_version_2 != state.version) return false;
  return !op.expect || *op.expect == state.value.bytes;
}

void BuryExpired(const SerialTerms& terms, SerialState* state) {
  ++state->version;
  state->value = causal::Value{.tombstone = true, .written = terms.now};
}

// Without its id. True: the state became another one.
bool ApplyOne(const SerialOp& op, const SerialTerms& terms, SerialState* state,
              SerialResult* result) {
  const bool live = !IsGone(state->value, terms);
  if (!Holds(op, *state, live)) {
    *result = Shown(*state, terms);
    result->kind = SerialResult::Kind::kLost;
    return false;
  }
  const bool nothing_to_do = !op.IsWrite() || (op.kind == SerialOp::Kind::kDelete && !live);
  if (!nothing_to_do) {
    ++state->version;
    state->value = op.kind == SerialOp::Kind::kPut
                       ? op.value
                       : causal::Value{.tombstone = true, .written = terms.now};
  }
  *result = Shown(*state, terms);
  if (op.IsWrite()) result->value.reset();
  return !nothing_to_do;
}

void ForgetOldAnswers(const SerialTerms& terms, SerialState* state) {
  std::erase_if(state->answers, [&](const SerialState::Answer& answer) {
    return answer.written_ms < terms.now.ms - kSerialAnswerMs;
  });
}

}  // namespace

bool IsGone(const causal::Value& value, const SerialTerms& terms) {
  if (value.tombstone) return true;
  return value.expires_ms != 0 && value.expires_ms <= terms.now.ms - terms.drift_ms;
}

base::Result<SerialOp> SerialOpOf(causal::ClientWrite* write, const std::string& idempotency_key,
                                  const causal::ChangeTerms& terms) {
  const auto version_in = [&](const std::optional<std::string>& text)
      -> base::Result<std::optional<uint64_t>> {
    if (!text || *text == "*") return std::nullopt;
    auto version = causal::SerialVersionOf(*text, terms.bucket, terms.key);
    if (!version) return base::Fail(std::move(version.error()));
    return std::optional(*version);
  };
  SerialOp op;
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
  op.kind = change->IsDelete() ? SerialOp::Kind::kDelete : SerialOp::Kind::kPut;
  op.value = std::move(change->value);
  return op;
}

std::optional<SerialResult> AnswerTo(const base::Hash128& id, const SerialState& state,
                                     const SerialTerms& terms) {
  for (const SerialState::Answer& answer : state.answers) {
    if (answer.id != id) continue;
    SerialResult result;
    result.kind = answer.lost ? SerialResult::Kind::kLost : SerialResult::Kind::kDone;
    result.replayed = true;
    result.version = answer.version;
    result.written_ms = answer.written_ms;
    // What it lost to may be gone by now.
    if (answer.lost && state.version == answer.version) result.value = LiveValue(state, terms);
    return result;
  }
  return std::nullopt;
}

bool ApplySerial(std::span<const SerialOp> ops, const SerialTerms& terms, SerialState* state,
                 std::vector<SerialResult>* results) {
  results->clear();
  bool changed = false;
  if (!state->value.tombstone && IsGone(state->value, terms)) {
    BuryExpired(terms, state);
    changed = true;
  }
  for (const SerialOp& op : ops) {
    SerialResult& result = results->emplace_back();
    if (!op.id) {
      changed = ApplyOne(op, terms, state, &result) || changed;
      continue;
    }
    if (auto answer = AnswerTo(*op.id, *state, terms)) {
      result = std::move(*answer);
      continue;
    }
    ForgetOldAnswers(terms, state);
    if (state->answers.size() >= kSerialAnswersMax) {
      result.kind = SerialResult::Kind::kTooManyIds;
      continue;
    }
    ApplyOne(op, terms, state, &result);
    const bool lost = result.kind == SerialResult::Kind::kLost;
    state->answers.push_back({*op.id, terms.now.ms, lost, result.version});
    changed = true;
  }
  return changed;
}

}  // namespace lariat::coordinator

// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/errors.h"

#include <utility>

namespace lariat::frontend::http {
namespace {

using base::Code;
using telemetry::Outcome;

struct Row {
  Code code;
  int status;
  Outcome outcome;
  bool retry_after;
};

// The code's text is base::CodeName.
constexpr Row kRows[] = {
    {Code::kInvalidArgument, 400, Outcome::kRefused, false},
    {Code::kNotFound, 404, Outcome::kNotFound, false},
    {Code::kPreconditionFailed, 409, Outcome::kRefused, false},
    {Code::kTooLarge, 413, Outcome::kRefused, false},
    {Code::kTooManySiblings, 409, Outcome::kRefused, false},
    {Code::kObjectTooLarge, 413, Outcome::kRefused, false},
    {Code::kInsufficientReplicas, 503, Outcome::kNotDone, false},
    {Code::kUnavailable, 503, Outcome::kNotDone, false},
    {Code::kOverloaded, 503, Outcome::kNotDone, true},
    {Code::kTimeout, 504, Outcome::kTimeout, false},
    {Code::kUnknown, 504, Outcome::kUnknown, false},
    {Code::kStalled, 503, Outcome::kNotDone, true},
    {Code::kDiskFull, 503, Outcome::kNotDone, false},
    {Code::kUnsupported, 400, Outcome::kRefused, false},
    {Code::kStaleEpoch, 503, Outcome::kNotDone, true},
    {Code::kConflict, 409, Outcome::kRefused, false},
    {Code::kNotCovered, 504, Outcome::kTimeout, false},
    {Code::kClockOff, 503, Outcome::kNotDone, true},
    {Code::kWrongType, 409, Outcome::kRefused, false},
    {Code::kElementTooLarge, 413, Outcome::kRefused, false},
    {Code::kOperationTooLarge, 413, Outcome::kRefused, false},
    {Code::kTooManyElements, 413, Outcome::kRefused, false},
    {Code::kUnauthenticated, 401, Outcome::kRefused, false},
    {Code::kForbidden, 403, Outcome::kRefused, false},
    {Code::kRateLimited, 429, Outcome::kNotDone, true},
};
// Corruption, I/O, internal and whatever comes later: nothing that a client did.
constexpr Row kInternalRow = {Code::kInternal, 500, Outcome::kError, false};

const Row& RowOf(Code code) {
  for (const Row& row : kRows) {
    if (row.code == code) return row;
  }
  return kInternalRow;
}

constexpr std::string_view kMayBeApplied = "may or may not have";

}  // namespace

Refusal ToRefusal(base::Error error) {
  const Row& row = RowOf(error.code);
  Refusal refusal{row.status, base::CodeName(error.code), std::move(error.message)};
  // Elsewhere the numbers mean something else, and the message says what.
  if (error.code == base::Code::kInsufficientReplicas) {
    refusal.needed = error.needed;
    refusal.alive = error.alive;
  }
  refusal.retry_after = row.retry_after;
  refusal.winner = std::move(error.winner);
  if (refusal.winner) refusal.version = refusal.winner->version;
  if (error.code == Code::kUnknown && refusal.message.find(kMayBeApplied) == std::string::npos) {
    refusal.message += refusal.message.empty() ? "" : "; ";
    refusal.message += "the write may or may not have been applied";
  }
  return refusal;
}

Outcome OutcomeOf(Code code) { return code == Code::kOk ? Outcome::kOk : RowOf(code).outcome; }

Refusal BadRequest(std::string message) {
  return {400, base::CodeName(Code::kInvalidArgument), std::move(message)};
}

Refusal NotInThisVersion(std::string what) {
  return {400, base::CodeName(Code::kUnsupported), std::move(what) + " is not in this version"};
}

}  // namespace lariat::frontend::http

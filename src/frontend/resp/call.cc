// SPDX-License-Identifier: Apache-2.0
#include "frontend/resp/internal/call.h"

#include <utility>

#include "frontend/resp/internal/connection.h"

namespace lariat::frontend::resp {
namespace {

using base::Code;
using telemetry::Op;
using telemetry::Outcome;

Op OpOf(const Command& command) {
  if ((command.flags & kDeletes) != 0) return Op::kDelete;
  if ((command.flags & kWrite) != 0) return Op::kPut;
  return (command.flags & kReadonly) != 0 ? Op::kGet : Op::kCount;
}

}  // namespace

Call::Call(connection::Turn turn, const Command& command, base::Instant start, Protocol protocol)
    : turn_(std::move(turn)), command_(&command), start_(start), protocol_(protocol) {}

RespConnection* Call::connection() const {
  return static_cast<RespConnection*>(turn_.connection());
}

coordinator::GetRequest Call::Get(std::string_view key) const {
  const RespConnection& client = *connection();
  coordinator::GetRequest request;
  request.bucket = connection()->session().bucket;
  request.key = key;
  request.consistency.r = connection()->session().r;
  request.caller = client.caller();
  return request;
}

coordinator::WriteRequest Call::Write(std::string_view key) const {
  const RespConnection& client = *connection();
  coordinator::WriteRequest request;
  request.bucket = connection()->session().bucket;
  request.key = key;
  request.consistency.w = connection()->session().w;
  request.caller = client.caller();
  if (!client.once().empty()) request.idempotency_key = client.once();
  return request;
}

void Call::Answer(connection::Reply reply, Outcome outcome) {
  if (!shared().alive) return;
  Count(outcome);
  turn_.Answer(std::move(reply));
}

void Call::Answer(ReplyWriter& writer) {
  const Outcome outcome = writer.IsError() ? Outcome::kRefused : Outcome::kOk;
  Answer(writer.Take(), outcome);
}

void Call::Refuse(const base::Error& error) {
  if (!shared().alive) return;
  // Buckets are looked for anew, should it be the database's.
  if (error.code == Code::kNotFound && connection() != nullptr) {
    shared().databases.Forget(connection()->session().database);
  }
  ReplyWriter writer = Writer();
  writer.Error(ErrorText(error));
  Answer(writer.Take(), OutcomeOf(error.code));
}

void Call::Error(std::string_view text) {
  ReplyWriter writer = Writer();
  writer.Error(text);
  Answer(writer);
}

void Call::Ok() {
  ReplyWriter writer = Writer();
  writer.Simple("OK");
  Answer(writer);
}

void Call::Int(int64_t value) {
  ReplyWriter writer = Writer();
  writer.Int(value);
  Answer(writer);
}

void Call::Null() {
  ReplyWriter writer = Writer();
  writer.Null();
  Answer(writer.Take(), Outcome::kNotFound);
}

void Call::Bulk(std::string bytes) { Answer(BulkReply(std::move(bytes))); }

void Call::OkAndClose() {
  ReplyWriter writer = Writer();
  writer.Simple("OK");
  connection::Reply reply = writer.Take();
  reply.last = true;
  Answer(std::move(reply));
}

void Call::Count(Outcome outcome) {
  Shared& shared = this->shared();
  telemetry::Metrics& metrics = shared.metrics;
  metrics.resp_commands.At(command_->group, outcome).Add();
  const base::Duration took = shared.env.clock.Now() - start_;
  const Op op = OpOf(*command_);
  if (op != Op::kCount) {
    metrics.requests.At(op, outcome).Add();
    metrics.request_seconds[op].Record(took);
  }
  const int64_t micros = took / std::chrono::microseconds(1);
  RespConnection* client = connection();
  if (micros < shared.settings.resp_slowlog_us || client == nullptr) return;
  client->NoteSlow(turn_.number(), micros);
}

std::string ErrorText(const base::Error& error) {
  if (error.code == Code::kUnauthenticated) {
    return "NOAUTH Authentication required: " + error.message;
  }
  if (error.code == Code::kForbidden) return "NOPERM " + error.message;
  std::string text = "ERR ";
  text += base::CodeName(error.code);
  text += ' ';
  text += error.message;
  if (error.code == Code::kUnknown && text.find("may or may not have") == std::string::npos) {
    text += "; the write may or may not have been applied";
  }
  return text;
}

Outcome OutcomeOf(Code code) {
  switch (code) {
    case Code::kOk:
      return Outcome::kOk;
    case Code::kNotFound:
      return Outcome::kNotFound;
    case Code::kTimeout:
    case Code::kNotCovered:
      return Outcome::kTimeout;
    case Code::kUnknown:
      return Outcome::kUnknown;
    case Code::kInsufficientReplicas:
    case Code::kUnavailable:
    case Code::kOverloaded:
    case Code::kStalled:
    case Code::kDiskFull:
    case Code::kStaleEpoch:
    case Code::kClockOff:
      return Outcome::kNotDone;
    case Code::kCorruption:
    case Code::kIo:
    case Code::kInternal:
      return Outcome::kError;
    default:
      return Outcome::kRefused;
  }
}

}  // namespace lariat::frontend::resp

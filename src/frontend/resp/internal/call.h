// SPDX-License-Identifier: Apache-2.0
// The right to answer one command, moved into the callback that will. It may outlive the
// connection: answering then only counts. It fits into a UniqueFunction without allocation.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "coordinator/kv_service.h"
#include "frontend/connection/turn.h"
#include "frontend/resp/internal/command.h"
#include "frontend/resp/internal/reply.h"
#include "frontend/resp/internal/shared.h"
#include "telemetry/labels.h"

namespace lariat::frontend::resp {

class RespConnection;

class Call {
 public:
  // `turn` is of a RespConnection.
  Call(connection::Turn turn, const Command& command, base::Instant start, Protocol protocol);
  Call(Call&&) = default;
  Call& operator=(Call&&) = default;

  // What it leads to may be used while shared().alive.
  Shared& shared() const { return static_cast<Shared&>(turn_.clients()); }
  const Command& command() const { return *command_; }
  void RunAs(const Command& command) { command_ = &command; }  // counted as it, too
  ReplyWriter Writer() const { return ReplyWriter(protocol_); }
  // nullptr when nobody waits any more. REQUIRES elsewhere: a handler has not returned.
  RespConnection* connection() const;

  // Requests of this connection, by what it has set. REQUIRES: a handler has not returned.
  coordinator::GetRequest Get(std::string_view key) const;
  coordinator::WriteRequest Write(std::string_view key) const;

  // One of these, once.
  void Answer(connection::Reply reply, telemetry::Outcome outcome = telemetry::Outcome::kOk);
  void Answer(ReplyWriter& writer);  // an error's outcome is a refusal
  void Refuse(const base::Error& error);
  void Error(std::string_view text);  // begins with its code
  void Ok();
  void Int(int64_t value);
  void Null();
  void Bulk(std::string bytes);
  void SyntaxError() { Error("ERR syntax error"); }
  void NotAnInteger() { Error("ERR value is not an integer or out of range"); }
  // The connection ends with this answer.
  void OkAndClose();

 private:
  void Count(telemetry::Outcome outcome);

  connection::Turn turn_;
  const Command* command_;
  base::Instant start_;
  Protocol protocol_;
};

// "ERR <code> <message>", as HTTP's code and message.
std::string ErrorText(const base::Error& error);
telemetry::Outcome OutcomeOf(base::Code code);

}  // namespace lariat::frontend::resp

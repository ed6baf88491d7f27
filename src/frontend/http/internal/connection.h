// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 on a connection: requests are parsed, routed and given to the services. Everything that
// no protocol has for itself is in frontend/connection.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/time.h"
#include "env/stream.h"
#include "frontend/connection/connection.h"
#include "frontend/connection/places.h"
#include "frontend/http/internal/exchange.h"
#include "frontend/http/internal/parser.h"
#include "frontend/http/internal/routes.h"
#include "frontend/http/internal/shared.h"
#include "frontend/http/internal/visitor.h"

namespace lariat::frontend::http {

class HttpConnection final : public connection::Connection {
 public:
  HttpConnection(const std::shared_ptr<Shared>& shared, env::Stream& stream);

  // For Exchange: nullptr if that reply has left already.
  Pending* Waiting(uint64_t number) { return Waits(number) ? &pending_.At(number) : nullptr; }
  // Of the request whose handler runs.
  const coordinator::Caller& caller() const { return visitor_.caller(); }

 private:
  Progress Read(std::string_view bytes) override;
  void OnLate(connection::Awaiting awaited) override;
  void OnCutOff() override;
  Reply NoRoomFor(uint64_t number) override;

  void OnEvent(RequestParser::Event event);
  void OnHead();
  void OnBodyTooLarge();
  void OnRequest();
  bool MayBeginNext() { return logging_in_ ? MayBeginAlone() : MayBegin(); }
  // Runs the request's handler as soon as its password was checked.
  void RunAfterLogin(Exchange exchange);
  void Begin();
  bool PromiseReply();
  Exchange MakeExchange(telemetry::Op op) { return {TurnOf(number_), started_, op}; }
  // Answers the request that is being read; the rest of its body is skipped.
  void RefuseEarly(const Refusal& refusal);
  // Says what went wrong, if it still can, and reads no more.
  void RefuseAndStop(const Refusal& refusal);

  Shared& shared_;
  Visitor visitor_;
  RequestParser parser_;
  connection::Places<Pending> pending_;

  // The request that is being read.
  uint64_t number_ = 0;
  const Route* route_ = nullptr;
  base::Instant started_{};
  bool answered_early_ = false;
  bool may_be_sending_ = false;  // false: the client waits for 100 Continue
  bool has_password_ = false;    // which is to be checked before it runs
  bool logging_in_ = false;      // an earlier one has such a password
};

}  // namespace lariat::frontend::http

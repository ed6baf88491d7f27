// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/connection.h"

#include <memory>
#include <utility>

#include "base/check.h"
#include "frontend/http/internal/head_check.h"

namespace lariat::frontend::http {
namespace {

using connection::Awaiting;
using telemetry::HttpRefusal;
using telemetry::Op;

// How much of a refused body is read for its framing, so that the connection can go on.
constexpr uint64_t kSkippedBytesMax = 16 << 20;

constexpr const char* kUnread = "replies that clients do not read (http.output_total_bytes_max)";

Refusal Crowded(const char* of_what) {
  Refusal refusal{503, base::CodeName(base::Code::kOverloaded),
                  std::string("this shard holds too many bytes of ") + of_what};
  refusal.retry_after = true;
  return refusal;
}

HttpRefusal ReasonOf(int status) {
  switch (status) {
    case 408:
      return HttpRefusal::kTimeout;
    case 413:
      return HttpRefusal::kBodyTooLarge;
    case 414:
    case 431:
      return HttpRefusal::kHeadTooLarge;
    default:
      return HttpRefusal::kMalformed;
  }
}

}  // namespace

HttpConnection::HttpConnection(const std::shared_ptr<Shared>& shared, env::Stream& stream)
    : Connection(shared, stream),
      shared_(*shared),
      visitor_(shared_, stream),
      parser_(static_cast<size_t>(shared_.settings.http_header_bytes_max)) {}

HttpConnection::Progress HttpConnection::Read(std::string_view bytes) {
  size_t used = 0;
  while (parser_.in_body() ? Reading() : MayBeginNext()) {
    const RequestParser::Step step = parser_.Feed(bytes.substr(used));
    used += step.used;
    if (step.event == RequestParser::Event::kNeedMore) break;
    OnEvent(step.event);
  }
  if (parser_.in_body()) return {used, Awaiting::kBody, parser_.request().body.size()};
  return {used, parser_.in_head() ? Awaiting::kHead : Awaiting::kRequest};
}

void HttpConnection::OnEvent(RequestParser::Event event) {
  switch (event) {
    case RequestParser::Event::kHead:
      return OnHead();
    case RequestParser::Event::kBodyTooLarge:
      return OnBodyTooLarge();
    case RequestParser::Event::kDone:
      return OnRequest();
    case RequestParser::Event::kError:
      return RefuseAndStop(parser_.error());
    case RequestParser::Event::kNeedMore:
      return;
  }
}

void HttpConnection::OnHead() {
  Request& request = parser_.request();
  const bool expects = request.Has(Header::kExpect) && request.http11 && request.HasBody();
  Begin();
  may_be_sending_ = !expects;
  ReplyForm& form = pending_.At(number_).form;
  form.head_only = request.method == Method::kHead;
  form.http11 = request.http11;
  form.close = !request.keep_alive || shared_.draining;

  auto found = FindRoute(request);
  if (const auto* refusal = std::get_if<Refusal>(&found)) {
    route_ = nullptr;
    return RefuseEarly(*refusal);
  }
  route_ = std::get<const Route*>(found);
  if (shared_.access.mode() != access::Mode::kOff) {
    const Visitor::Seen seen = visitor_.Look(request);
    if (seen == Visitor::Seen::kRefused) return RefuseEarly(ToRefusal(visitor_.error()));
    has_password_ = seen == Visitor::Seen::kPassword;
    if (auto may = has_password_ ? base::Status() : MayEnter(shared_, *route_, request, caller());
        !may) {
      return RefuseEarly(ToRefusal(std::move(may.error())));
    }
  }
  const uint64_t value_bytes_max = shared_.kv.ValueBytesMax();
  shared_.reply_bytes_max = value_bytes_max;
  if (const auto refusal = CheckHead(request, route_->body, value_bytes_max)) {
    if (refusal->status == 413) shared_.metrics.http_refused[HttpRefusal::kBodyTooLarge].Add();
    return RefuseEarly(*refusal);
  }
  if (request.HasBody() && shared_.room.PartialIsFull()) {
    shared_.metrics.http_refused[HttpRefusal::kOverloaded].Add();
    return RefuseEarly(Crowded("bodies that are half received (limits.in_flight_bytes)"));
  }
  parser_.LimitBody(BodyBytesMax(route_->body, value_bytes_max));
  if (expects) outbox().SayBefore(number_, "HTTP/1.1 100 Continue\r\n\r\n");
}

void HttpConnection::Begin() {
  started_ = shared_.env.clock.Now();
  number_ = Connection::Begin(started_);
  answered_early_ = false;
  Pending& pending = pending_.Add(outbox().first(), number_);
  pending.form = {};
  pending.key.clear();
  pending.accept.clear();
  pending.if_none_match.clear();
}

void HttpConnection::OnBodyTooLarge() {
  shared_.metrics.http_refused[HttpRefusal::kBodyTooLarge].Add();
  may_be_sending_ = true;
  RefuseEarly(BodyTooLarge(route_->body, shared_.kv.ValueBytesMax()));
}

void HttpConnection::RefuseEarly(const Refusal& refusal) {
  answered_early_ = true;
  outbox().Unsay();
  // Whether the body follows is not known if the client waited to be asked for it.
  const bool goes_on =
      may_be_sending_ && parser_.request().content_length.value_or(0) <= kSkippedBytesMax;
  if (!goes_on) pending_.At(number_).form.close = true;
  parser_.SkipBody(kSkippedBytesMax);
  MakeExchange(route_ == nullptr ? Op::kCount : route_->op).Refuse(refusal);
}

void HttpConnection::OnRequest() {
  outbox().Unsay();
  const Pending* pending = Waiting(number_);
  if (pending != nullptr && pending->form.close) StopReading();
  if (!answered_early_) {
    Exchange exchange = MakeExchange(route_->op);
    if (route_->op == Op::kGet && !outbox().Promise(number_, shared_.reply_bytes_max)) {
      exchange.Refuse(Crowded(kUnread));
    } else if (has_password_) {
      RunAfterLogin(std::move(exchange));
    } else {
      route_->handler(parser_.request(), std::move(exchange));
    }
  }
  parser_.Next();
}

void HttpConnection::RunAfterLogin(Exchange exchange) {
  logging_in_ = true;
  // The parser goes on, and views of the request are into its own texts. Co-owned by nobody: shared
  // only because callbacks are moved.
  auto kept = std::make_unique<Request>(std::move(parser_.request()));
  const auto found = FindRoute(*kept);
  LARIAT_CHECK(std::get_if<const Route*>(&found) != nullptr, "the route was found before");
  access::Attempt attempt = visitor_.TakeAttempt();
  shared_.access.Login(std::move(attempt),
                       [exchange = std::move(exchange), route = route_,
                        kept = std::move(kept)](base::Result<coordinator::Caller> caller) mutable {
                         HttpConnection* const self = exchange.connection();
                         if (self == nullptr || !exchange.shared().alive) return;
                         self->logging_in_ = false;
                         if (!self->visitor_.Settle(*kept, std::move(caller))) {
                           return exchange.Refuse(self->visitor_.error());
                         }
                         auto may = MayEnter(exchange.shared(), *route, *kept, self->caller());
                         if (!may) return exchange.Refuse(std::move(may.error()));
                         route->handler(*kept, std::move(exchange));
                       });
}

void HttpConnection::RefuseAndStop(const Refusal& refusal) {
  shared_.metrics.http_refused[ReasonOf(refusal.status)].Add();
  StopReading();
  const bool in_body = parser_.in_body();
  if (in_body && answered_early_) return;  // its reply is out: no more can be said
  if (!in_body) Begin();
  outbox().Unsay();
  pending_.At(number_).form.close = true;
  MakeExchange(in_body ? route_->op : Op::kCount).Refuse(refusal);
}

Reply HttpConnection::NoRoomFor(uint64_t number) {
  return RefusalReply(shared_, pending_.At(number).form, Crowded(kUnread));
}

void HttpConnection::OnCutOff() {
  RefuseAndStop(BadRequest("the connection ended inside the body"));
}

void HttpConnection::OnLate(Awaiting awaited) {
  RefuseAndStop({408, "request_timeout",
                 awaited == Awaiting::kHead
                     ? "the request's head did not arrive within http.header_timeout_ms"
                     : "the request's body did not arrive within http.body_timeout_ms"});
}

}  // namespace lariat::frontend::http

// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/connection.h"

#include <utility>

#include "base/check.h"
#include "frontend/http/internal/head_check.h"

namespace lariat::frontend::http {
namespace {

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
    : link_(std::make_shared<Link>(Link{this, shared, {"", stream.PeerAddress(), "http"}})),
      shared_(*shared),
      place_(shared_.connections.emplace(shared_.env.clock.Now(), this)),
      stream_(stream),
      parser_(static_cast<size_t>(shared_.settings.http_header_bytes_max)),
      pipeline_(static_cast<size_t>(shared_.settings.http_pipeline_max)),
      awaiting_since_(place_->first),
      sent_some_at_(awaiting_since_) {
  shared_.metrics.http_connections.Add(1);
}

HttpConnection::~HttpConnection() {
  link_->connection = nullptr;
  shared_.connections.erase(place_);
  LeaveTotals();
  if (shared_.alive) shared_.metrics.http_connections.Add(-1);
}

size_t HttpConnection::OnData(std::string_view bytes) {
  if (!Reading()) return bytes.size();
  if (!held_.empty()) {
    held_ += bytes;
    ConsumeHeld();
    return bytes.size();
  }
  const size_t used = Consume(bytes);
  if (!paused_) return used;  // an incomplete head or chunk stays with the network
  // The rest may be complete, and then nothing need come that would bring it again.
  held_ = bytes.substr(used);
  return bytes.size();
}

void HttpConnection::ConsumeHeld() {
  if (!held_.empty()) held_.erase(0, Consume(held_));
}

size_t HttpConnection::Consume(std::string_view bytes) {
  LARIAT_CHECK(!consuming_, "one piece is read after the other");
  consuming_ = true;
  size_t used = 0;
  while (Reading()) {
    if (!parser_.in_body() && !HasRoom()) {
      Pause();
      break;
    }
    const RequestParser::Step step = parser_.Feed(bytes.substr(used));
    used += step.used;
    if (step.event == RequestParser::Event::kNeedMore) break;
    OnEvent(step.event);
  }
  consuming_ = false;
  NoteAwaited();
  NoteTotals();
  FinishIfDone();
  return Reading() ? used : bytes.size();
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
  ++requests_read_;
  started_ = shared_.env.clock.Now();
  answered_early_ = false;
  may_be_sending_ = !expects;
  number_ = pipeline_.Push();
  ReplyForm& form = pipeline_.At(number_)->form;
  form.head_only = request.method == Method::kHead;
  form.http11 = request.http11;
  form.close = !request.keep_alive || shared_.draining;

  auto found = FindRoute(request);
  if (const auto* refusal = std::get_if<Refusal>(&found)) {
    route_ = nullptr;
    return RefuseEarly(*refusal);
  }
  route_ = std::get<const Route*>(found);
  const uint64_t value_bytes_max = shared_.kv.ValueBytesMax();
  if (const auto refusal = CheckHead(request, route_->body, value_bytes_max)) {
    if (refusal->status == 413) shared_.metrics.http_refused[HttpRefusal::kBodyTooLarge].Add();
    return RefuseEarly(*refusal);
  }
  const auto bodies_max = static_cast<uint64_t>(shared_.settings.limits_in_flight_bytes);
  if (request.HasBody() && shared_.totals.bodies > bodies_max) {
    shared_.metrics.http_refused[HttpRefusal::kOverloaded].Add();
    return RefuseEarly(Crowded("bodies that are half received (limits.in_flight_bytes)"));
  }
  parser_.LimitBody(BodyBytesMax(route_->body, value_bytes_max));
  continue_due_ = expects;
  SendContinueIfDue();
}

void HttpConnection::OnBodyTooLarge() {
  shared_.metrics.http_refused[HttpRefusal::kBodyTooLarge].Add();
  may_be_sending_ = true;
  RefuseEarly(BodyTooLarge(route_->body, shared_.kv.ValueBytesMax()));
}

void HttpConnection::RefuseEarly(const Refusal& refusal) {
  answered_early_ = true;
  continue_due_ = false;
  // Whether the body follows is not known if the client waited to be asked for it.
  const bool goes_on =
      may_be_sending_ && parser_.request().content_length.value_or(0) <= kSkippedBytesMax;
  if (!goes_on) pipeline_.At(number_)->form.close = true;
  parser_.SkipBody(kSkippedBytesMax);
  const Op op = route_ == nullptr ? Op::kCount : route_->op;
  Exchange(link_, number_, started_, op).Refuse(refusal);
}

void HttpConnection::OnRequest() {
  continue_due_ = false;
  const Pending* pending = pipeline_.At(number_);
  if (pending != nullptr && pending->form.close) state_ = State::kLast;
  if (!answered_early_) {
    Exchange exchange(link_, number_, started_, route_->op);
    if (route_->op == Op::kGet && !Promise(*pipeline_.At(number_))) {
      exchange.Refuse(Crowded(kUnread));
    } else {
      route_->handler(parser_.request(), std::move(exchange));
    }
  }
  parser_.Next();
}

void HttpConnection::RefuseAndStop(const Refusal& refusal) {
  shared_.metrics.http_refused[ReasonOf(refusal.status)].Add();
  state_ = State::kLast;
  finish_ = true;
  const bool in_body = parser_.in_body();
  if (in_body && answered_early_) return;  // its reply is out: no more can be said
  if (!in_body) {
    number_ = pipeline_.Push();
    started_ = shared_.env.clock.Now();
  }
  continue_due_ = false;
  pipeline_.At(number_)->form.close = true;
  const Op op = in_body ? route_->op : Op::kCount;
  Exchange(link_, number_, started_, op).Refuse(refusal);
}

void HttpConnection::Answer(uint64_t number, Reply reply) {
  Pending& pending = *pipeline_.At(number);
  LARIAT_CHECK(!pending.answered, "a request is answered once");
  const bool fits = Redeem(pending, reply.head.size() + reply.body.size());
  pending.reply = fits ? std::move(reply) : RefusalReply(shared_, pending.form, Crowded(kUnread));
  pending.answered = true;
  ready_bytes_ += pending.reply.head.size() + pending.reply.body.size();
  Flush();
}

void HttpConnection::Flush() {
  while (!pipeline_.Empty() && pipeline_.Front().answered) {
    const bool close = pipeline_.Front().form.close;
    Write(std::move(pipeline_.Front().reply));
    pipeline_.Pop();
    if (close) return CloseAfterWrite();
  }
  SendContinueIfDue();
  NoteTotals();
  ResumeIfRoom();
  FinishIfDone();
}

void HttpConnection::Write(Reply reply) {
  const size_t bytes = reply.head.size() + reply.body.size();
  ready_bytes_ -= bytes;
  written_ += bytes;
  stream_.Write(std::move(reply.head));
  if (!reply.body.empty()) stream_.Write(std::move(reply.body));
}

void HttpConnection::SendContinueIfDue() {
  if (!continue_due_ || !pipeline_.IsFront(number_)) return;
  continue_due_ = false;
  may_be_sending_ = true;
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  written_ += kContinue.size();
  stream_.Write(kContinue);
}

void HttpConnection::CloseAfterWrite() {
  state_ = State::kClosed;
  stream_.CloseAfterWrite();
}

void HttpConnection::Finish() {
  finish_ = true;
  if (!parser_.in_head()) FinishIfDone();
}

void HttpConnection::Abandon() {
  state_ = State::kClosed;
  paused_ = false;
  link_->connection = nullptr;
  stream_.Close();
}

void HttpConnection::FinishIfDone() {
  const bool busy = consuming_ || paused_ || !pipeline_.Empty();
  if (finish_ && !busy && state_ != State::kClosed) CloseAfterWrite();
}

bool HttpConnection::KeepOpenAfterPeerClosed() {
  finish_ = true;
  if (Reading() && parser_.in_body()) {
    RefuseAndStop(BadRequest("the connection ended inside the body"));
  }
  FinishIfDone();
  return true;
}

void HttpConnection::OnClosed(const std::string&) {
  state_ = State::kClosed;
  LeaveTotals();
  link_->connection = nullptr;
}

}  // namespace lariat::frontend::http

// SPDX-License-Identifier: Apache-2.0
#include "client/connection.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace lariat::client {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr size_t kReadChunk = 64 << 10;

}  // namespace

void Tell(Exchange& exchange, Answer answer) {
  if (exchange.abandoned) return;
  // Whoever is told may let go of the function.
  if (auto done = std::exchange(exchange.done, nullptr)) done(std::move(answer));
}

Connection::Connection(asio::io_context& loop, std::string address, std::unique_ptr<Wire> wire,
                       Secure secure)
    : loop_(loop),
      address_(std::move(address)),
      wire_(std::move(wire)),
      secure_(std::move(secure)),
      socket_(loop),
      resolver_(loop),
      connect_limit_(loop),
      chunk_(kReadChunk, '\0') {}

void Connection::Start(Events events, std::chrono::milliseconds connect_timeout) {
  events_ = std::move(events);
  out_ = wire_->Greeting();
  appended_ = out_.size();
  if (!out_.empty()) waiting_.push_back({nullptr, 0});
  connect_limit_.expires_after(connect_timeout);
  connect_limit_.async_wait([self = shared_from_this()](error_code e) {
    if (!e && !self->connected_) self->Close("no connection in time");
  });
  const size_t colon = address_.rfind(':');
  if (colon == std::string::npos) {
    asio::post(loop_, [self = shared_from_this()] { self->Close("not of the form HOST:PORT"); });
    return;
  }
  host_ = address_.substr(0, colon);
  if (host_.size() > 2 && host_.front() == '[') host_ = host_.substr(1, host_.size() - 2);
  Resolve(address_.substr(colon + 1));
}

void Connection::Resolve(const std::string& port) {
  error_code error;
  const auto literal = asio::ip::make_address(host_, error);
  if (!error) {
    // What is no number, or too large, ends as port 0, which nobody can be reached at.
    const auto number = static_cast<uint16_t>(std::strtoul(port.c_str(), nullptr, 10));
    return Connect(asio::ip::tcp::resolver::results_type::create(
        asio::ip::tcp::endpoint(literal, number), host_, port));
  }
  resolver_.async_resolve(host_, port, [self = shared_from_this()](error_code e, auto results) {
    if (self->ended_) return;
    if (e) return self->Close(e.message());
    self->Connect(results);
  });
}

void Connection::Connect(const asio::ip::tcp::resolver::results_type& endpoints) {
  asio::async_connect(socket_, endpoints, [self = shared_from_this()](error_code e, const auto&) {
    if (self->ended_) return;
    if (e) return self->Close(e.message());
    error_code ignored;
    self->socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    if (self->secure_ == nullptr) return self->OnConnected();
    self->Encrypt();
  });
}

// Within the time of the connection.
void Connection::Encrypt() {
  tls_.emplace(socket_, *secure_);
  SSL_set_tlsext_host_name(tls_->native_handle(), host_.c_str());
  tls_->set_verify_callback(asio::ssl::host_name_verification(host_));
  tls_->async_handshake(asio::ssl::stream_base::client, [self = shared_from_this()](error_code e) {
    if (self->ended_) return;
    if (e) return self->Close(e.message());
    self->OnConnected();
  });
}

void Connection::OnConnected() {
  connect_limit_.cancel();
  connected_ = true;
  heard_ = Clock::now();
  Write();
  Read();
}

void Connection::Send(std::shared_ptr<Exchange> exchange) {
  exchange->sent = Clock::now();
  exchange->carrier = weak_from_this();
  wire_->Encode(*exchange->request, exchange->time, out_);
  waiting_.push_back({std::move(exchange), appended_});
  appended_ = handed_ + out_.size();
  if (connected_) WriteSoon();
}

// Behind what is asked in this turn of the loop: all of it leaves at once.
void Connection::WriteSoon() {
  if (writing_) return;
  writing_ = true;
  asio::post(loop_, [self = shared_from_this()] { self->Write(); });
}

void Connection::Write() {
  writing_ = false;
  if (ended_ || out_.empty()) return;
  writing_ = true;
  writing_now_.swap(out_);
  out_.clear();
  handed_ += writing_now_.size();
  auto then = [self = shared_from_this()](error_code e, size_t) {
    if (self->ended_) return;
    if (e) return self->Close(e.message());
    self->Write();
  };
  if (tls_) return asio::async_write(*tls_, asio::buffer(writing_now_), std::move(then));
  asio::async_write(socket_, asio::buffer(writing_now_), std::move(then));
}

void Connection::Read() {
  auto then = [self = shared_from_this()](error_code e, size_t count) {
    if (self->ended_) return;
    const bool closed = e == asio::error::eof || e == asio::ssl::error::stream_truncated;
    if (e) return self->Close(closed ? "the node closed it" : e.message());
    self->heard_ = Clock::now();
    self->in_.append(self->chunk_, 0, count);
    if (self->TakeReplies()) self->Read();
  };
  if (tls_) return tls_->async_read_some(asio::buffer(chunk_), std::move(then));
  socket_.async_read_some(asio::buffer(chunk_), std::move(then));
}

// False if the connection ended meanwhile.
bool Connection::TakeReplies() {
  size_t used = 0;
  for (;;) {
    Wire::Decoded decoded = wire_->Decode(std::string_view(in_).substr(used));
    used += decoded.used;
    if (decoded.state == Wire::State::kBroken) {
      Close("an answer that is none");
      return false;
    }
    if (decoded.state == Wire::State::kMore) {
      if (decoded.used > 0 && used < in_.size()) continue;
      break;
    }
    expects_close_ = decoded.state == Wire::State::kLast;
    if (!TakeReply(std::move(decoded.reply))) return false;
    if (expects_close_) {
      Close("the node closed it");
      return false;
    }
  }
  in_.erase(0, used);
  return true;
}

bool Connection::TakeReply(Reply reply) {
  if (waiting_.empty()) {
    Close("an answer that nobody asked for");
    return false;
  }
  const std::shared_ptr<Exchange> exchange = std::move(waiting_.front().exchange);
  waiting_.pop_front();
  if (exchange == nullptr) {
    if (reply.code != Code::Ok) Close("greeting refused: " + reply.message);
    return !ended_;
  }
  // What is done with the reply may send the next request, or end this connection.
  Tell(*exchange, {Answer::End::kReply, std::move(reply), {}});
  if (!ended_) events_.on_room();
  return !ended_;
}

void Connection::GiveUp(const Exchange& exchange) {
  if (connected_ && heard_ <= exchange.sent) Close("the node is silent");
}

void Connection::Close(const std::string& why) {
  if (ended_) return;
  ended_ = true;
  const auto self = shared_from_this();  // its node lets go of it
  error_code ignored;
  resolver_.cancel();
  connect_limit_.cancel();
  socket_.close(ignored);
  std::deque<Waiting> waiting = std::move(waiting_);
  waiting_.clear();
  events_.on_end(connected_);
  for (const Waiting& each : waiting) {
    if (each.exchange == nullptr) continue;
    const auto end = each.begins < handed_ ? Answer::End::kLost : Answer::End::kNotSent;
    Tell(*each.exchange, {end, {}, address_ + ": " + why});
  }
}

}  // namespace lariat::client

// SPDX-License-Identifier: Apache-2.0
// One pipelined connection to a node: requests leave in order, replies come in the same order. It
// connects once and does not come back: its node opens another. Lives on the thread of its loop.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "client/policy.h"
#include "client/secure.h"
#include "client/wire/wire.h"

namespace lariat::client {

using Clock = std::chrono::steady_clock;

class Connection;

// One try of a request. Shared by who waits for it and by the connection.
struct Exchange {
  std::shared_ptr<const Request> request;
  std::chrono::milliseconds time{0};  // the node should not work on it for longer
  // Called once, unless `abandoned` is set before.
  std::function<void(Answer)> done;
  bool abandoned = false;
  Clock::time_point sent;  // when it was given to a connection; zero: it never was
  std::weak_ptr<Connection> carrier;
};

// Ends the exchange, unless nobody waits for it.
void Tell(Exchange& exchange, Answer answer);

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // What its node is told.
  struct Events {
    std::function<void()> on_room;               // a reply came
    std::function<void(bool connected)> on_end;  // once; it takes no more requests
  };

  // `address` is "host:port".
  Connection(boost::asio::io_context& loop, std::string address, std::unique_ptr<Wire> wire,
             Secure secure);
  // Connects. What it fails at is told later, never from within.
  void Start(Events events, std::chrono::milliseconds connect_timeout);
  void Send(std::shared_ptr<Exchange> exchange);
  // Nobody waits for `exchange` any more, since its time is over. A connection that has been silent
  // since it was sent hangs, and ends.
  void GiveUp(const Exchange& exchange);
  // Ends everything under way.
  void Close(const std::string& why);
  size_t in_flight() const { return waiting_.size(); }
  bool connected() const { return connected_; }

 private:
  struct Waiting {
    std::shared_ptr<Exchange> exchange;  // null: the greeting
    uint64_t begins;                     // its first byte, counted from the connection's first
  };

  void Resolve(const std::string& port);
  void Connect(const boost::asio::ip::tcp::resolver::results_type& endpoints);
  void Encrypt();
  void OnConnected();
  void WriteSoon();
  void Write();
  void Read();
  bool TakeReplies();
  bool TakeReply(Reply reply);

  boost::asio::io_context& loop_;
  const std::string address_;
  std::string host_;  // of the address
  std::unique_ptr<Wire> wire_;
  const Secure secure_;  // null: no TLS
  Events events_;
  boost::asio::ip::tcp::socket socket_;
  std::optional<boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>> tls_;  // over socket_
  boost::asio::ip::tcp::resolver resolver_;
  boost::asio::steady_timer connect_limit_;
  bool connected_ = false;
  bool ended_ = false;
  bool writing_ = false;  // or about to
  bool expects_close_ = false;
  std::string out_, writing_now_;
  uint64_t appended_ = 0;  // bytes ever appended to out_
  uint64_t handed_ = 0;    // bytes ever given to the kernel, or about to be
  std::string in_, chunk_;
  std::deque<Waiting> waiting_;  // oldest first
  Clock::time_point heard_;
};

}  // namespace lariat::client

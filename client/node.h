// SPDX-License-Identifier: Apache-2.0
// One node as the client uses it: a few pipelined connections, a queue before them, and whether it
// is worth asking. Lives on the thread of its loop.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/connection.h"

namespace lariat::client {

// Stats while they are counted; read by any thread.
struct Counters {
  std::atomic<uint64_t> operations{0}, attempts{0}, retries{0}, retries_refused{0}, hedges{0},
      hedges_won{0}, hedges_refused{0}, overloaded{0}, timeouts{0}, connects{0},
      connections_lost{0}, topology_changes{0}, escalations{0};
};

class Node : public std::enable_shared_from_this<Node> {
 public:
  using MakeWire = std::function<std::unique_ptr<Wire>()>;

  // `options` and `counters` must outlive it.
  Node(boost::asio::io_context& loop, std::string address, MakeWire make_wire,
       const ClientOptions& options, Secure secure, Counters& counters);

  void Send(std::shared_ptr<Exchange> exchange);
  // The time of `exchange` is over; nothing came.
  void GiveUp(const std::shared_ptr<Exchange>& exchange);
  void Close();

  // It could not be reached or was silent a short time ago: others are asked first.
  bool IsSuspect() const { return Clock::now() < suspect_until_; }
  size_t in_flight() const;
  const std::string& address() const { return address_; }

 private:
  std::shared_ptr<Connection> Pick();
  std::shared_ptr<Connection> Open();
  void Pump();
  void OnEnd(const Connection* connection, bool was_connected);
  void Suspect();

  boost::asio::io_context& loop_;
  const std::string address_;
  const MakeWire make_wire_;
  const ClientOptions& options_;
  const Secure secure_;
  Counters& counters_;
  // Shared with the operations of the loop.
  std::vector<std::shared_ptr<Connection>> connections_;
  std::deque<std::shared_ptr<Exchange>> queue_;  // bounded by the client's max_in_flight
  Clock::time_point suspect_until_;
  std::chrono::milliseconds suspicion_{0};  // how long the last one was
  bool closed_ = false;
};

}  // namespace lariat::client

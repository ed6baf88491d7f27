// SPDX-License-Identifier: Apache-2.0
// The Asio side of a ShardLoop: waits until its EventLoop has something to do. Included by the few
// sources that pay for Asio's compile time.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <string>
#include <thread>
#include <vector>

#include "env/posix/internal/event_loop.h"
#include "env/posix/internal/system.h"
#include "env/posix/internal/tcp_network.h"
#include "env/posix/shard_loop.h"

namespace lariat::env::posix {

struct ShardLoop::Impl {
  explicit Impl(std::string thread_name);
  ~Impl();

  void Run();
  void RunTurns();
  void WaitForSockets();
  void WaitForTimers();
  void ResolveName(const HostPort& where, Resolved done);

  std::string name;
  boost::asio::io_context io{1};  // one thread runs it
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work;
  boost::asio::posix::stream_descriptor sockets;  // the EventLoop's epoll set
  boost::asio::steady_timer timer;
  boost::asio::ip::tcp::resolver resolver;
  bool waits_for_sockets = false;
  base::Instant timer_set_for = base::Instant::max();
  std::atomic<bool> stopped = false;

  SystemClock clock;
  SystemEntropy entropy;
  EventLoop loop;
  TcpNetwork network;
  std::thread thread;
};

}  // namespace lariat::env::posix

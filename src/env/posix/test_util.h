// SPDX-License-Identifier: Apache-2.0
// For the tests of this folder: a loop on its own thread, waiting for conditions, plain blocking
// sockets as the other side, and a handler made of functions.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "env/posix/internal/socket.h"
#include "env/posix/shard_loop.h"

namespace lariat::env::posix {

// Waits for the condition; false if it does not come true within ten seconds.
inline bool Eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// Runs `what` on the loop's thread and returns its result.
template <typename What>
auto OnLoop(ShardLoop& loop, What what) {
  using Out = decltype(what());
  auto promise = std::make_shared<std::promise<Out>>();
  auto future = promise->get_future();
  loop.env().executor.Post([promise, what = std::move(what)]() mutable {
    if constexpr (std::is_void_v<Out>) {
      what();
      promise->set_value();
    } else {
      promise->set_value(what());
    }
  });
  return future.get();
}

struct TestHandler final : StreamHandler {
  explicit TestHandler(Stream& s) : stream(s) {}
  ~TestHandler() override {
    if (on_destroyed) on_destroyed();
  }
  size_t OnData(std::string_view bytes) override { return on_data ? on_data(bytes) : bytes.size(); }
  void OnDrained() override {
    if (on_drained) on_drained();
  }
  bool KeepOpenAfterPeerClosed() override { return keep_open; }
  void OnClosed(const std::string& reason) override {
    if (on_closed) on_closed(reason);
  }

  Stream& stream;
  bool keep_open = false;
  std::function<size_t(std::string_view)> on_data;
  std::function<void()> on_drained;
  std::function<void(const std::string&)> on_closed;
  std::function<void()> on_destroyed;
};

inline std::unique_ptr<TestHandler> EchoHandler(Stream& stream) {
  auto handler = std::make_unique<TestHandler>(stream);
  handler->on_data = [&stream](std::string_view bytes) {
    stream.Write(bytes);
    return bytes.size();
  };
  return handler;
}

// A blocking client or server socket; reads give up after ten seconds.
class PlainSocket {
 public:
  explicit PlainSocket(Fd fd) : fd_(std::move(fd)) {
    timeval limit = {.tv_sec = 10, .tv_usec = 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  }
  static PlainSocket Dial(const std::string& address) {
    const SocketAddress to = *NumericAddress(*ParseHostPort(address));
    Fd fd(::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), to.raw(), to.size), 0) << ErrnoText(errno);
    return PlainSocket(std::move(fd));
  }
  void Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      ASSERT_GT(sent, 0) << ErrnoText(errno);
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  // Up to `count` bytes; fewer only at the end of the stream or on an error.
  std::string Receive(size_t count) {
    std::string result(count, '\0');
    size_t have = 0;
    while (have < count) {
      const ssize_t got = ::recv(fd_.get(), result.data() + have, count - have, 0);
      if (got <= 0) break;
      have += static_cast<size_t>(got);
    }
    result.resize(have);
    return result;
  }
  bool AtEnd() {
    char byte = 0;
    return ::recv(fd_.get(), &byte, 1, 0) == 0;
  }
  void ShutdownWrite() { ::shutdown(fd_.get(), SHUT_WR); }
  void Close() { fd_.Close(); }
  int fd() const { return fd_.get(); }

 private:
  Fd fd_;
};

// A server loop on its own thread at a free port.
struct TestServer {
  explicit TestServer(MakeHandler make, ListenOptions options = {.address = "127.0.0.1:0"})
      : loop("server") {
    auto bound = loop.network().Listen(std::move(options), std::move(make));
    EXPECT_TRUE(bound.has_value()) << bound.error().message;
    address = *bound;
    loop.Start();
  }
  uint64_t open() const { return loop.network_stats().connections_open.value(); }

  ShardLoop loop;
  std::string address;
};

}  // namespace lariat::env::posix

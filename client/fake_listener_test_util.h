// SPDX-License-Identifier: Apache-2.0
// What fake nodes are made of: a listener on loopback with a thread for each connection, the bytes
// of a connection, and a gate that holds up an answer.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace lariat::client::testing {

// Holds up whoever waits until it is opened.
class Gate {
 public:
  void Wait() const {
    std::unique_lock lock(state_->mutex);
    ++state_->waiting;
    state_->changed.notify_all();
    state_->changed.wait(lock, [this] { return state_->open; });
  }
  void Open() const {
    const std::lock_guard lock(state_->mutex);
    state_->open = true;
    state_->changed.notify_all();
  }
  void UntilWaiting(int count) const {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [&] { return state_->waiting >= count; });
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    bool open = false;
    int waiting = 0;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

// Accepts connections on a free port of loopback, and serves each on a thread of its own.
class FakeListener {
 public:
  explicit FakeListener(std::function<void(int fd)> serve) : serve_(std::move(serve)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 64), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { Accept(); });
  }
  ~FakeListener() { Stop(); }
  FakeListener(const FakeListener&) = delete;
  FakeListener& operator=(const FakeListener&) = delete;

  const std::string& address() const { return address_; }
  // As if the process was killed. What an answer holds up has to be let go before.
  void Stop() {
    if (listener_ < 0) return;
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(std::exchange(listener_, -1));
    for (Served& served : served_) shutdown(served.fd, SHUT_RDWR);
    for (Served& served : served_) {
      served.thread.join();
      close(served.fd);
    }
    served_.clear();
  }

 private:
  struct Served {
    int fd;
    std::thread thread;
  };
  void Accept() {
    for (int fd = 0; (fd = accept(listener_, nullptr, nullptr)) >= 0;) {
      served_.push_back({fd, std::thread([this, fd] {
                           serve_(fd);
                           shutdown(fd, SHUT_RDWR);
                         })});
    }
  }
  std::function<void(int fd)> serve_;
  int listener_ = -1;
  std::string address_;
  std::list<Served> served_;  // of the accepting thread until that ended
  std::thread thread_;
};

// Bytes of one connection.
class FakeStream {
 public:
  explicit FakeStream(int fd) : fd_(fd) {}
  bool Line(std::string& line) {
    size_t end = 0;
    while ((end = bytes_.find("\r\n")) == std::string::npos) {
      if (!More()) return false;
    }
    line = bytes_.substr(0, end);
    bytes_.erase(0, end + 2);
    return true;
  }
  bool Bytes(size_t count, std::string& out) {
    while (bytes_.size() < count) {
      if (!More()) return false;
    }
    out = bytes_.substr(0, count);
    bytes_.erase(0, count);
    return true;
  }
  void Send(const std::string& text) {
    size_t sent = 0;
    while (sent < text.size()) {
      const ssize_t n = send(fd_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += static_cast<size_t>(n);
    }
  }

 private:
  bool More() {
    char buffer[4096];
    const ssize_t n = recv(fd_, buffer, sizeof(buffer), 0);
    if (n <= 0) return false;
    bytes_.append(buffer, static_cast<size_t>(n));
    return true;
  }
  int fd_;
  std::string bytes_;
};

}  // namespace lariat::client::testing

// SPDX-License-Identifier: Apache-2.0
// A node for tests of commands: answers HTTP on loopback as it is told, and remembers what it was
// asked. One request per connection.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace lariat::cli::testing {

struct FakeReply {
  int status = 200;
  std::string body = "{}";
};

class FakeNode {
 public:
  // Called on the node's thread.
  using Answer = std::function<FakeReply(const std::string& start, const std::string& body)>;

  explicit FakeNode(Answer answer) : answer_(std::move(answer)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { Serve(); });
  }
  ~FakeNode() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  FakeNode(const FakeNode&) = delete;
  FakeNode& operator=(const FakeNode&) = delete;

  const std::string& address() const { return address_; }
  // "POST /path body", in the order of their arrival.
  std::vector<std::string> Asked() const {
    std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  void Serve() {
    for (int fd = 0; (fd = accept(listener_, nullptr, nullptr)) >= 0; close(fd)) ServeOne(fd);
  }
  void ServeOne(int fd) {
    std::string bytes;
    size_t head = std::string::npos;
    size_t length = 0;
    char buffer[4096];
    for (ssize_t n = 0; (n = read(fd, buffer, sizeof(buffer))) > 0;) {
      bytes.append(buffer, static_cast<size_t>(n));
      head = bytes.find("\r\n\r\n");
      if (head == std::string::npos) continue;
      const size_t field = bytes.find("Content-Length: ");
      length = field < head ? std::stoul(bytes.substr(field + 16)) : 0;
      if (bytes.size() >= head + 4 + length) break;
    }
    if (head == std::string::npos) return;
    const std::string start = bytes.substr(0, bytes.find(" HTTP/1.1"));
    const std::string body = bytes.substr(head + 4, length);
    {
      std::lock_guard lock(mutex_);
      asked_.push_back(body.empty() ? start : start + " " + body);
    }
    const FakeReply reply = answer_(start, body);
    const std::string out = "HTTP/1.1 " + std::to_string(reply.status) +
                            " X\r\nConnection: close\r\nContent-Type: application/json\r\n" +
                            "Content-Length: " + std::to_string(reply.body.size()) + "\r\n\r\n" +
                            reply.body;
    EXPECT_EQ(write(fd, out.data(), out.size()), static_cast<ssize_t>(out.size()));
  }

  Answer answer_;
  int listener_ = -1;
  std::string address_;
  mutable std::mutex mutex_;
  std::vector<std::string> asked_;
  std::thread thread_;
};

// A node whose machine hangs: kTakes lets connections in and never answers (a stopped process),
// kDrops does not even do that (a host that is gone).
class HungNode {
 public:
  enum class Kind : uint8_t { kTakes, kDrops };
  explicit HungNode(Kind kind) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, kind == Kind::kDrops ? 0 : 64), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    // A queue of no length holds one connection; while it is full the others are dropped.
    for (int i = 0; kind == Kind::kDrops && i < 4; ++i) {
      const int filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      std::ignore = connect(filler, reinterpret_cast<sockaddr*>(&address), size);
      fillers_.push_back(filler);
    }
  }
  ~HungNode() {
    for (int filler : fillers_) close(filler);
    close(listener_);
  }
  HungNode(const HungNode&) = delete;
  HungNode& operator=(const HungNode&) = delete;
  const std::string& address() const { return address_; }

 private:
  int listener_ = -1;
  std::vector<int> fillers_;
  std::string address_;
};

}  // namespace lariat::cli::testing

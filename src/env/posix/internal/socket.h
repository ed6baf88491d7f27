// SPDX-License-Identifier: Apache-2.0
// Thin, non-throwing wrappers of the socket calls, with errors in words people can act on.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "base/time.h"

namespace lariat::env::posix {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { Close(); }
  void Close();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t size = 0;
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
};

struct HostPort {
  std::string host;  // without brackets
  uint16_t port = 0;
};

// "connection refused": what errno means, in the lower case of the middle of a sentence.
std::string ErrnoText(int error);

// "host:port", "1.2.3.4:80" or "[::1]:80".
base::Result<HostPort> ParseHostPort(std::string_view address);
// The address of a numeric host, nothing if the host is a name.
std::optional<SocketAddress> NumericAddress(const HostPort& where);
// Looks a name up and waits for the answer: at start only.
base::Result<SocketAddress> ResolveNow(const HostPort& where);
std::string AddressText(const SocketAddress& address);

// A listening socket that several shards share, and the address it got. With `joins` another shard
// of this process has the address already; otherwise it must be free (kConflict if not).
struct ListenerSocket {
  Fd fd;
  SocketAddress bound;
};
base::Result<ListenerSocket> OpenListener(const SocketAddress& address, bool joins);

// Starts to connect; the socket becomes writable when it is done. See ConnectOutcome.
base::Result<Fd> StartConnect(const SocketAddress& address);
// 0 if the finished attempt worked, otherwise its errno.
int ConnectOutcome(int fd);

// What every connection gets: no Nagle delay, and dead peers are found out. Without a user timeout
// (zero) bytes that the other side does not take wait until the kernel or the handler gives up.
void SetConnectionOptions(int fd, base::Duration user_timeout);
int PendingError(int fd);  // SO_ERROR

}  // namespace lariat::env::posix

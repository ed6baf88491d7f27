// SPDX-License-Identifier: Apache-2.0
#include "env/posix/internal/socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <memory>
#include <system_error>

namespace lariat::env::posix {

namespace {

constexpr int kBacklog = 1024;  // the kernel lowers it to net.core.somaxconn
constexpr int kKeepIdleSeconds = 30;
constexpr int kKeepIntervalSeconds = 5;

void SetInt(int fd, int level, int option, int value) {
  // Options tune a socket that works without them, so a refusal is not an error.
  (void)setsockopt(fd, level, option, &value, sizeof(value));
}

base::Error ListenError(const SocketAddress& address, int error) {
  const std::string where = AddressText(address);
  switch (error) {
    case EADDRINUSE:
      return {base::Code::kConflict, "address " + where + " is already in use"};
    case EADDRNOTAVAIL:
      return {base::Code::kInvalidArgument, "address " + where + " is not one of this machine"};
    case EACCES:
      return {base::Code::kIo, "no permission to listen on " + where};
    default:
      return {base::Code::kIo, "cannot listen on " + where + ": " + ErrnoText(error)};
  }
}

}  // namespace

void Fd::Close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

std::string ErrnoText(int error) {
  std::string text = std::generic_category().message(error);
  if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])) != 0) {
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  return text;
}

base::Result<HostPort> ParseHostPort(std::string_view address) {
  const auto bad = [&](const char* why) {
    return base::Fail(base::Code::kInvalidArgument,
                      "\"" + std::string(address) + "\" is not a host:port address: " + why);
  };
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return bad("it has no port");
  std::string_view host = address.substr(0, colon);
  const std::string_view port = address.substr(colon + 1);
  HostPort result;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), result.port);
  if (port.empty() || error != std::errc() || end != port.data() + port.size()) {
    return bad("the port must be a number from 0 to 65535");
  }
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad("write an IPv6 address as [address]:port");
  }
  if (host.empty()) return bad("it has no host");
  result.host = host;
  return result;
}

std::optional<SocketAddress> NumericAddress(const HostPort& where) {
  SocketAddress result;
  auto& v4 = reinterpret_cast<sockaddr_in&>(result.storage);
  if (inet_pton(AF_INET, where.host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(where.port);
    result.size = sizeof(v4);
    return result;
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(result.storage);
  if (inet_pton(AF_INET6, where.host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(where.port);
    result.size = sizeof(v6);
    return result;
  }
  return std::nullopt;
}

base::Result<SocketAddress> ResolveNow(const HostPort& where) {
  if (auto numeric = NumericAddress(where)) return *numeric;
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(where.port);
  const int error = getaddrinfo(where.host.c_str(), port.c_str(), &hints, &found);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(found, &freeaddrinfo);
  if (error != 0 || list == nullptr) {
    return base::Fail(base::Code::kIo, "cannot look up the host \"" + where.host + "\": " +
                                           (error != 0 ? gai_strerror(error) : "no address"));
  }
  SocketAddress result;
  std::memcpy(&result.storage, list->ai_addr, list->ai_addrlen);
  result.size = list->ai_addrlen;
  return result;
}

std::string AddressText(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address.storage);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
    return "[" + std::string(text) + "]:" + std::to_string(ntohs(v6.sin6_port));
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(address.storage);
  inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
  return std::string(text) + ":" + std::to_string(ntohs(v4.sin_port));
}

base::Result<ListenerSocket> OpenListener(const SocketAddress& address, bool joins) {
  ListenerSocket result;
  result.fd =
      Fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int fd = result.fd.get();
  if (!result.fd) return base::Fail(ListenError(address, errno));
  SetInt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  // SO_REUSEPORT lets the shards of this process share the address, but it would let a second
  // process of the same user take part unnoticed. So the first shard binds without it, which fails
  // if anybody has the address, and only then opens the socket for the other shards.
  if (joins) SetInt(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (::bind(fd, address.raw(), address.size) != 0) return base::Fail(ListenError(address, errno));
  if (!joins) SetInt(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  SetInt(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (::listen(fd, kBacklog) != 0) return base::Fail(ListenError(address, errno));
  result.bound.size = sizeof(result.bound.storage);
  if (::getsockname(fd, result.bound.raw(), &result.bound.size) != 0) {
    return base::Fail(ListenError(address, errno));
  }
  return result;
}

base::Result<Fd> StartConnect(const SocketAddress& address) {
  Fd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return base::Fail(base::Code::kIo, ErrnoText(errno));
  if (::connect(fd.get(), address.raw(), address.size) != 0 && errno != EINPROGRESS) {
    return base::Fail(base::Code::kIo, ErrnoText(errno));
  }
  return fd;
}

int ConnectOutcome(int fd) {
  if (const int error = PendingError(fd)) return error;
  SocketAddress mine;
  SocketAddress theirs;
  mine.size = theirs.size = sizeof(sockaddr_storage);
  if (::getsockname(fd, mine.raw(), &mine.size) != 0) return errno;
  if (::getpeername(fd, theirs.raw(), &theirs.size) != 0) return errno;
  // A socket that dials a free local port can be given that very port and reach itself.
  if (AddressText(mine) == AddressText(theirs)) return ECONNREFUSED;
  return 0;
}

void SetConnectionOptions(int fd, base::Duration user_timeout) {
  using std::chrono::milliseconds;
  const auto timeout_ms = std::chrono::duration_cast<milliseconds>(user_timeout).count();
  SetInt(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (timeout_ms > 0) SetInt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(timeout_ms));
  // The user timeout only runs while bytes are on their way; keepalive covers quiet connections.
  SetInt(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetInt(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepIdleSeconds);
  SetInt(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepIntervalSeconds);
}

int PendingError(int fd) {
  int error = 0;
  socklen_t size = sizeof(error);
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

}  // namespace lariat::env::posix

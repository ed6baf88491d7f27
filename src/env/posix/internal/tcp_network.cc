// SPDX-License-Identifier: Apache-2.0
#include "env/posix/internal/tcp_network.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace lariat::env::posix {

namespace {

constexpr int kAcceptsPerTurn = 64;
constexpr base::Duration kAcceptPause = base::Millis(100);
constexpr base::Duration kConnectedUserTimeout = base::Seconds(10);  // only peers are connected to
// EPOLLOUT costs nothing while no send was refused: the kernel reports only that change.
constexpr uint32_t kStreamEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

// As much as leaves at once. What the other side has sent is taken, since a close with unread bytes
// is a reset, which may overtake the answer.
void Refuse(int fd, std::string_view answer) {
  (void)::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  char unread[4096];
  (void)::recv(fd, unread, sizeof(unread), MSG_DONTWAIT);
}

}  // namespace

struct TcpNetwork::Listener final : Pollable {
  void OnEvents(uint32_t) override { network->AcceptSome(this); }

  TcpNetwork* network = nullptr;
  Fd fd;
  ListenOptions options;
  MakeHandler make;
  size_t open = 0;
  TimerId resume_timer = 0;
};

struct TcpNetwork::Attempt final : Pollable {
  void OnEvents(uint32_t) override {
    if (fd) network->OnAttemptEvent(this);
  }

  TcpNetwork* network = nullptr;
  uint64_t id = 0;
  std::string address;
  MakeHandler make;
  base::UniqueFunction<void(base::Error)> failed;
  TimerId timer = 0;
  std::vector<SocketAddress> candidates;
  size_t next = 0;  // in candidates
  Fd fd;
};

TcpNetwork::TcpNetwork(EventLoop* loop, LookUp look_up)
    : loop_(*loop),
      look_up_(std::move(look_up)),
      scratch_(std::make_unique_for_overwrite<char[]>(kScratchBytes)) {
  loop_.SetTurnEnd([this] { return EndOfTurn(); });
}

TcpNetwork::~TcpNetwork() {
  loop_.SetTurnEnd(nullptr);
  // So that what a handler's destructor calls does nothing.
  for (auto& [connection, owned] : connections_) connection->CloseBecause("the loop ended");
}

base::Result<std::string> TcpNetwork::Listen(ListenOptions options, MakeHandler make) {
  const auto where = ParseHostPort(options.address);
  if (!where) return base::Fail(where.error());
  const auto address = ResolveNow(*where);
  if (!address) return base::Fail(address.error());
  auto socket = OpenListener(*address, options.joins_other_shard);
  if (!socket) return base::Fail(socket.error());
  auto listener = std::make_unique<Listener>();
  listener->network = this;
  listener->fd = std::move(socket->fd);
  listener->options = std::move(options);
  listener->make = std::move(make);
  if (auto watched = loop_.Watch(listener->fd.get(), EPOLLIN, listener.get()); !watched) {
    return base::Fail(watched.error());
  }
  listeners_.push_back(std::move(listener));
  return AddressText(socket->bound);
}

void TcpNetwork::StopListening() {
  for (const auto& listener : listeners_) {
    if (!listener->fd) continue;
    AcceptSome(listener.get());  // whom the kernel has accepted would be reset otherwise
    loop_.Cancel(listener->resume_timer);
    listener->fd.Close();
  }
}

void TcpNetwork::AcceptSome(Listener* listener) {
  for (int i = 0; i < kAcceptsPerTurn && listener->fd; ++i) {
    if (!AcceptOne(listener)) return;
  }
}

// False when nobody is waiting to be accepted.
bool TcpNetwork::AcceptOne(Listener* listener) {
  SocketAddress peer;
  peer.size = sizeof(peer.storage);
  Fd fd(::accept4(listener->fd.get(), peer.raw(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd) {
    if (errno == EINTR || errno == ECONNABORTED) return true;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
    stats_.accept_errors.Add(1);
    if (MakeRoom(listener)) return true;
    PauseAccepting(listener);
    return false;
  }
  if (listener->open >= listener->options.connections_max && !MakeRoom(listener)) {
    stats_.accepts_refused.Add(1);
    if (listener->options.refuse) Refuse(fd.get(), listener->options.refuse());
    return true;
  }
  SetConnectionOptions(fd.get(), listener->options.user_timeout);
  Connection* connection = Adopt(std::move(fd), AddressText(peer), &listener->make);
  if (connection == nullptr) return true;
  stats_.accepted.Add(1);
  ++listener->open;
  connections_[connection].listener = listener;
  return true;
}

bool TcpNetwork::MakeRoom(Listener* listener) {
  return listener->options.make_room && listener->options.make_room();
}

// Out of descriptors or memory: the waiting connection would make the loop spin.
void TcpNetwork::PauseAccepting(Listener* listener) {
  loop_.ChangeWatch(listener->fd.get(), 0, listener);
  loop_.Cancel(listener->resume_timer);
  listener->resume_timer = loop_.After(kAcceptPause, [this, listener] {
    if (listener->fd) loop_.ChangeWatch(listener->fd.get(), EPOLLIN, listener);
  });
}

// Makes a connected socket a connection; null if it was refused or could not be watched.
Connection* TcpNetwork::Adopt(Fd fd, std::string peer, MakeHandler* make) {
  auto owned = std::make_unique<Connection>(this, std::move(fd), std::move(peer));
  Connection* connection = owned.get();
  auto handler = (*make)(*connection);
  if (handler == nullptr) {
    std::erase(listed_, connection);  // `make` may have written to it
    return nullptr;
  }
  connection->SetHandler(std::move(handler));
  connections_[connection].connection = std::move(owned);
  stats_.connections_open.Add(1);
  if (connection->fd() < 0) return connection;  // `make` closed it
  if (auto watched = loop_.Watch(connection->fd(), kStreamEvents, connection); !watched) {
    connection->CloseBecause(watched.error().message);
  }
  return connection;
}

void TcpNetwork::Connect(const std::string& address, base::Duration timeout, MakeHandler make,
                         base::UniqueFunction<void(base::Error)> failed) {
  auto owned = std::make_unique<Attempt>();
  Attempt* attempt = owned.get();
  attempt->network = this;
  attempt->id = next_attempt_++;
  attempt->address = address;
  attempt->make = std::move(make);
  attempt->failed = std::move(failed);
  const uint64_t id = attempt->id;
  attempts_[id] = std::move(owned);
  attempt->timer = loop_.After(timeout, [this, id, address] {
    FailAttempt(id, {base::Code::kIo, "cannot connect to " + address + ": timed out"});
  });
  loop_.Post([this, id] {
    if (Attempt* found = FindAttempt(id)) StartAttempt(found);
  });
}

void TcpNetwork::StartAttempt(Attempt* attempt) {
  const auto where = ParseHostPort(attempt->address);
  if (!where) return FailAttempt(attempt->id, where.error());
  if (auto numeric = NumericAddress(*where)) {
    attempt->candidates = {*numeric};
    return TryNext(attempt, 0);
  }
  look_up_(*where, [this, id = attempt->id](base::Result<std::vector<SocketAddress>> found) {
    Attempt* waiting = FindAttempt(id);
    if (waiting == nullptr) return;
    if (!found) return FailAttempt(id, std::move(found.error()));
    waiting->candidates = std::move(*found);
    TryNext(waiting, 0);
  });
}

void TcpNetwork::Resolve(const std::string& address, Addresses done) {
  const auto where = ParseHostPort(address);
  if (!where) return done(base::Fail(where.error()));
  if (const auto numeric = NumericAddress(*where)) {
    return done(std::vector<std::string>{AddressText(*numeric)});
  }
  look_up_(*where,
           [done = std::move(done)](const base::Result<std::vector<SocketAddress>>& found) mutable {
             if (!found) return done(base::Fail(found.error()));
             std::vector<std::string> texts;
             for (const SocketAddress& each : *found) texts.push_back(AddressText(each));
             done(std::move(texts));
           });
}

// Tries the next address, or fails with what the last one said.
void TcpNetwork::TryNext(Attempt* attempt, int error) {
  std::string why = ErrnoText(error == 0 ? EHOSTUNREACH : error);
  while (attempt->next < attempt->candidates.size()) {
    auto fd = StartConnect(attempt->candidates[attempt->next++]);
    if (!fd) {
      why = fd.error().message;
      continue;
    }
    attempt->fd = std::move(*fd);
    if (loop_.Watch(attempt->fd.get(), EPOLLOUT | EPOLLET, attempt)) return;
    why = "cannot watch the socket";
  }
  FailAttempt(attempt->id, {base::Code::kIo, "cannot connect to " + attempt->address + ": " + why});
}

void TcpNetwork::OnAttemptEvent(Attempt* attempt) {
  if (const int error = ConnectOutcome(attempt->fd.get())) {
    attempt->fd.Close();
    TryNext(attempt, error);
    return;
  }
  loop_.Cancel(attempt->timer);
  SetConnectionOptions(attempt->fd.get(), kConnectedUserTimeout);
  const auto found = attempts_.find(attempt->id);
  ended_attempts_.push_back(std::move(found->second));
  attempts_.erase(found);
  const SocketAddress& peer = attempt->candidates[attempt->next - 1];
  loop_.Unwatch(attempt->fd.get());
  Adopt(std::move(attempt->fd), AddressText(peer), &attempt->make);
}

void TcpNetwork::FailAttempt(uint64_t id, base::Error error) {
  const auto found = attempts_.find(id);
  if (found == attempts_.end()) return;
  Attempt& attempt = *found->second;
  loop_.Cancel(attempt.timer);
  attempt.fd.Close();
  ended_attempts_.push_back(std::move(found->second));
  attempts_.erase(found);
  stats_.connects_failed.Add(1);
  attempt.failed(std::move(error));
}

TcpNetwork::Attempt* TcpNetwork::FindAttempt(uint64_t id) {
  const auto found = attempts_.find(id);
  return found == attempts_.end() ? nullptr : found->second.get();
}

void TcpNetwork::CloseAll(const std::string& reason) {
  while (!attempts_.empty()) FailAttempt(attempts_.begin()->first, {base::Code::kIo, reason});
  for (auto& [connection, owned] : connections_) connection->CloseBecause(reason);
}

void TcpNetwork::ListForTurnEnd(Connection* connection) {
  listed_.push_back(connection);
  loop_.RequestTurn();
}

bool TcpNetwork::EndOfTurn() {
  handled_.swap(listed_);
  for (Connection* connection : handled_) {
    if (!connection->EndOfTurn()) Remove(connection);
  }
  handled_.clear();
  ended_attempts_.clear();
  return !listed_.empty();
}

void TcpNetwork::Remove(Connection* connection) {
  const auto found = connections_.find(connection);
  LARIAT_CHECK(found != connections_.end(), "a connection is removed once");
  if (found->second.listener != nullptr) --found->second.listener->open;
  connections_.erase(found);
  stats_.connections_open.Subtract(1);
}

}  // namespace lariat::env::posix

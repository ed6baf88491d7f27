// SPDX-License-Identifier: Apache-2.0
// env::Network over TCP for one loop: owns the listeners, the attempts to connect and the
// connections.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "env/posix/internal/connection.h"
#include "env/posix/internal/event_loop.h"
#include "env/posix/internal/socket.h"
#include "env/posix/stats.h"
#include "env/stream.h"

namespace lariat::env::posix {

using Resolved = base::UniqueFunction<void(base::Result<std::vector<SocketAddress>>)>;
// Looks a name up without blocking; the answer arrives on the loop.
using LookUp = std::function<void(const HostPort&, Resolved)>;

class TcpNetwork final : public Network {
 public:
  TcpNetwork(EventLoop* loop, LookUp look_up);
  ~TcpNetwork() override;

  base::Result<std::string> Listen(ListenOptions options, MakeHandler make) override;
  void Connect(const std::string& address, base::Duration timeout, MakeHandler make,
               base::UniqueFunction<void(base::Error)> failed) override;
  void Resolve(const std::string& address, Addresses done) override;
  void StopListening() override;
  // Closes every stream and gives up every attempt to connect.
  void CloseAll(const std::string& reason);

  // For the connections.
  EventLoop& loop() { return loop_; }
  NetworkStats& stats() { return stats_; }
  std::span<char> scratch() { return {scratch_.get(), kScratchBytes}; }
  void ListForTurnEnd(Connection* connection);

 private:
  static constexpr size_t kScratchBytes = 64 * 1024;
  struct Listener;
  struct Attempt;
  struct Owned {
    std::unique_ptr<Connection> connection;
    Listener* listener = nullptr;  // null if it was not accepted
  };

  void AcceptSome(Listener* listener);
  bool AcceptOne(Listener* listener);
  static bool MakeRoom(Listener* listener);
  void PauseAccepting(Listener* listener);
  Connection* Adopt(Fd fd, std::string peer, MakeHandler* make);
  void Remove(Connection* connection);

  void StartAttempt(Attempt* attempt);
  void OnAttemptEvent(Attempt* attempt);
  void TryNext(Attempt* attempt, int error);
  void FailAttempt(uint64_t id, base::Error error);
  Attempt* FindAttempt(uint64_t id);

  bool EndOfTurn();

  EventLoop& loop_;
  LookUp look_up_;
  NetworkStats stats_;
  std::unique_ptr<char[]> scratch_;
  std::vector<std::unique_ptr<Listener>> listeners_;  // closed ones stay: connections name them
  std::unordered_map<uint64_t, std::unique_ptr<Attempt>> attempts_;
  std::vector<std::unique_ptr<Attempt>> ended_attempts_;  // until the turn's events are all seen
  uint64_t next_attempt_ = 1;
  std::unordered_map<Connection*, Owned> connections_;
  std::vector<Connection*> listed_;   // have something to do at the end of this turn
  std::vector<Connection*> handled_;  // scratch of EndOfTurn
};

}  // namespace lariat::env::posix

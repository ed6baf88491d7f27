// SPDX-License-Identifier: Apache-2.0
// The load generator: connections on one epoll loop, requests built into one buffer per connection,
// replies only scanned. Cheap on purpose, since it shares the machine with what it measures. One
// engine per thread.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "apps/lariat/load/driver.h"
#include "apps/lariat/load/ledger.h"
#include "apps/lariat/load/values.h"
#include "telemetry/histogram.h"

namespace lariat::cli::load {

using Clock = std::chrono::steady_clock;

// The next operation of a connection (a number from 0 over all engines); false: none is left.
using NextOp = std::function<bool(size_t connection, Op* op)>;

struct EngineOptions {
  std::vector<Endpoint> nodes;  // connections take turns
  MakeDriver driver;
  size_t value_bytes = 500;
  size_t connections = 1;
  size_t first_connection = 0;
  size_t pipeline = 1;
  std::chrono::milliseconds silence_max{10000};  // then a connection is given up, for another node
  double rate = 0;  // operations per second of this engine; 0 = as fast as replies come
  Clock::time_point record_from, deadline;
  // One per key, kept up to date with what replies show; null: writes carry no context. Each key's
  // entry is used by the engine that writes the key, and by no other.
  std::vector<std::string>* contexts = nullptr;
  Ledger* ledger = nullptr;  // numbers the puts; the same rule for its entries
  bool verify = false;       // gets are compared with the ledger
};

struct EngineResult {
  telemetry::Histogram get, put;
  std::map<int, uint64_t> failures;   // by status; 0 = connection lost or not made
  std::string failure;                // what the first failed reply said, shortened
  uint64_t lost = 0, wrong = 0;       // gets that showed what they may not, when they verify
  std::string example;                // key of the first of them
  std::atomic<uint64_t> finished{0};  // replies of any status, for progress; other threads may read
};

class Engine {
 public:
  Engine(EngineOptions options, NextOp next, EngineResult* result);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  // Until the deadline or until no operation is left; then until all replies are in, or not to be
  // expected any more.
  void Run();

 private:
  struct Sent {
    Clock::time_point at;  // when it was due, so that a stalled server is not let off
    Op op;
    uint64_t number;  // of a put
  };
  struct Peer {
    int fd = -1;
    size_t number = 0;
    const Endpoint* node = nullptr;
    std::unique_ptr<Driver> driver;  // of the open connection
    std::string out, in;
    size_t written = 0;
    std::vector<Sent> sent;  // oldest first, at most `pipeline`
    bool wants_write = false;
    bool exhausted = false;
    Clock::time_point retry_at;
    Clock::time_point heard;  // something came, or it had nothing to wait for
  };

  bool Open(Peer& peer);
  void Lose(Peer& peer);
  void LoseTheHung(Clock::time_point now);
  void Refill(Peer& peer, Clock::time_point now);
  uint64_t Append(Peer& peer, const Op& op);
  bool IsInFlight(const Peer& peer, uint64_t key) const;
  void Flush(Peer& peer);
  void Receive(Peer& peer);
  bool TakeReply(Peer& peer, const Scan& scan, Clock::time_point now);
  bool Judge(const Op& op, const Scan& scan);
  void RefillAll(Clock::time_point now);
  bool Finished(Clock::time_point now) const;
  void Watch(Peer& peer, bool write, int operation);

  EngineOptions options_;
  NextOp next_;
  EngineResult* result_;
  int epoll_;
  std::vector<Peer> peers_;
  Values values_;
  uint64_t puts_ = 0;  // their numbers, where no ledger gives them
  std::string chunk_;  // where replies are read to
  Clock::time_point next_due_;
  Clock::duration interval_{0};
};

}  // namespace lariat::cli::load

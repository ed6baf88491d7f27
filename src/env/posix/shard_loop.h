// SPDX-License-Identifier: Apache-2.0
// The real world of one shard: a thread's event loop with its clock, entropy, executor, timers and
// TCP network. Build one per shard, give env() and network() to the shard's objects, then Run() on
// a thread of your own or Start() an owned one.
//
// Before the loop runs, env() and network() may be used by the thread that builds it; while it
// runs, only by the loop's thread. Executor::Post, Stop and the figures are always thread-safe.
// Destroy the shard's objects after the loop has ended and before the ShardLoop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/time.h"
#include "base/unique_function.h"
#include "env/env.h"
#include "env/posix/stats.h"
#include "env/stream.h"

namespace lariat::env::posix {

class ShardLoop {
 public:
  // `name` is the thread's name in ps and in a debugger (at most 15 characters are kept).
  explicit ShardLoop(std::string name);
  // Stops and joins an owned thread. Streams that are still open end without OnClosed: call
  // CloseStreams first where that matters.
  ~ShardLoop();
  ShardLoop(const ShardLoop&) = delete;
  ShardLoop& operator=(const ShardLoop&) = delete;

  Env env();
  Network& network();

  void Run();    // on the calling thread, until Stop
  void Start();  // Run on an owned thread
  void Stop();   // ends Run after the present turn; thread-safe. A stopped loop does not run again
  void Join();   // waits for the owned thread
  // Closes every stream and attempt to connect with this reason; the handlers' OnClosed follow at
  // the end of the turn. On the loop's thread.
  void CloseStreams(const std::string& reason);

  const NetworkStats& network_stats() const;
  uint64_t turns() const;
  // How often a thread woke the loop; tasks posted together by another thread count once.
  uint64_t wakes() const;
  // The longest turn since the last call: how long an event may have waited for its turn.
  base::Duration TakeLongestTurn();

 private:
  friend class Signals;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lariat::env::posix

// SPDX-License-Identifier: Apache-2.0
// Brings a process's signals to a loop, where they are events like any other.
#pragma once

#include <memory>
#include <vector>

#include "base/unique_function.h"
#include "env/posix/shard_loop.h"

namespace lariat::env::posix {

class Signals {
 public:
  using Callback = base::UniqueFunction<void(int signal)>;

  // Calls back on the loop's thread for every signal named (SIGTERM, SIGINT, SIGHUP, ...) while
  // this object lives. Build and destroy it on the loop's thread or while the loop is not running,
  // and before the loop is destroyed. One object per signal in a process.
  Signals(ShardLoop* loop, const std::vector<int>& signals, Callback callback);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the wait that is under way
};

// Writing to a closed pipe becomes an error value; sockets never raise it anyway.
void IgnoreBrokenPipes();

}  // namespace lariat::env::posix

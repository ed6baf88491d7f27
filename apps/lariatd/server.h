// SPDX-License-Identifier: Apache-2.0
// One running node: event loops, storage, listeners, signals. The place where the real world is
// chosen and put together.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "config/settings.h"

namespace lariat::lariatd {

class Server {
 public:
  struct Allowed {
    bool end_again = true;         // otherwise Run never gives kAgain
    uint64_t descriptors = 65536;  // that this process may have open
  };
  // `read_settings` reads the configuration again (SIGHUP).
  Server(config::Settings settings, std::function<base::Result<config::Settings>()> read_settings,
         Allowed allowed);
  ~Server();
  // Opens storage and listeners. Errors carry the exit code's meaning: kInvalidArgument and
  // kConflict of identity are configuration (2), everything else is failure (1).
  base::Status Open();
  // Serves until a signal or a fatal error. Result: the exit code, kAgain or kAfresh.
  int Run();
  // From Run: a file of the store is unreadable, which the next Server's Open mends.
  static constexpr int kAgain = -1;
  // From Run: this process has stood aside for another one, which is silent now. The next Server
  // begins anew on the same data directory.
  static constexpr int kAfresh = -2;
  // After Run: stops listening to signals; SIGHUP does nothing from now on.
  void IgnoreReload();
  // As they are now: what SIGHUP has changed included.
  const config::Settings& settings() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lariat::lariatd

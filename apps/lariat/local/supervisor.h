// SPDX-License-Identifier: Apache-2.0
// The processes of one local cluster: starts them, notices deaths, waits until all serve, stops
// them. Single-threaded. The caller blocks SIGCHLD, SIGINT and SIGTERM before it makes one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apps/lariat/local/cluster_file.h"
#include "apps/lariat/local/layout.h"

namespace lariat::cli::local {

inline constexpr double kStopLimitSeconds = 30;

// A set of signals that are blocked from now on and read with WaitSignal.
void BlockSignals();
// The next of SIGINT, SIGTERM, SIGCHLD; 0 when `seconds` pass without one.
int WaitSignal(double seconds);

class Supervisor {
 public:
  explicit Supervisor(const Layout& layout) : layout_(layout) {}

  base::Status StartAll(Bond bond);
  ClusterFile Describe() const;

  enum class Readiness : uint8_t { kReady, kDied, kTimeout, kInterrupted };
  // `ready_count` hears how many nodes answer /readyz with 200.
  Readiness WaitReady(double timeout_s, const std::function<void(size_t)>& ready_count);

  struct Death {
    size_t node;
    int wait_status;
  };
  // Nodes that ended since the last call.
  std::vector<Death> Reap();
  size_t Running() const;

  // SIGTERM to all, SIGKILL to those left after `limit_s` or at a second Ctrl-C; their names.
  std::vector<std::string> StopAll(double limit_s);

 private:
  struct Child {
    ProcessId process;
    bool running = false;
    bool ready = false;
  };
  const Layout& layout_;
  std::vector<Child> children_;
};

}  // namespace lariat::cli::local

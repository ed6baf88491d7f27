// SPDX-License-Identifier: Apache-2.0
// The processes of one local cluster: starts those that do not run, notices deaths, waits until
// they serve, stops what it started. Nodes that ran before stay as they are. Single-threaded. The
// caller blocks SIGCHLD, SIGINT and SIGTERM before it makes one.
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

bool Serves(const NodePlan& node);  // it is ready for requests
// Whether the cluster has this node as a member, by the word of another one that serves; nothing if
// there is none.
std::optional<bool> IsMember(const Layout& layout, size_t node);

class Supervisor {
 public:
  explicit Supervisor(const Layout& layout) : layout_(layout) {}

  base::Status StartMissing(Bond bond);
  ClusterFile Describe() const;

  enum class Readiness : uint8_t { kReady, kDied, kTimeout, kInterrupted };
  // Until every node that was started here and runs is ready: it serves or, if it came later, the
  // cluster has taken it in (its data follows). `ready_count` hears how many are.
  Readiness WaitReady(double timeout_s, const std::function<void(size_t)>& ready_count);

  struct Death {
    size_t node;
    int wait_status;
  };
  // Nodes that ended since the last call.
  std::vector<Death> Reap();
  size_t Running() const;  // of those started here
  bool IsReady(size_t node) const { return children_[node].ready; }
  void Stop(size_t node);  // Reap does not tell of it

  // SIGTERM to all that were started here, SIGKILL to those left after `limit_s` or at a second
  // Ctrl-C; their names.
  std::vector<std::string> StopAll(double limit_s);

 private:
  bool IsUp(size_t node) const;
  void Collect();  // fills deaths_

  struct Child {
    ProcessId process;
    bool running = false;  // and started here
    bool ready = false;
  };
  const Layout& layout_;
  std::vector<Child> children_;
  std::vector<Death> deaths_;  // not told yet
};

}  // namespace lariat::cli::local

// SPDX-License-Identifier: Apache-2.0
// Threads beside the shards, for what would hold a shard up: hashing a password.
#pragma once

#include "env/env.h"

namespace lariat::env {

class Workers {
 public:
  virtual ~Workers() = default;
  // Runs the task on one of the threads, in no particular order. False: too many wait, and the task
  // was dropped. Thread-safe.
  virtual bool Run(Task task) = 0;
};

// Runs each task at once, where it is asked to: for simulations and tests.
class NoWorkers final : public Workers {
 public:
  bool Run(Task task) override {
    task();
    return true;
  }
};

}  // namespace lariat::env

// SPDX-License-Identifier: Apache-2.0
// env::Workers with threads of its own, which run below everybody else's priority.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "env/workers.h"

namespace lariat::env::posix {

class WorkerThreads final : public Workers {
 public:
  WorkerThreads(size_t threads, size_t waiting_max);
  // Tasks that have not begun are dropped; those under way are waited for.
  ~WorkerThreads() override;
  bool Run(Task task) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lariat::env::posix

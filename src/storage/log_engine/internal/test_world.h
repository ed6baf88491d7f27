// SPDX-License-Identifier: Apache-2.0
// For the tests of this folder: the time, and a world with a real disk.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "storage/log/posix_disk.h"
#include "storage/log_engine/internal/engine.h"

namespace lariat::storage::log_engine {

class RealClock final : public env::Clock {
 public:
  base::Instant Now() const override {
    return base::Instant(std::chrono::steady_clock::now().time_since_epoch());
  }
  base::WallTime Wall() const override {
    return {std::chrono::duration_cast<std::chrono::milliseconds>(
                std::chrono::system_clock::now().time_since_epoch())
                .count()};
  }
};

inline const env::Clock& TestClock() {
  static const RealClock clock;
  return clock;
}

inline World TestWorld() {
  World world;
  world.clock = &TestClock();
  world.make_disk = [](const std::string& directory) { return log::MakePosixDisk(directory); };
  return world;
}

inline LogEngineOptions SmallEngine(const RocksOptions& files) {
  LogEngineOptions options;
  options.files = files;
  options.table_bytes = 16 << 20;
  options.log_bytes = 8 << 20;
  return options;
}

}  // namespace lariat::storage::log_engine

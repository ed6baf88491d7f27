// SPDX-License-Identifier: Apache-2.0
// The machine's clocks and its random source.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "env/env.h"

namespace lariat::env::posix {

class SystemClock final : public Clock {
 public:
  base::Instant Now() const override;
  base::WallTime Wall() const override;
  int64_t WallMicros() const override;
};

// getrandom, a buffer at a time.
class SystemEntropy final : public Entropy {
 public:
  uint64_t Next() override;

 private:
  std::array<uint64_t, 64> buffer_;
  size_t used_ = 64;
};

}  // namespace lariat::env::posix

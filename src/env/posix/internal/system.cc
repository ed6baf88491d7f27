// SPDX-License-Identifier: Apache-2.0
#include "env/posix/internal/system.h"

#include <sys/random.h>
#include <time.h>

#include <cerrno>
#include <chrono>

#include "base/check.h"

namespace lariat::env::posix {

namespace {

base::Duration Read(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace

base::Instant SystemClock::Now() const { return base::Instant(Read(CLOCK_MONOTONIC)); }

base::WallTime SystemClock::Wall() const {
  using std::chrono::milliseconds;
  return {std::chrono::duration_cast<milliseconds>(Read(CLOCK_REALTIME)).count()};
}

int64_t SystemClock::WallMicros() const {
  using std::chrono::microseconds;
  return std::chrono::duration_cast<microseconds>(Read(CLOCK_REALTIME)).count();
}

uint64_t SystemEntropy::Next() {
  if (used_ == buffer_.size()) {
    auto* bytes = reinterpret_cast<char*>(buffer_.data());
    size_t filled = 0;
    while (filled < sizeof(buffer_)) {
      const ssize_t got = getrandom(bytes + filled, sizeof(buffer_) - filled, 0);
      LARIAT_CHECK(got > 0 || errno == EINTR, "the kernel gives random bytes");
      if (got > 0) filled += static_cast<size_t>(got);
    }
    used_ = 0;
  }
  return buffer_[used_++];
}

}  // namespace lariat::env::posix

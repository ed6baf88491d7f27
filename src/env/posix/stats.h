// SPDX-License-Identifier: Apache-2.0
// Figures of one loop, for metrics. Written by the loop's thread only, read by any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace lariat::env::posix {

class Figure {
 public:
  // Only the loop's thread adds, so no locked instruction is needed.
  void Add(uint64_t count) { value_.store(value() + count, std::memory_order_relaxed); }
  void Subtract(uint64_t count) { value_.store(value() - count, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_ = 0;
};

struct NetworkStats {
  Figure connections_open;  // accepted and connected ones
  Figure accepted;
  Figure accepts_refused;  // over connections_max and no room made
  Figure accept_errors;    // no file descriptor left, ...
  Figure connects_failed;
  Figure receive_calls;  // system calls
  Figure send_calls;
  Figure bytes_received;
  Figure bytes_sent;
};

}  // namespace lariat::env::posix

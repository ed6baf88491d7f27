// SPDX-License-Identifier: Apache-2.0
// Lines for standard output and standard error, written by a thread of its own, so that a reader
// who does not read (a full pipe, a stopped terminal) holds up nobody but that thread. Each of the
// two has a queue with a limit; past it lines are dropped and counted, and a line in their place
// says how many were. All methods are thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/time.h"

namespace lariat::env::posix {

class LineOutput {
 public:
  struct Options {
    int out = 1;  // descriptors; they stay the caller's
    int error = 2;
    size_t bytes_max = 1 << 20;  // waiting in each queue
    // The line, with its end, that stands where `count` lines were dropped.
    std::function<std::string(uint64_t count)> dropped_line;
  };
  enum class To : uint8_t { kOut, kError };
  enum class Weight : uint8_t {
    kUsual,
    kHeavy,  // has twice the room: what explains an end is not lost to what came before
  };

  explicit LineOutput(Options options);
  // Waits a short while until all has left. What nobody reads by then is lost.
  ~LineOutput();
  LineOutput(const LineOutput&) = delete;
  LineOutput& operator=(const LineOutput&) = delete;

  void Write(To to, std::string line, Weight weight = Weight::kUsual);
  // True when all that was written has left.
  bool Flush(base::Duration limit);
  uint64_t dropped() const;

 private:
  class Writer;
  std::shared_ptr<Writer> writer_;  // co-owned by its thread, which may hang in the kernel
};

// Writes on the calling thread, for programs that have nothing else to do: gives up when nobody
// has read for `limit`. False if not all has left.
bool WriteWithin(base::Duration limit, int fd, std::string_view text);

}  // namespace lariat::env::posix

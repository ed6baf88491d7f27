// SPDX-License-Identifier: Apache-2.0
// How far a node has got, as it tells the others and they remember it (docs/formats/progress.md).
// Counters in its data directory; a directory that has less than the others were told is an old
// one. Plain values.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lariat::wire {

struct Progress {
  // Grows before the node confirms anything to a sweep: a directory with less may lack deletes that
  // were purged everywhere since. In files before it is told, so a log that is cut keeps it.
  uint64_t confirmed = 0;
  // Grows every few seconds while the node writes: a directory with less lacks writes that it had
  // acknowledged. Synced before it is told.
  uint64_t written = 0;
  // Grows whenever what the node holds of the topology is stored, its votes among it: a directory
  // with less may have forgotten a vote. In the file apart too before it is told, so a log that is
  // cut keeps it.
  uint64_t votes = 0;
  bool operator==(const Progress&) const = default;
};

inline Progress MaxOf(const Progress& a, const Progress& b) {
  return {std::max(a.confirmed, b.confirmed), std::max(a.written, b.written),
          std::max(a.votes, b.votes)};
}

// What a process with the identity of another one, or the same, is doing. Numbers are sent; never
// reuse one.
enum class RunPhase : uint8_t { kStarting = 0, kServing = 1, kAside = 2 };

}  // namespace lariat::wire

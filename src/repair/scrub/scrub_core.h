// SPDX-License-Identifier: Apache-2.0
// The walk of the scrub: over every leaf of every bucket, again and again. Pure: what is to be done
// comes out of Next, what came of it goes in.
//
//   list a stretch of leaves --those that hold records--> check one after the other
//   --> next stretch ... after the last bucket: the pass has ended --> rest --> begin again
//
// A pass is complete if every leaf of it could be read. The position outlives the process: a pass
// over a large disk takes longer than a process lives.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace lariat::repair {

// What is stored of it.
struct ScrubPosition {
  int64_t last_ms = 0;            // wall clock when the last complete pass ended; 0: none
  bool resting = true;            // no pass is under way
  bool whole = true;              // every leaf of this pass could be read so far
  uint32_t bucket = 0, leaf = 0;  // the first that is not checked
};
std::string EncodeScrubPosition(const ScrubPosition& position);
// A lost or unreadable one only costs a pass.
std::optional<ScrubPosition> DecodeScrubPosition(std::string_view bytes);

class ScrubCore {
 public:
  static constexpr uint32_t kStretch = 1024;                  // leaves
  static constexpr base::Duration kRest = base::Seconds(60);  // after an incomplete pass

  // After a complete pass, the last one too.
  void SetPause(base::Duration pause) { pause_ = pause; }
  // Of an earlier run.
  void Restore(const ScrubPosition& position) { position_ = position; }

  enum class Kind : uint8_t {
    kRest,     // nothing to be done yet
    kBuckets,  // say which buckets there are
    kLeaves,   // say which of the leaves first..last are worth reading
    kCheck,    // read the leaf `first`
  };
  struct Step {
    Kind kind = Kind::kRest;
    uint32_t bucket = 0, first = 0, last = 0;
  };
  // The same until it is answered.
  Step Next(base::Instant now) const;
  void OnBuckets(std::vector<uint32_t> buckets, base::Instant now, base::WallTime wall);
  void OnLeaves(const std::vector<bool>& worth_reading, base::Instant now, base::WallTime wall);
  // True: that was the end of the pass.
  bool OnChecked(bool was_read, base::Instant now, base::WallTime wall);

  const ScrubPosition& position() const { return position_; }
  double Fraction() const;  // of the present pass; 0 between two

 private:
  void Skip();
  bool EndIfDone(base::Instant now, base::WallTime wall);

  ScrubPosition position_;
  std::optional<base::Instant> ended_;  // the last pass of this process
  base::Duration pause_ = kRest;
  bool knows_buckets_ = false;
  std::vector<uint32_t> buckets_;        // ascending
  std::deque<uint32_t> leaves_;          // to be checked, of the stretch
  std::optional<uint32_t> stretch_end_;  // the first leaf behind it
};

}  // namespace lariat::repair

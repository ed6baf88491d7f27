// SPDX-License-Identifier: Apache-2.0
// Reads a log from its cut to its end, and judges the end.
//
//   [frame][frame][frame] ? ...            the walk ends at the first place that is no frame
//                         `- end           no frame behind it may be applied
//
// Nobody was told that what lies behind is durable: a torn tail. Or somebody was, and then the log
// is damaged in its middle. Each frame and each header says how far the log was known to be durable
// when it was made, so one of them that is whole and names a place behind the end proves damage:
// it is looked for everywhere behind the end. What is durable and was never named by anything later
// (the last synced group) cannot be told from a torn tail; hence the marks, one each second.
//
// Why "the last group was torn" alone is no good judge: a flipped bit in the middle looks the same,
// and everything acknowledged since would go without a word.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "storage/log/disk.h"
#include "storage/log/format.h"

namespace lariat::storage::log {

struct Mark {
  Lsn end = 0;
  base::WallTime at;
  bool clean_stop = false;
};

// Gets what the log holds behind its cut, in order.
class Replay {
 public:
  virtual ~Replay() = default;
  // Batches that are in files already may come again. An error ends the recovery with it.
  virtual base::Status OnBatch(Lsn end, WriteBatch batch) = 0;
  virtual void OnMark(const Mark& /*mark*/) {}
};

enum class Ending : uint8_t {
  kWhole,    // nothing lies behind it
  kTorn,     // remains of frames lie behind it that nobody was told of
  kDamaged,  // frames behind it were durable and are lost, or that cannot be ruled out
};

struct Recovered {
  Lsn cut = 0;  // where it began: all before is in files
  Lsn end = 0;  // of the last frame that was read
  Ending ending = Ending::kWhole;
  // kDamaged: the log was durable up to here at least (0: not known), and why that is thought.
  Lsn lost_to = 0;
  std::string why;
  uint64_t batches = 0;
  std::optional<Mark> last_mark;
  std::optional<Mark> last_clean_stop;
  // Its last frame says so, and nothing lies behind it.
  bool stopped_cleanly = false;
};

struct Found {
  Recovered recovered;
  std::set<uint64_t> live;  // segments with what was read, and that of the cut
  uint64_t highest = 0;     // no frame of a segment above it is in any slot
};

// The first `slots` slots of the log. Errors: those of `replay`; kUnsupported if a later release
// wrote it; kCorruption if a frame with a right sum makes no sense. What cannot be read is damage.
base::Result<Found> Recover(Disk* disk, const Shape& shape, const Control& control, uint32_t slots,
                            Replay* replay);

}  // namespace lariat::storage::log

// SPDX-License-Identifier: Apache-2.0
// The bytes of the log (docs/formats/log.md). Pure functions over memory; any thread.
//
// An LSN is a place in one endless stream of bytes: segment number * segment bytes + offset. A slot
// is a file that holds one segment after another, so what lies at an offset of it has another LSN
// in each of its uses. A frame names its own LSN: what an earlier use left is never taken for one.
//
//   slot 1   [header 5][frame][frame]..[frame]            segment 5
//   slot 2   [header 6][frame][frame][old frames of 2..   segment 6, being written
//
// What is read was written by a disk: every length is checked before it is used.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/uuid.h"
#include "storage/engine.h"

namespace lariat::storage::log {

using Lsn = uint64_t;

inline constexpr uint32_t kVersion = 1;
inline constexpr size_t kBlock = 4096;  // of a header; synced groups begin and end at multiples
inline constexpr size_t kFrameHead = 32;
inline constexpr uint32_t kSlotsMin = 2;  // are there before the control block is
inline constexpr size_t kFrameAlign = 8;

// What is fixed when a log is made.
struct Shape {
  base::Uuid store;
  uint64_t segment_bytes = 0;  // a multiple of kBlock, 16 KiB to 1 GiB
  uint32_t slots_max = 0;      // 2 to 4096
  bool operator==(const Shape&) const = default;
};
base::Status CheckShape(const Shape& shape);

// The first block of a segment. Durable before any frame of the segment is written.
struct SegmentHeader {
  uint64_t number = 0;  // from 1; the slot is number % slots_max
  Lsn prev_end = 0;     // where the last frame before this segment ends; 0: there is none
  Lsn durable = 0;      // all before it was durable by then
  Lsn cut = 0;          // all before it was in files by then
  bool operator==(const SegmentHeader&) const = default;
};

// One of the two blocks of the control file, which are written by turns.
struct Control {
  uint64_t sequence = 0;  // the higher one is the newer one
  Lsn cut = 0;
  Lsn durable = 0;
  bool operator==(const Control&) const = default;
};

// kBlock bytes each.
std::string EncodeHeader(const Shape& shape, const SegmentHeader& header);
std::string EncodeControl(const Shape& shape, const Control& control);
// kCorruption if these are not its bytes, kUnsupported if a later release wrote them. A header of
// another shape or store is none (kCorruption).
base::Result<SegmentHeader> DecodeHeader(const Shape& shape, std::string_view block);
base::Result<Control> DecodeControl(std::string_view block, Shape* shape);

// Stored numbers, never used twice.
enum class FrameKind : uint8_t { kBatch = 1, kMark = 2 };

struct Frame {
  Lsn lsn = 0;       // where it begins; a multiple of kFrameAlign
  Lsn durable = 0;   // all before it was durable when the frame was made
  uint32_t gap = 0;  // bytes between the frame before it in the segment and this one, below kBlock
  uint8_t kind = 0;  // a FrameKind, or what a later release knows
  std::string_view body;
  Lsn end() const;
};

// Mixed into the sum of every frame, so that frames of another store are none.
uint32_t FrameSalt(const base::Uuid& store);
// With head and padding to kFrameAlign.
size_t FrameBytes(size_t body_bytes);
// Writes FrameBytes(frame.body.size()) bytes. REQUIRES: the body is shorter than 4 GiB.
void EncodeFrame(uint32_t salt, const Frame& frame, char* out);
// The frame at the beginning of `bytes`, the rest of a segment from `lsn` on; it points into them.
std::optional<Frame> DecodeFrame(uint32_t salt, Lsn lsn, std::string_view bytes);
// `bytes` claims to begin with a frame for this place, whole or not.
bool ClaimsFrame(Lsn lsn, std::string_view bytes);

// Of kBatch.
void EncodeBatch(const WriteBatch& batch, std::string* out);
base::Result<WriteBatch> DecodeBatch(std::string_view body);

// Of kMark.
struct MarkBody {
  int64_t wall_ms = 0;  // since 1970-01-01 UTC
  bool clean_stop = false;
  bool operator==(const MarkBody&) const = default;
};
void EncodeMark(const MarkBody& mark, std::string* out);
base::Result<MarkBody> DecodeMark(std::string_view body);

// The segment in which the frame before `end` lies. REQUIRES: end > 0.
constexpr uint64_t SegmentBefore(Lsn end, uint64_t segment_bytes) {
  return (end - 1) / segment_bytes;
}
constexpr uint64_t BlockUp(uint64_t n) { return (n + kBlock - 1) / kBlock * kBlock; }

}  // namespace lariat::storage::log

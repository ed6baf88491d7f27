// SPDX-License-Identifier: Apache-2.0
// The end of the log in memory: frames that are appended and not written yet, and where each goes.
// Its owner holds a lock.
//
//   file   ..durable group|zeros|                     |
//   LSN                         [frame][frame]...      Append puts them behind each other
//                               `- at a multiple of kBlock: the group before was padded
//
// What is taken for a sync is padded with zeros to a whole block, so that no block with a durable
// frame is ever written again. What is taken to be written only goes on at the very next byte.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "storage/log/disk.h"
#include "storage/log/format.h"

namespace lariat::storage::log {

// Memory at multiples of kBlock that grows.
class BlockBuffer {
 public:
  size_t size() const { return size_; }
  char* data() const { return memory_.get(); }
  char* Grow(size_t more);  // the new bytes, not set
  void Clear() { size_ = 0; }

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  std::unique_ptr<char, Free> memory_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

// What was taken: the pieces point into the buffer.
struct Taken {
  BlockBuffer buffer;
  Group group;
  Lsn end = 0;  // of the last frame that was appended before
};

class Tail {
 public:
  // Goes on behind `end`, in a segment that is yet to be started.
  Tail(const Shape& shape, Lsn end) : shape_(shape), salt_(FrameSalt(shape.store)), end_(end) {}

  // There is room for the frame in the present segment.
  bool Fits(size_t frame_bytes) const { return next_ + frame_bytes <= limit_; }
  // The next frame goes there.
  void StartSegment(uint64_t number);
  // Gives the frame's end. REQUIRES: Fits.
  Lsn Append(FrameKind kind, std::string_view body, Lsn durable);

  enum class Padding : uint8_t { kNone, kToBlock };
  Taken Take(Padding padding);
  // The buffer is used again.
  void GiveBack(Taken taken) { spare_ = std::move(taken.buffer); }

  Lsn end() const { return end_; }  // of the last frame
  size_t buffered_bytes() const { return buffer_.size(); }

 private:
  struct Run {  // of bytes that go to one place
    size_t from;
    Lsn lsn;
  };
  void Pad();

  const Shape shape_;
  const uint32_t salt_;
  Lsn end_;
  Lsn next_ = 0;   // where the next frame goes
  Lsn limit_ = 0;  // of the present segment
  BlockBuffer buffer_;
  BlockBuffer spare_;
  std::vector<Run> runs_;
};

}  // namespace lariat::storage::log

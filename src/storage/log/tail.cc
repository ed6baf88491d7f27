// SPDX-License-Identifier: Apache-2.0
#include "storage/log/internal/tail.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace lariat::storage::log {

char* BlockBuffer::Grow(size_t more) {
  if (size_ + more > capacity_) {
    capacity_ = BlockUp(std::max({2 * capacity_, size_ + more, 16 * kBlock}));
    std::unique_ptr<char, Free> larger(static_cast<char*>(std::aligned_alloc(kBlock, capacity_)));
    LARIAT_CHECK(larger != nullptr, "out of memory");
    if (size_ > 0) std::memcpy(larger.get(), memory_.get(), size_);
    memory_ = std::move(larger);
  }
  char* const begin = memory_.get() + size_;
  size_ += more;
  return begin;
}

void Tail::StartSegment(uint64_t number) {
  Pad();
  next_ = number * shape_.segment_bytes + kBlock;
  limit_ = (number + 1) * shape_.segment_bytes;
  runs_.push_back({buffer_.size(), next_});
}

Lsn Tail::Append(FrameKind kind, std::string_view body, Lsn durable) {
  const size_t size = FrameBytes(body.size());
  LARIAT_CHECK(Fits(size), "a frame lies in one segment");
  if (runs_.empty()) runs_.push_back({buffer_.size(), next_});
  const bool first = next_ % shape_.segment_bytes == kBlock;
  Frame frame;
  frame.lsn = next_;
  frame.durable = durable;
  frame.gap = first ? 0 : static_cast<uint32_t>(next_ - end_);
  frame.kind = static_cast<uint8_t>(kind);
  frame.body = body;
  EncodeFrame(salt_, frame, buffer_.Grow(size));
  next_ += size;
  end_ = next_;
  return end_;
}

// Of the file, not of the buffer: they may differ where frames were written without padding.
void Tail::Pad() {
  const Lsn padded = BlockUp(next_);
  if (buffer_.size() > 0) std::memset(buffer_.Grow(padded - next_), 0, padded - next_);
  next_ = padded;
}

Taken Tail::Take(Padding padding) {
  if (padding == Padding::kToBlock) Pad();
  Taken taken;
  taken.end = end_;
  for (size_t i = 0; i < runs_.size(); ++i) {
    const size_t from = runs_[i].from;
    const size_t to = i + 1 < runs_.size() ? runs_[i + 1].from : buffer_.size();
    if (from == to) continue;
    const uint64_t segment = runs_[i].lsn / shape_.segment_bytes;
    taken.group.pieces.push_back({FileOfSlot(segment % shape_.slots_max),
                                  runs_[i].lsn % shape_.segment_bytes,
                                  {buffer_.data() + from, to - from}});
  }
  runs_.clear();
  taken.buffer = std::exchange(buffer_, std::exchange(spare_, {}));
  buffer_.Clear();
  return taken;
}

}  // namespace lariat::storage::log

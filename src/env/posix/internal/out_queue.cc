// SPDX-License-Identifier: Apache-2.0
#include "env/posix/internal/out_queue.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lariat::env::posix {

namespace {

constexpr size_t kChunkBytes = 16 * 1024;  // small writes are gathered up to this
constexpr size_t kCopyBytesMax = 1024;     // below this a copy is cheaper than one more buffer
constexpr size_t kSpareBytesMax = 4096;    // what an idle connection may keep

}  // namespace

// The last chunk if it takes `count` more bytes without moving a large string, otherwise null.
std::string* OutQueue::RoomFor(size_t count) {
  if (first_ == chunks_.size()) return nullptr;
  std::string& last = chunks_.back();
  return last.size() + count <= std::max(last.capacity(), kChunkBytes) ? &last : nullptr;
}

void OutQueue::Append(std::string_view bytes) {
  if (bytes.empty()) return;
  size_ += bytes.size();
  if (std::string* last = RoomFor(bytes.size())) {
    last->append(bytes);
    return;
  }
  chunks_.push_back(std::exchange(spare_, std::string()));
  chunks_.back().append(bytes);
}

void OutQueue::Append(std::string&& bytes) {
  if (bytes.size() <= kCopyBytesMax) {
    Append(std::string_view(bytes));
    return;
  }
  size_ += bytes.size();
  chunks_.push_back(std::move(bytes));
}

size_t OutQueue::Fill(std::span<iovec> buffers) const {
  const size_t count = std::min(buffers.size(), chunks_.size() - first_);
  for (size_t i = 0; i < count; ++i) {
    const std::string& chunk = chunks_[first_ + i];
    const size_t skip = i == 0 ? sent_ : 0;
    buffers[i].iov_base = const_cast<char*>(chunk.data() + skip);  // writev only reads it
    buffers[i].iov_len = chunk.size() - skip;
  }
  return count;
}

void OutQueue::Consume(size_t count) {
  LARIAT_CHECK(count <= size_, "more bytes were sent than were queued");
  size_ -= count;
  if (size_ == 0) {
    Clear();
    return;
  }
  count += sent_;
  while (count >= chunks_[first_].size()) {
    count -= chunks_[first_].size();
    std::string().swap(chunks_[first_]);
    ++first_;
  }
  sent_ = count;
  // A peer that is never quite caught up with must not make the list of sent chunks grow.
  if (first_ >= 64 && first_ * 2 >= chunks_.size()) {
    chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<ptrdiff_t>(first_));
    first_ = 0;
  }
}

void OutQueue::Clear() {
  if (!chunks_.empty() && chunks_.back().capacity() <= kSpareBytesMax) {
    spare_ = std::move(chunks_.back());
    spare_.clear();
  }
  chunks_.clear();
  first_ = 0;
  sent_ = 0;
  size_ = 0;
}

}  // namespace lariat::env::posix

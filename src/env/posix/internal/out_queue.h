// SPDX-License-Identifier: Apache-2.0
// Bytes waiting to be sent on one connection: large strings are kept as they came, small writes
// are gathered into chunks, and all of it is handed to the kernel as one list of buffers.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lariat::env::posix {

class OutQueue {
 public:
  void Append(std::string_view bytes);
  void Append(std::string&& bytes);
  // Fills `buffers` from the front of the queue; returns how many were filled. They stay valid
  // until the queue changes.
  size_t Fill(std::span<iovec> buffers) const;
  // Drops `count` bytes from the front. REQUIRES: count <= size().
  void Consume(size_t count);
  void Clear();
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  std::string* RoomFor(size_t count);

  std::vector<std::string> chunks_;  // chunks_[first_] on are waiting, none of them empty
  size_t first_ = 0;
  size_t sent_ = 0;  // bytes of chunks_[first_] that have left
  size_t size_ = 0;
  std::string spare_;  // an emptied chunk, used again by the next write
};

}  // namespace lariat::env::posix

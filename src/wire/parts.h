// SPDX-License-Identifier: Apache-2.0
// Messages that are too large for one frame travel in parts: frames of their own kind, each with
// the next bytes of the encoded envelope. On one connection and in one direction there is one such
// message at a time, and its parts come in order; other frames may come between them.
//
//   id of the envelope 8 | number 4 | total 4 | offset 4 | bytes        (little-endian)
//
//   number 7, total 10:   [0: 4 bytes] heartbeat [4: 4 bytes] [8: 2 bytes] -> the message
//
// A part that is lost is a gap, never the end: the end is where `total` bytes have come. Bytes in,
// bytes out; not synchronized.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lariat::wire {

inline constexpr size_t kPartHeaderBytes = 20;

struct Part {
  uint64_t id = 0;      // of the envelope, so that it can be answered though it is not taken
  uint32_t number = 0;  // of the message among those in parts: 1, 2, ...
  uint32_t total = 0;   // bytes of the message
  uint32_t offset = 0;  // of `bytes` in it
  std::string_view bytes;
};
// A whole frame.
void AppendPart(const Part& part, std::string* out);
// Of a frame's payload; nothing if it cannot be a part.
std::optional<Part> ParsePart(std::string_view payload);

// What the messages that are being put together may have in all, shared by the connections of a
// shard. A message is counted whole when its first part comes.
class PartsBudget {
 public:
  explicit PartsBudget(size_t bytes_max) : max_(bytes_max) {}
  bool Take(size_t bytes);
  void Return(size_t bytes) { used_ -= bytes; }
  size_t used() const { return used_; }
  size_t max() const { return max_; }

 private:
  size_t max_;
  size_t used_ = 0;
};

// Puts together what comes in parts on one connection. Memory grows with the bytes that have
// arrived, not with what a part says will come.
class PartsReader {
 public:
  explicit PartsReader(PartsBudget& budget) : budget_(budget) {}
  ~PartsReader() { Reset(); }
  PartsReader(const PartsReader&) = delete;
  PartsReader& operator=(const PartsReader&) = delete;

  enum class Took : uint8_t {
    kMore,     // there are parts to come
    kMessage,  // TakeMessage has it
    kNoRoom,   // said once of a message that the budget has no room for: its parts are dropped
    kBad       // not what can come now: the connection cannot be trusted any more
  };
  Took Take(std::string_view payload);
  // REQUIRES: the last Take said kMessage.
  std::string TakeMessage();
  uint64_t id() const { return id_; }  // of the envelope begun last
  void Reset();                        // forgets what has come

 private:
  Took Begin(const Part& part);
  void Append(std::string_view bytes);

  PartsBudget& budget_;
  std::string message_;
  uint64_t id_ = 0;
  uint32_t number_ = 0;
  uint32_t total_ = 0;
  uint32_t received_ = 0;
  bool open_ = false;  // between its first and its last part
  bool dropped_ = false;
};

}  // namespace lariat::wire

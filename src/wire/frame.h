// SPDX-License-Identifier: Apache-2.0
// Frames between nodes: 16 bytes of header, then one encoded envelope, a part of one (parts.h), or
// many envelopes, each behind its length.
//
//   magic "LRT1" 4 | version 1 | kind 1 | zero 2 | payload length, u32 LE | crc32c, u32 LE
//
// The checksum covers the first 12 bytes and the payload, so that a flipped bit anywhere is found.
// A stream that shows a bad frame cannot be trusted to show the next one: it is closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lariat::wire {

inline constexpr size_t kFrameHeaderBytes = 16;
inline constexpr uint8_t kFrameVersion = 1;

// A node that does not know a kind takes it for another version.
enum class FrameKind : uint8_t { kEnvelope = 0, kPart = 1, kMessages = 2 };

// Appends a frame around what `fill` appends: the payload is written in place, not copied.
class FrameWriter {
 public:
  explicit FrameWriter(std::string* out, FrameKind kind = FrameKind::kEnvelope);
  void Finish();  // after the payload was appended to *out
  size_t PayloadBytes() const { return out_->size() - start_ - kFrameHeaderBytes; }

 private:
  std::string* out_;
  size_t start_;
};
void AppendFrame(std::string_view payload, std::string* out);

// In a frame of many: a length, u32 LE, before each message. A frame has at most so many.
inline constexpr size_t kMessageLengthBytes = 4;
inline constexpr uint32_t kFrameMessagesMax = 4096;
// Writes the length of the message that begins at `start` and goes to the end of *out; room for it
// is before that.
void SetMessageLength(size_t start, std::string* out);
// Takes the first message off the rest of such a payload; nothing if it cannot be one.
std::optional<std::string_view> TakeMessage(std::string_view* rest);

enum class FrameStatus : uint8_t {
  kFrame,
  kNeedMore,
  kBadMagic,
  kBadVersion,
  kTooLarge,
  kBadChecksum
};

struct ParsedFrame {
  FrameStatus status = FrameStatus::kNeedMore;
  std::string_view payload;  // points into the input
  size_t size = 0;           // bytes of the whole frame
  FrameKind kind = FrameKind::kEnvelope;
};
// Looks at the start of `bytes`. Refuses by what the header says before the payload has arrived.
ParsedFrame ParseFrame(std::string_view bytes, size_t payload_max);

}  // namespace lariat::wire

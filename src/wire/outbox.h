// SPDX-License-Identifier: Apache-2.0
// What leaves on one connection, as frames: small messages together, in one frame for all that is
// gathered, or each at once where the other side takes no such frame; large ones in parts (parts.h)
// that are given out one by one between the others, so that nothing small waits for long behind a
// large one. Pure; not synchronized.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <string>

#include "wire/frame.h"
#include "wire/messages.h"

namespace lariat::wire {

inline constexpr size_t kPartBytes = 256 << 10;
// A larger message is a large one: one value with all around it is never.
inline constexpr size_t kWholeBytesMax = 2 << 20;
// A frame that has so much gets no further message: the other side begins with what has come.
inline constexpr size_t kGatherBytes = 64 << 10;

class Outbox {
 public:
  // What the other side takes, once the handshake has told. Until then everything is a frame.
  void SetLimits(const Limits& limits);
  bool takes_parts() const { return limits_.message_bytes > 0; }
  bool takes_many() const { return limits_.frame_messages > 0 && takes_parts(); }

  enum class Added : uint8_t {
    kFrame,     // *frame is to be written now
    kGathered,  // it leaves through TakeGathered
    kWaits,     // it leaves through NextPart
    kTooLarge   // the other side takes nothing that large; *frame has the frame all the same
  };
  Added Add(Envelope&& envelope, std::string* frame);
  // Frames around what was gathered since, to be written now.
  struct Frames {
    std::string bytes;
    size_t count = 0;
  };
  Frames TakeGathered();
  size_t GatheredBytes() const { return gathered_.bytes.size(); }

  // The frame to be written next, if there is one and it is time for it: while little that was
  // written before is `unsent`, or much else has left since the last one. Empty: not now.
  std::string NextPart(size_t unsent);
  size_t WaitingBytes() const { return waiting_bytes_; }  // in parts

 private:
  struct Large {
    uint64_t id = 0;
    uint32_t number = 0;
    std::string frame;  // around the whole message
    size_t sent = 0;    // bytes of the message
  };
  Added Gather(Envelope&& envelope, std::string* frame);
  Added Split(uint64_t id, std::string* frame);
  void EndFrame();
  size_t PartBytes() const;

  Limits limits_{std::numeric_limits<uint32_t>::max(), 0, 0};
  Frames gathered_;
  std::optional<FrameWriter> open_;  // the last frame there, which takes more
  uint32_t messages_ = 0;            // in it
  std::deque<Large> waiting_;
  size_t waiting_bytes_ = 0;
  size_t others_ = 0;  // bytes of frames since the last part
  uint32_t last_number_ = 0;
};

}  // namespace lariat::wire

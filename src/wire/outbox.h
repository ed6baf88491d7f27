// SPDX-License-Identifier: Apache-2.0
// What leaves on one connection, as frames: small messages at once, large ones in parts (parts.h)
// that are given out one by one between the others, so that nothing small waits for long behind a
// large one. Pure; not synchronized.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <string>

#include "wire/messages.h"

namespace lariat::wire {

inline constexpr size_t kPartBytes = 256 << 10;
// A larger message is a large one: one value with all around it is never.
inline constexpr size_t kWholeBytesMax = 2 << 20;

class Outbox {
 public:
  // What the other side takes, once the handshake has told. Until then everything is a frame.
  void SetLimits(const Limits& limits);
  bool takes_parts() const { return limits_.message_bytes > 0; }

  enum class Added : uint8_t {
    kFrame,    // *frame is to be written now
    kWaits,    // it leaves through NextPart
    kTooLarge  // the other side takes nothing that large; *frame has the frame all the same
  };
  Added Add(Envelope envelope, std::string* frame);

  // The frame to be written next, if there is one and it is time for it: while little that was
  // written before is `unsent`, or much else has left since the last one. Empty: not now.
  std::string NextPart(size_t unsent);
  size_t WaitingBytes() const { return waiting_bytes_; }  // held here

 private:
  struct Large {
    uint64_t id = 0;
    uint32_t number = 0;
    std::string frame;  // around the whole message
    size_t sent = 0;    // bytes of the message
  };
  size_t PartBytes() const;

  Limits limits_{std::numeric_limits<uint32_t>::max(), 0};
  std::deque<Large> waiting_;
  size_t waiting_bytes_ = 0;
  size_t others_ = 0;  // bytes of frames since the last part
  uint32_t last_number_ = 0;
};

}  // namespace lariat::wire

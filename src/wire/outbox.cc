// SPDX-License-Identifier: Apache-2.0
#include "wire/outbox.h"

#include <algorithm>
#include <utility>

#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/parts.h"

namespace lariat::wire {
namespace {

constexpr size_t kWindow = 2 * kPartBytes;
constexpr uint32_t kFrameBytesMin = 64;

}  // namespace

void Outbox::SetLimits(const Limits& limits) {
  limits_ = limits;
  // Whoever says less has no room for a part, and is sent what it refuses.
  limits_.frame_bytes = std::max(limits_.frame_bytes, kFrameBytesMin);
}

Outbox::Added Outbox::Add(Envelope envelope, std::string* frame) {
  const uint64_t id = envelope.id;
  FrameWriter writer(frame);
  AppendEnvelope(std::move(envelope), frame);
  const size_t size = frame->size() - kFrameHeaderBytes;
  const size_t whole =
      takes_parts() ? std::min<size_t>(kWholeBytesMax, limits_.frame_bytes) : limits_.frame_bytes;
  if (size <= whole) {
    writer.Finish();
    others_ += frame->size();
    return Added::kFrame;
  }
  if (size > limits_.message_bytes) return Added::kTooLarge;
  waiting_.push_back({id, ++last_number_, std::move(*frame)});
  waiting_bytes_ += size;
  return Added::kWaits;
}

size_t Outbox::PartBytes() const {
  return std::min<size_t>(kPartBytes, limits_.frame_bytes - kPartHeaderBytes);
}

std::string Outbox::NextPart(size_t unsent) {
  if (waiting_.empty() || (unsent >= kWindow && others_ < kPartBytes)) return {};
  others_ = 0;
  Large& large = waiting_.front();
  const auto message = std::string_view(large.frame).substr(kFrameHeaderBytes);
  const std::string_view bytes = message.substr(large.sent, PartBytes());
  std::string frame;
  frame.reserve(kFrameHeaderBytes + kPartHeaderBytes + bytes.size());
  AppendPart({large.id, large.number, static_cast<uint32_t>(message.size()),
              static_cast<uint32_t>(large.sent), bytes},
             &frame);
  large.sent += bytes.size();
  if (large.sent == message.size()) {
    waiting_bytes_ -= message.size();
    waiting_.pop_front();
  }
  return frame;
}

}  // namespace lariat::wire

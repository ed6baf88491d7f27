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
  limits_.frame_messages = std::min(limits_.frame_messages, kFrameMessagesMax);
}

Outbox::Added Outbox::Add(Envelope&& envelope, std::string* frame) {
  if (takes_many()) return Gather(std::move(envelope), frame);
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
  return Split(id, frame);
}

Outbox::Added Outbox::Gather(Envelope&& envelope, std::string* frame) {
  std::string& bytes = gathered_.bytes;
  const size_t before = bytes.size();
  const bool first = !open_;
  if (first) open_.emplace(&bytes, FrameKind::kMessages);
  bytes.append(kMessageLengthBytes, '\0');
  const size_t start = bytes.size();
  const uint64_t id = envelope.id;
  AppendEnvelope(std::move(envelope), &bytes);
  const size_t gather = std::min<size_t>(kGatherBytes, limits_.frame_bytes / 2);
  const size_t whole = std::min(kWholeBytesMax, limits_.frame_bytes - gather - kMessageLengthBytes);
  if (bytes.size() - start > whole) {
    frame->assign(kFrameHeaderBytes, '\0');
    frame->append(bytes, start);
    bytes.resize(before);
    if (first) open_.reset();
    return Split(id, frame);
  }
  SetMessageLength(start, &bytes);
  ++messages_;
  if (messages_ == limits_.frame_messages || open_->PayloadBytes() >= gather) EndFrame();
  return Added::kGathered;
}

void Outbox::EndFrame() {
  if (!open_) return;
  open_->Finish();
  open_.reset();
  messages_ = 0;
  ++gathered_.count;
}

Outbox::Frames Outbox::TakeGathered() {
  EndFrame();
  others_ += gathered_.bytes.size();
  return std::exchange(gathered_, {});
}

Outbox::Added Outbox::Split(uint64_t id, std::string* frame) {
  const size_t size = frame->size() - kFrameHeaderBytes;
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

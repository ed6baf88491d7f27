// SPDX-License-Identifier: Apache-2.0
#include "wire/frame.h"

#include "base/check.h"
#include "base/coding.h"
#include "base/hash.h"

namespace lariat::wire {
namespace {

constexpr std::string_view kMagic = "LRT1";

void StoreU32(uint32_t value, char* at) { std::memcpy(at, &value, sizeof(value)); }

}  // namespace

FrameWriter::FrameWriter(std::string* out, FrameKind kind) : out_(out), start_(out->size()) {
  base::ByteWriter w(out);
  w.Raw(kMagic);
  w.U32(kFrameVersion | static_cast<uint32_t>(kind) << 8);
  w.U32(0);  // length and checksum are filled in by Finish
  w.U32(0);
}

void FrameWriter::Finish() {
  const size_t length = PayloadBytes();
  LARIAT_CHECK(length <= UINT32_MAX, "a frame is bounded");
  char* header = out_->data() + start_;
  StoreU32(static_cast<uint32_t>(length), header + 8);
  const uint32_t head_crc = base::Crc32c({header, 12});
  StoreU32(base::Crc32c({header + kFrameHeaderBytes, length}, head_crc), header + 12);
}

void SetMessageLength(size_t start, std::string* out) {
  const size_t length = out->size() - start;
  LARIAT_CHECK(length <= UINT32_MAX, "a message is bounded");
  StoreU32(static_cast<uint32_t>(length), out->data() + start - kMessageLengthBytes);
}

std::optional<std::string_view> TakeMessage(std::string_view* rest) {
  base::ByteReader r(*rest);
  const size_t length = r.U32();
  const std::string_view message = r.Raw(length);
  if (!r.ok()) return std::nullopt;
  *rest = r.Rest();
  return message;
}

void AppendFrame(std::string_view payload, std::string* out) {
  FrameWriter frame(out);
  out->append(payload);
  frame.Finish();
}

ParsedFrame ParseFrame(std::string_view bytes, size_t payload_max) {
  const size_t prefix = std::min(bytes.size(), kMagic.size());
  if (bytes.substr(0, prefix) != kMagic.substr(0, prefix)) return {FrameStatus::kBadMagic, {}, 0};
  if (bytes.size() < kFrameHeaderBytes) return {};
  base::ByteReader r(bytes.substr(kMagic.size()));
  const uint32_t kind = r.U32() - kFrameVersion;  // in the second byte; all others are as they were
  const bool known = (kind & 0xff) == 0 && kind >> 8 <= static_cast<uint32_t>(FrameKind::kMessages);
  if (!known) return {FrameStatus::kBadVersion, {}, 0};
  const size_t length = r.U32();
  const uint32_t crc = r.U32();
  if (length > payload_max) return {FrameStatus::kTooLarge, {}, 0};
  if (bytes.size() < kFrameHeaderBytes + length) return {};
  const std::string_view payload = bytes.substr(kFrameHeaderBytes, length);
  if (base::Crc32c(payload, base::Crc32c(bytes.substr(0, 12))) != crc) {
    return {FrameStatus::kBadChecksum, {}, 0};
  }
  return {FrameStatus::kFrame, payload, kFrameHeaderBytes + length,
          static_cast<FrameKind>(kind >> 8)};
}

}  // namespace lariat::wire

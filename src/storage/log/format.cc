// SPDX-License-Identifier: Apache-2.0
#include "storage/log/format.h"

#include <cstring>

#include "base/check.h"
#include "base/coding.h"
#include "base/hash.h"

namespace lariat::storage::log {

using base::Code;
using base::Fail;

namespace {

constexpr uint64_t kSegmentMagic = 0x314745534752414cULL;  // "LARGSEG1"
constexpr uint64_t kControlMagic = 0x315254434752414cULL;  // "LARGCTR1"
constexpr Lsn kLsnMax = 1ULL << 62;
constexpr uint8_t kRemove = 0x80;
constexpr uint8_t kCleanStop = 1;
constexpr size_t kPrefix = 44;  // of both blocks: magic, version, store, segment bytes, slots, size

// Both blocks begin alike: magic (8), version (4), store (16), segment bytes (8), slots (4), bytes
// of what follows (4), that, and the sum of it all. So the sum of a later version can be checked.
std::string EncodeBlock(uint64_t magic, const Shape& shape, std::string_view body) {
  std::string block;
  block.reserve(kBlock);
  base::ByteWriter writer(&block);
  writer.U64(magic);
  writer.U32(kVersion);
  writer.U64(shape.store.high);
  writer.U64(shape.store.low);
  writer.U64(shape.segment_bytes);
  writer.U32(shape.slots_max);
  writer.U32(static_cast<uint32_t>(body.size()));
  writer.Raw(body);
  writer.U32(base::Crc32c(block));
  block.resize(kBlock, '\0');
  return block;
}

base::Result<std::string_view> DecodeBlock(uint64_t magic, std::string_view block, Shape* shape) {
  base::ByteReader reader(block);
  const bool known = reader.U64() == magic;
  const uint32_t version = reader.U32();
  shape->store.high = reader.U64();
  shape->store.low = reader.U64();
  shape->segment_bytes = reader.U64();
  shape->slots_max = reader.U32();
  const uint32_t size = reader.U32();
  const std::string_view body = reader.Raw(size);
  const uint32_t sum = reader.U32();
  if (!known || !reader.ok() || base::Crc32c(block.substr(0, kPrefix + size)) != sum) {
    return Fail(Code::kCorruption, "not a block of the log");
  }
  if (version != kVersion) {
    return Fail(Code::kUnsupported,
                "the log has version " + std::to_string(version) + ": a later release wrote it");
  }
  return body;
}

template <typename T>
char* Put(char* out, T value) {
  std::memcpy(out, &value, sizeof value);  // coding.cc asserts little-endian
  return out + sizeof value;
}

}  // namespace

base::Status CheckShape(const Shape& shape) {
  const uint64_t bytes = shape.segment_bytes;
  if (bytes % kBlock != 0 || bytes < 4 * kBlock || bytes > 1ULL << 30) {
    return Fail(Code::kInvalidArgument,
                "a log segment has 16 KiB to 1 GiB, a multiple of 4 KiB; not " +
                    std::to_string(bytes) + " bytes");
  }
  if (shape.slots_max < 2 || shape.slots_max > 4096) {
    return Fail(Code::kInvalidArgument,
                "a log has 2 to 4096 slots, not " + std::to_string(shape.slots_max));
  }
  return {};
}

std::string EncodeHeader(const Shape& shape, const SegmentHeader& header) {
  std::string body;
  base::ByteWriter writer(&body);
  writer.U64(header.number);
  writer.U64(header.prev_end);
  writer.U64(header.durable);
  writer.U64(header.cut);
  return EncodeBlock(kSegmentMagic, shape, body);
}

std::string EncodeControl(const Shape& shape, const Control& control) {
  std::string body;
  base::ByteWriter writer(&body);
  writer.U64(control.sequence);
  writer.U64(control.cut);
  writer.U64(control.durable);
  return EncodeBlock(kControlMagic, shape, body);
}

base::Result<SegmentHeader> DecodeHeader(const Shape& shape, std::string_view block) {
  Shape found;
  const auto body = DecodeBlock(kSegmentMagic, block, &found);
  if (!body) return Fail(body.error());
  base::ByteReader reader(*body);
  SegmentHeader header;
  header.number = reader.U64();
  header.prev_end = reader.U64();
  header.durable = reader.U64();
  header.cut = reader.U64();
  // Sums are right by chance or by design: what follows from these numbers must not overflow.
  const bool sane = header.number > 0 && header.number < kLsnMax / shape.segment_bytes &&
                    header.cut <= header.durable && header.durable <= header.prev_end &&
                    header.prev_end <= header.number * shape.segment_bytes;
  if (!reader.AtEnd() || found != shape || !sane) {
    return Fail(Code::kCorruption, "the header is of another log");
  }
  return header;
}

base::Result<Control> DecodeControl(std::string_view block, Shape* shape) {
  const auto body = DecodeBlock(kControlMagic, block, shape);
  if (!body) return Fail(body.error());
  base::ByteReader reader(*body);
  Control control;
  control.sequence = reader.U64();
  control.cut = reader.U64();
  control.durable = reader.U64();
  const bool sane = control.cut <= control.durable && control.durable <= kLsnMax;
  if (!reader.AtEnd() || !CheckShape(*shape) || !sane) {
    return Fail(Code::kCorruption, "the log's control block makes no sense");
  }
  return control;
}

Lsn Frame::end() const { return lsn + FrameBytes(body.size()); }

uint32_t FrameSalt(const base::Uuid& store) {
  std::string bytes;
  base::ByteWriter writer(&bytes);
  writer.U64(store.high);
  writer.U64(store.low);
  return base::Crc32c(bytes);
}

size_t FrameBytes(size_t body_bytes) {
  return (kFrameHead + body_bytes + kFrameAlign - 1) / kFrameAlign * kFrameAlign;
}

// sum (4), length (4), LSN (8), durable (8), gap (4), kind (1), 0 (3), body, zeros.
void EncodeFrame(uint32_t salt, const Frame& frame, char* out) {
  LARIAT_CHECK(frame.body.size() < UINT32_MAX, "a frame's length has 32 bits");
  const size_t size = kFrameHead + frame.body.size();
  char* at = Put<uint32_t>(out + sizeof(uint32_t), static_cast<uint32_t>(frame.body.size()));
  at = Put<uint64_t>(at, frame.lsn);
  at = Put<uint64_t>(at, frame.durable);
  at = Put<uint32_t>(at, frame.gap);
  at = Put<uint32_t>(at, frame.kind);
  frame.body.copy(at, frame.body.size());
  std::memset(out + size, 0, FrameBytes(frame.body.size()) - size);
  Put<uint32_t>(out, base::Crc32c({out + sizeof(uint32_t), size - sizeof(uint32_t)}, salt));
}

bool ClaimsFrame(Lsn lsn, std::string_view bytes) {
  if (bytes.size() < kFrameHead) return false;
  Lsn claimed;
  std::memcpy(&claimed, bytes.data() + 8, sizeof claimed);
  return claimed == lsn;
}

std::optional<Frame> DecodeFrame(uint32_t salt, Lsn lsn, std::string_view bytes) {
  if (!ClaimsFrame(lsn, bytes)) return std::nullopt;
  base::ByteReader reader(bytes);
  const uint32_t sum = reader.U32();
  const uint32_t length = reader.U32();
  Frame frame;
  frame.lsn = reader.U64();
  frame.durable = reader.U64();
  frame.gap = reader.U32();
  frame.kind = reader.U8();
  (void)reader.Raw(3);
  frame.body = reader.Raw(length);
  if (!reader.ok() || FrameBytes(length) > bytes.size()) return std::nullopt;
  if (lsn > kLsnMax || frame.durable > lsn || frame.gap >= kBlock) return std::nullopt;
  const std::string_view summed = bytes.substr(sizeof sum, kFrameHead - sizeof sum + length);
  if (base::Crc32c(summed, salt) != sum) return std::nullopt;
  return frame;
}

void EncodeBatch(const WriteBatch& batch, std::string* out) {
  base::ByteWriter writer(out);
  for (const WriteBatch::Operation& operation : batch.operations) {
    const auto space = static_cast<uint8_t>(operation.space);
    writer.U8(operation.remove ? space | kRemove : space);
    writer.Sized(operation.key);
    if (!operation.remove) writer.Sized(operation.value);
  }
}

base::Result<WriteBatch> DecodeBatch(std::string_view body) {
  base::ByteReader reader(body);
  WriteBatch batch;
  while (reader.ok() && !reader.AtEnd()) {
    const uint8_t first = reader.U8();
    const uint8_t space = first & static_cast<uint8_t>(~kRemove);
    std::string key(reader.Sized());
    std::string value(first & kRemove ? std::string_view() : reader.Sized());
    if (!reader.ok()) return Fail(Code::kCorruption, "a batch of the log makes no sense");
    if (space >= kSpaces) {
      return Fail(Code::kUnsupported, "the log writes to a space that a later release has");
    }
    if (first & kRemove) {
      batch.Remove(static_cast<Space>(space), std::move(key));
    } else {
      batch.Put(static_cast<Space>(space), std::move(key), std::move(value));
    }
  }
  return batch;
}

void EncodeMark(const MarkBody& mark, std::string* out) {
  base::ByteWriter writer(out);
  writer.U64(static_cast<uint64_t>(mark.wall_ms));
  writer.U8(mark.clean_stop ? kCleanStop : 0);
}

base::Result<MarkBody> DecodeMark(std::string_view body) {
  base::ByteReader reader(body);
  MarkBody mark;
  mark.wall_ms = static_cast<int64_t>(reader.U64());
  const uint8_t flags = reader.U8();
  mark.clean_stop = flags == kCleanStop;
  if (!reader.AtEnd() || flags > kCleanStop) {
    return Fail(Code::kCorruption, "a mark of the log makes no sense");
  }
  return mark;
}

}  // namespace lariat::storage::log

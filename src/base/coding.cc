// SPDX-License-Identifier: Apache-2.0
#include "base/coding.h"

#include <bit>
#include <cstring>

namespace lariat::base {
static_assert(std::endian::native == std::endian::little, "stored bytes are little-endian");

void ByteWriter::U8(uint8_t v) { out_->push_back(static_cast<char>(v)); }

void ByteWriter::U32(uint32_t v) { out_->append(reinterpret_cast<const char*>(&v), sizeof(v)); }

void ByteWriter::U64(uint64_t v) { out_->append(reinterpret_cast<const char*>(&v), sizeof(v)); }

void ByteWriter::BigEndian64(uint64_t v) { U64(__builtin_bswap64(v)); }

void ByteWriter::Varint(uint64_t v) {
  while (v >= 0x80) {
    U8(static_cast<uint8_t>(v | 0x80));
    v >>= 7;
  }
  U8(static_cast<uint8_t>(v));
}

void ByteWriter::Raw(std::string_view bytes) { out_->append(bytes); }

void ByteWriter::Sized(std::string_view bytes) {
  Varint(bytes.size());
  Raw(bytes);
}

std::string_view ByteReader::Raw(size_t size) {
  if (!ok_ || size > rest_.size()) {
    MarkBad();
    return {};
  }
  const std::string_view taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

uint8_t ByteReader::U8() {
  const std::string_view b = Raw(1);
  return b.empty() ? 0 : static_cast<uint8_t>(b[0]);
}

uint32_t ByteReader::U32() {
  const std::string_view b = Raw(sizeof(uint32_t));
  uint32_t v = 0;
  if (!b.empty()) std::memcpy(&v, b.data(), sizeof(v));
  return v;
}

uint64_t ByteReader::U64() {
  const std::string_view b = Raw(sizeof(uint64_t));
  uint64_t v = 0;
  if (!b.empty()) std::memcpy(&v, b.data(), sizeof(v));
  return v;
}

uint64_t ByteReader::BigEndian64() { return __builtin_bswap64(U64()); }

uint64_t ByteReader::Varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const uint8_t byte = U8();
    if (!ok_) return 0;
    const bool overflows = shift == 63 && byte > 1;
    const bool over_long = shift > 0 && byte == 0;
    if (overflows || over_long) break;
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  MarkBad();
  return 0;
}

std::string_view ByteReader::Sized() {
  const uint64_t size = Varint();
  if (!ok_ || size > rest_.size()) {
    MarkBad();
    return {};
  }
  return Raw(static_cast<size_t>(size));
}

}  // namespace lariat::base

// SPDX-License-Identifier: Apache-2.0
// Little-endian and varint coding for stored and sent bytes. Reading never throws, never reads
// past the end and never allocates by a length it was told: after a failed read ok() is false for
// good and every further read gives zero or empty.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lariat::base {

class ByteWriter {
 public:
  // Appends to *out, which must outlive the writer.
  explicit ByteWriter(std::string* out) : out_(out) {}
  void U8(uint8_t v);
  void U32(uint32_t v);
  void U64(uint64_t v);
  void BigEndian64(uint64_t v);  // sorts as the number does
  void Varint(uint64_t v);       // LEB128, shortest form
  void Raw(std::string_view bytes);
  void Sized(std::string_view bytes);  // varint length, then the bytes

 private:
  std::string* out_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}
  uint8_t U8();
  uint32_t U32();
  uint64_t U64();
  uint64_t BigEndian64();
  uint64_t Varint();  // refuses over-long forms, so that equal values have equal bytes
  std::string_view Raw(size_t size);
  std::string_view Sized();
  std::string_view Rest() const { return rest_; }
  bool ok() const { return ok_; }
  bool AtEnd() const { return ok_ && rest_.empty(); }
  void MarkBad() { ok_ = false, rest_ = {}; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace lariat::base

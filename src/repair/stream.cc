// SPDX-License-Identifier: Apache-2.0
#include "repair/stream.h"

#include <algorithm>
#include <cstdio>

#include "base/coding.h"
#include "base/hash.h"

namespace lariat::repair {
namespace {

constexpr double kRing = 18446744073709551616.0;  // 2^64
constexpr uint8_t kCursorVersion = 1;
constexpr uint8_t kFlagFinished = 1;
constexpr uint8_t kFlagRedo = 2;

std::string Hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(value));
  return text;
}

}  // namespace

double ShareRead(const ring::TokenRange& range, ring::Token token) {
  const uint64_t from = range.from.value;
  const uint64_t to = range.to.value;
  const uint64_t at = token.value;
  uint64_t read = 0;
  if (range.from == range.to) {
    read = at;
  } else if (from < to) {
    read = std::clamp(at, from, to) - from;
  } else {  // over zero: from 0 to `to`, then what comes after `from`
    read = std::min(at, to) + (at > from ? at - from : 0);
  }
  return std::min(1.0, static_cast<double>(read) / kRing / range.Share());
}

std::optional<RecordKey> ParseRecordKey(std::string_view bytes) {
  base::ByteReader r(bytes);
  RecordKey key;
  key.bucket = __builtin_bswap32(r.U32());
  key.token.value = r.BigEndian64();
  if (!r.ok()) return std::nullopt;
  key.key = r.Rest();
  return key;
}

std::string EncodeCursor(const Cursor& cursor) {
  std::string bytes;
  base::ByteWriter w(&bytes);
  w.U8(kCursorVersion);
  w.U8((cursor.finished ? kFlagFinished : 0) | (cursor.redo_from ? kFlagRedo : 0));
  w.Sized(cursor.last_key);
  w.Sized(cursor.redo_from.value_or(""));
  w.Varint(cursor.keys);
  w.Varint(cursor.bytes);
  w.U32(base::Crc32c(bytes));
  return bytes;
}

std::optional<Cursor> DecodeCursor(std::string_view bytes) {
  if (bytes.size() < sizeof(uint32_t)) return std::nullopt;
  const std::string_view body = bytes.substr(0, bytes.size() - sizeof(uint32_t));
  if (base::ByteReader(bytes.substr(body.size())).U32() != base::Crc32c(body)) return std::nullopt;
  base::ByteReader r(body);
  if (r.U8() != kCursorVersion) return std::nullopt;
  const uint8_t flags = r.U8();
  Cursor cursor;
  cursor.finished = (flags & kFlagFinished) != 0;
  cursor.last_key = r.Sized();
  const std::string_view redo = r.Sized();
  if ((flags & kFlagRedo) != 0) cursor.redo_from = std::string(redo);
  cursor.keys = r.Varint();
  cursor.bytes = r.Varint();
  if (!r.AtEnd()) return std::nullopt;
  return cursor;
}

std::string CursorPrefix(uint64_t change) { return std::string(kCursorPrefix) + Hex(change) + '/'; }

std::string CursorName(uint64_t change, const Stream& stream) {
  return CursorPrefix(change) + Hex(stream.bucket) + '/' + Hex(stream.range.from.value) + '-' +
         Hex(stream.range.to.value) + '/' + Hex(stream.source);
}

}  // namespace lariat::repair

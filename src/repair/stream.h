// SPDX-License-Identifier: Apache-2.0
// What a transfer consists of: streams. A value type.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ring/diff.h"

namespace lariat::repair {

// Share of the range, 0 to 1, that is read when the token has been, in token order from 0 on.
double ShareRead(const ring::TokenRange& range, ring::Token token);

// Records of a bucket in a range, to be fetched from one member.
struct Stream {
  uint32_t bucket = 0;
  ring::TokenRange range;
  uint64_t source = 0;  // the member's number: the same in every document
  auto operator<=>(const Stream&) const = default;
};

struct TransferPlan {
  uint64_t change = 0;  // membership::Change::number
  std::vector<Stream> streams;
  std::map<uint64_t, std::string> names;  // of the sources, for people
  // Ranges that the node gains and that nobody can give: their data is lost.
  uint64_t lost = 0;
};

// The parts of a data key as RangePage carries it (storage::DataKey): bucket, token, key.
struct RecordKey {
  uint32_t bucket = 0;
  ring::Token token;
  std::string_view key;  // points into the bytes
};
std::optional<RecordKey> ParseRecordKey(std::string_view bytes);

// How far a stream is, as it is stored. A lost or unreadable one only costs work.
struct Cursor {
  bool finished = false;
  std::string last_key;  // every record up to this one is durable here; "": none
  // Records after this one were damaged at the source and are to be asked for once more.
  std::optional<std::string> redo_from;
  uint64_t keys = 0;  // received so far, for people
  uint64_t bytes = 0;
  bool operator==(const Cursor&) const = default;
};
std::string EncodeCursor(const Cursor& cursor);
std::optional<Cursor> DecodeCursor(std::string_view bytes);

// Names of cursors in the node's own store: all begin with kCursorPrefix, those of one change with
// CursorPrefix.
inline constexpr std::string_view kCursorPrefix = "stream/";
std::string CursorPrefix(uint64_t change);
std::string CursorName(uint64_t change, const Stream& stream);

}  // namespace lariat::repair

// SPDX-License-Identifier: Apache-2.0
// Places in a bucket's order of (token, key), as bytes that sort as they do, and the text by which
// a client goes on at one: a cursor names no node and no topology, so that any node takes it.
//
//   position  [token, 8 bytes big-endian][key]; "" as an end: the end of the bucket
//   cursor    base64url of [1][bucket id, 4][hash of the bounds, 8][position][CRC32C of it all, 4]
//
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "coordinator/kv_service.h"
#include "ring/token.h"

namespace lariat::coordinator {

std::string PositionOf(ring::Token token, std::string_view key);
ring::Token TokenAt(std::string_view position);
std::string_view KeyAt(std::string_view position);
// The first position behind all keys of the token.
std::string PositionAfter(ring::Token token);
// Whether it is before the end of a stretch.
inline bool IsBefore(std::string_view position, std::string_view end) {
  return end.empty() || position < end;
}

struct Span {
  std::string from, to;
  bool Empty() const { return !IsBefore(from, to); }
};
// All of a bucket, or the bounds inside their hash tag. kInvalidArgument: they have none in common.
base::Result<Span> SpanOf(const ListRequest& request);

// `bucket`: its id. A cursor goes with the bounds of its list alone.
std::string EncodeCursor(uint32_t bucket, const ListRequest& request, std::string_view position);
// The position. kInvalidArgument: it is no cursor, or of another list.
base::Result<std::string> DecodeCursor(uint32_t bucket, const ListRequest& request);

}  // namespace lariat::coordinator

// SPDX-License-Identifier: Apache-2.0
#include "coordinator/pages/position.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/base64.h"
#include "base/coding.h"
#include "base/hash.h"

namespace lariat::coordinator {

using base::Code;
using base::Fail;

namespace {

constexpr size_t kTokenBytes = 8;
constexpr uint8_t kCursorVersion = 1;

// Of the text, up to and with the '}' of its hash tag; "" if it has none.
std::string_view TagOf(std::string_view text) {
  const size_t open = text.find('{');
  const size_t close = open == std::string_view::npos ? open : text.find('}', open);
  if (close == std::string_view::npos || close == open + 1) return "";
  return text.substr(0, close + 1);
}

// The least text behind all that begin with it; nothing if there is none.
std::optional<std::string> Successor(std::string text) {
  while (!text.empty() && text.back() == '\xff') text.pop_back();
  if (text.empty()) return std::nullopt;
  ++text.back();
  return text;
}

uint64_t HashOfBounds(const ListRequest& request) {
  if (!request.bounds) return 0;
  std::string bytes;
  base::ByteWriter w(&bytes);
  w.Sized(request.bounds->prefix);
  w.Sized(request.bounds->start);
  w.U8(request.bounds->end ? 1 : 0);
  w.Sized(request.bounds->end.value_or(""));
  return base::Hash64(bytes);
}

void SwapLetters(std::string& text, std::string_view from, std::string_view to) {
  for (char& letter : text) {
    const size_t at = from.find(letter);
    if (at != std::string_view::npos) letter = to[at];
  }
}

tl::unexpected<base::Error> BadCursor(std::string_view why) {
  return Fail(Code::kInvalidArgument,
              "the cursor is " + std::string(why) + "; begin the list again without one");
}

}  // namespace

std::string PositionOf(ring::Token token, std::string_view key) {
  std::string position;
  base::ByteWriter w(&position);
  w.BigEndian64(token.value);
  w.Raw(key);
  return position;
}

ring::Token TokenAt(std::string_view position) {
  return {base::ByteReader(position).BigEndian64()};
}

std::string_view KeyAt(std::string_view position) {
  return position.substr(std::min(kTokenBytes, position.size()));
}

std::string PositionAfter(ring::Token token) {
  return token.value == UINT64_MAX ? "" : PositionOf({token.value + 1}, "");
}

base::Result<Span> SpanOf(const ListRequest& request) {
  if (!request.bounds) return Span{PositionOf({0}, ""), ""};
  const auto& [prefix, start, end] = *request.bounds;
  if (end && *end <= start) return Span{PositionOf({0}, ""), PositionOf({0}, "")};
  std::string_view tag = TagOf(prefix);
  if (tag.empty() && end && TagOf(start) == TagOf(*end)) tag = TagOf(start);
  if (tag.empty()) {
    return Fail(Code::kInvalidArgument,
                "bucket '" + request.bucket +
                    "' is not ordered, so keys are listed by prefix or range inside one {hash tag} "
                    "only: let the prefix, or start and end, begin with the same text up to a "
                    "{tag}; /v1/buckets/" +
                    request.bucket + "/keys walks through all keys");
  }
  const ring::Token token = ring::TokenOf(tag);
  Span span{PositionOf(token, std::max(prefix, start)), PositionAfter(token)};
  for (const auto& bound : {Successor(prefix), end}) {
    if (!bound) continue;
    std::string to = PositionOf(token, *bound);
    if (IsBefore(to, span.to)) span.to = std::move(to);
  }
  return span;
}

std::string EncodeCursor(uint32_t bucket, const ListRequest& request, std::string_view position) {
  std::string bytes;
  base::ByteWriter w(&bytes);
  w.U8(kCursorVersion);
  w.U32(bucket);
  w.U64(HashOfBounds(request));
  w.Raw(position);
  w.U32(base::Crc32c(bytes));
  std::string text = base::Base64Encode(bytes);
  text.erase(std::min(text.find('='), text.size()));
  SwapLetters(text, "+/", "-_");
  return text;
}

base::Result<std::string> DecodeCursor(uint32_t bucket, const ListRequest& request) {
  std::string text = request.cursor;
  SwapLetters(text, "-_", "+/");
  text.append((4 - text.size() % 4) % 4, '=');
  const auto bytes = base::Base64Decode(text);
  constexpr size_t kHead = 1 + 4 + 8, kFoot = 4;
  if (!bytes || bytes->size() < kHead + kTokenBytes + kFoot) return BadCursor("damaged");
  const std::string_view body(bytes->data(), bytes->size() - kFoot);
  if (base::ByteReader(std::string_view(*bytes).substr(body.size())).U32() != base::Crc32c(body)) {
    return BadCursor("damaged");
  }
  base::ByteReader r(body);
  if (r.U8() != kCursorVersion) return BadCursor("of another version");
  if (r.U32() != bucket) return BadCursor("of another bucket");
  if (r.U64() != HashOfBounds(request)) return BadCursor("of another list");
  return std::string(r.Rest());
}

}  // namespace lariat::coordinator

// SPDX-License-Identifier: Apache-2.0
#include "causal/context.h"

#include <charconv>

#include "base/base64.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/hash.h"
#include "causal/kind.h"

namespace lariat::causal {
namespace {

constexpr uint8_t kContextVersion = 1;
constexpr size_t kChecksumBytes = 8;
constexpr size_t kContextBytesUsual = 64;               // of one of a few actors
constexpr uint64_t kChecksumSeed = 0x4c61726961744378;  // "LariatCx"

uint64_t Checksum(std::string_view content, std::string_view bucket, std::string_view key) {
  std::string covered;
  covered.reserve(bucket.size() + key.size() + content.size() + 20);
  base::ByteWriter out(&covered);
  out.Sized(bucket);
  out.Sized(key);
  out.Raw(content);
  return base::Hash64(covered, kChecksumSeed);
}

std::optional<Context> DecodeContent(std::string_view content) {
  base::ByteReader in(content);
  Context context;
  if (in.U8() != kContextVersion) return std::nullopt;
  const uint8_t kind = in.U8();
  if (kind == static_cast<uint8_t>(Kind::kSiblings)) {
    auto seen = DotSet::Decode(&in, kContextActorsMax);
    if (!seen) return std::nullopt;
    context.seen = std::move(*seen);
  } else if (kind == static_cast<uint8_t>(Kind::kLww)) {
    context.lww_stamp.packed = in.U64();
    context.lww_node = in.U64();
    if (context.Id() == RegisterId{}) return std::nullopt;  // written as an empty siblings context
  } else {
    return std::nullopt;
  }
  if (!in.AtEnd()) return std::nullopt;
  return context;
}

base::Result<Context> Refuse(std::string message) {
  return base::Fail(base::Code::kInvalidArgument, std::move(message));
}

std::optional<uint64_t> NumberIn(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

bool NamesStamp(std::string_view context) {
  // Four characters hold the first three bytes.
  const auto start = base::Base64Decode(context.substr(0, 4));
  return start && start->size() > 1 && (*start)[1] == static_cast<char>(Kind::kLww);
}

std::string EncodeContext(const Context& context, std::string_view bucket, std::string_view key) {
  const bool lww = context.Id() != RegisterId{};
  std::string bytes;
  bytes.reserve(kContextBytesUsual);
  base::ByteWriter out(&bytes);
  out.U8(kContextVersion);
  if (lww) {
    LARIAT_CHECK(context.seen.Empty(), "a context is of one kind");
    out.U8(static_cast<uint8_t>(Kind::kLww));
    out.U64(context.lww_stamp.packed);
    out.U64(context.lww_node);
  } else if (context.seen.entries().size() > kContextActorsMax ||
             context.seen.DotsInClouds() > kContextCloudMax) {
    DotSet trimmed = context.seen;
    trimmed.Trim(kContextActorsMax, kContextCloudMax);
    out.U8(static_cast<uint8_t>(Kind::kSiblings));
    trimmed.Encode(&out);
  } else {
    out.U8(static_cast<uint8_t>(Kind::kSiblings));
    context.seen.Encode(&out);
  }
  out.U64(Checksum(bytes, bucket, key));
  return base::Base64Encode(bytes);
}

base::Result<Context> DecodeContext(std::string_view text, std::string_view bucket,
                                    std::string_view key) {
  if (text.size() > kContextBytesMax) {
    return Refuse("the context is longer than " + std::to_string(kContextBytesMax) + " bytes");
  }
  const auto bytes = base::Base64Decode(text);
  if (!bytes || bytes->size() < kChecksumBytes) return Refuse("the context is not valid base64");
  const std::string_view content =
      std::string_view(*bytes).substr(0, bytes->size() - kChecksumBytes);
  base::ByteReader tail(std::string_view(*bytes).substr(content.size()));
  if (tail.U64() != Checksum(content, bucket, key)) {
    return Refuse("the context was altered or was given out for another key; read the key again");
  }
  auto context = DecodeContent(content);
  if (!context) return Refuse("the context is of an unknown version; read the key again");
  return std::move(*context);
}

base::Result<uint64_t> SerialVersionOf(std::string_view text, std::string_view bucket,
                                       std::string_view key) {
  if (const auto number = NumberIn(text)) return *number;
  auto context = DecodeContext(text, bucket, key);
  if (!context) return base::Fail(std::move(context.error()));
  if (!context->seen.Empty() || context->lww_node != 0) {
    return base::Fail(base::Code::kInvalidArgument, "the context is of another kind of bucket");
  }
  return context->lww_stamp.packed;
}

}  // namespace lariat::causal

// SPDX-License-Identifier: Apache-2.0
#include "security/token.h"

#include "base/base64.h"
#include "base/coding.h"
#include "security/secret.h"

namespace lariat::security {
namespace {

// Easily found by who looks for tokens where none belong.
constexpr std::string_view kTokenPrefix = "lariat1.";

std::string MacOf(std::string_view content, std::string_view key) {
  return Mac(key, std::string(kTokenPrefix).append(content));
}

}  // namespace

std::string WriteToken(const Token& token, std::string_view key) {
  std::string content;
  base::ByteWriter w(&content);
  w.Sized(token.user);
  w.U64(token.generation);
  w.U64(static_cast<uint64_t>(token.expires.ms));
  return std::string(kTokenPrefix) + base::Base64Encode(content + MacOf(content, key));
}

std::optional<Token> ReadToken(std::string_view text, std::string_view key) {
  if (text.size() > kTokenBytesMax || !text.starts_with(kTokenPrefix)) return std::nullopt;
  const auto bytes = base::Base64Decode(text.substr(kTokenPrefix.size()));
  if (!bytes || bytes->size() < kMacBytes) return std::nullopt;
  const std::string_view content = std::string_view(*bytes).substr(0, bytes->size() - kMacBytes);
  const std::string_view mac = std::string_view(*bytes).substr(content.size());
  if (!IsSameSecret(mac, MacOf(content, key))) return std::nullopt;
  base::ByteReader r(content);
  Token token;
  token.user = r.Sized();
  token.generation = r.U64();
  token.expires.ms = static_cast<int64_t>(r.U64());
  return r.AtEnd() ? std::optional(std::move(token)) : std::nullopt;
}

}  // namespace lariat::security

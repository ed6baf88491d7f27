// SPDX-License-Identifier: Apache-2.0
#include "env/tls/names.h"

#include <fmt/format.h>

#include <charconv>

namespace lariat::env::tls {

namespace {

constexpr std::string_view kScheme = "lariat:cluster/";

bool IsPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

std::string Escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += IsPlain(c) ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

// Nothing for what Escape does not give: one name has one text.
std::optional<std::string> Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const std::string_view digits = text.substr(i + 1, 2);
    unsigned value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (error != std::errc() || digits.size() != 2 || end != digits.data() + 2) return std::nullopt;
    out += static_cast<char>(value);
    i += 2;
  }
  if (out.empty() || Escape(out) != text) return std::nullopt;
  return out;
}

}  // namespace

std::string ToUri(const Name& name) {
  std::string uri = std::string(kScheme) + Escape(name.cluster);
  if (name.kind == Name::Kind::kAuthority) return uri;
  return uri + (name.kind == Name::Kind::kNode ? "/node/" : "/user/") + Escape(name.name);
}

std::optional<Name> ParseUri(std::string_view uri) {
  if (!uri.starts_with(kScheme)) return std::nullopt;
  uri.remove_prefix(kScheme.size());
  const size_t slash = uri.find('/');
  const auto cluster = Unescape(uri.substr(0, slash));
  if (!cluster) return std::nullopt;
  if (slash == std::string_view::npos) return Name{Name::Kind::kAuthority, *cluster, ""};
  const std::string_view rest = uri.substr(slash);
  const bool node = rest.starts_with("/node/");
  if (!node && !rest.starts_with("/user/")) return std::nullopt;
  const auto name = Unescape(rest.substr(6));
  if (!name) return std::nullopt;
  return Name{node ? Name::Kind::kNode : Name::Kind::kUser, *cluster, *name};
}

}  // namespace lariat::env::tls

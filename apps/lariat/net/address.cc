// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/net/address.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace lariat::cli::net {

namespace {

bool IsPort(std::string_view text) {
  uint32_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

}  // namespace

std::string Address::ToString() const {
  bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

base::Result<Address> ParseAddress(std::string_view text) {
  std::string_view rest = text;
  if (rest.starts_with("http://")) rest.remove_prefix(7);
  if (rest.starts_with("https://")) rest.remove_prefix(8);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || !IsPort(rest.substr(colon + 1))) {
    return base::Fail(base::Code::kInvalidArgument,
                      fmt::format("'{}' is not an address of the form HOST:PORT", text));
  }
  std::string_view host = rest.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty() || host.find_first_of("/@?# \r\n") != std::string_view::npos) {
    return base::Fail(base::Code::kInvalidArgument, fmt::format("'{}' has no valid host", text));
  }
  return Address{std::string(host), std::string(rest.substr(colon + 1))};
}

std::string PercentEncode(std::string_view bytes) {
  const bool dots = bytes == "." || bytes == "..";
  const bool route = bytes == "batch" || bytes == "range";
  std::string out;
  out.reserve(bytes.size());
  for (char c : bytes) {
    const bool first = out.empty();
    if (IsUnreserved(c) && !dots && !(route && first)) {
      out.push_back(c);
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string QueryString(const std::vector<std::pair<std::string, std::string>>& parameters) {
  std::string out;
  for (const auto& [name, value] : parameters) {
    out += out.empty() ? '?' : '&';
    out += name + '=' + PercentEncode(value);
  }
  return out;
}

}  // namespace lariat::cli::net

// SPDX-License-Identifier: Apache-2.0
// Addresses and the parts of a URL that commands build. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace lariat::cli::net {

struct Address {
  std::string host;
  std::string port;
  std::string ToString() const;
  bool operator==(const Address&) const = default;
};

// "host:port", "[v6]:port", or either with "http://" or "https://" in front and "/" behind.
base::Result<Address> ParseAddress(std::string_view text);

// Everything but the unreserved characters of RFC 3986 becomes %XX. The texts "." and ".." are
// encoded too, so that no proxy on the way takes a key for a path step, and the first letter of
// "batch" and "range", which are requests where a key may stand.
std::string PercentEncode(std::string_view bytes);

// "?a=1&b=2" with encoded values; empty for no parameters.
std::string QueryString(const std::vector<std::pair<std::string, std::string>>& parameters);

}  // namespace lariat::cli::net

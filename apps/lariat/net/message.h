// SPDX-License-Identifier: Apache-2.0
// HTTP messages as the commands see them, and the ways in which an exchange can end without one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace lariat::cli::net {

struct Request {
  std::string method = "GET";
  std::string target = "/";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

struct Response {
  unsigned status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;

  // Of a name in lower case; empty if there is none.
  std::string_view Header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return {};
  }
  bool Ok() const { return status >= 200 && status < 300; }
};

enum class Failure : uint8_t {
  kNotSent,  // no connection: the request definitely did nothing
  kLost,     // the connection broke after something was sent: it may or may not have been done
  kTimeout,  // no answer in time: it may or may not have been done
};

struct [[nodiscard]] TransportError {
  Failure failure = Failure::kNotSent;
  std::string message;  // for people, with the address
};

using Outcome = tl::expected<Response, TransportError>;

}  // namespace lariat::cli::net

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

  bool IsRead() const { return method == "GET" || method == "HEAD"; }
  // Whether a second delivery can do no harm: a read, or a write that the nodes tell from its
  // repeat.
  bool IsRepeatable() const {
    if (IsRead()) return true;
    for (const auto& [name, value] : headers) {
      if (name == "Idempotency-Key") return true;
    }
    return false;
  }
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
  kLost,     // the connection broke after something was sent: a write may or may not have been done
  kTimeout,  // no answer in time: likewise
};

struct [[nodiscard]] TransportError {
  Failure failure = Failure::kNotSent;
  std::string message;  // for people, with the address
  bool hung = false;    // nothing came at all, not even a refusal: the next node is better
  bool read = false;    // of a request that changes nothing, whatever became of it
};

using Outcome = tl::expected<Response, TransportError>;

}  // namespace lariat::cli::net

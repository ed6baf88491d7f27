// SPDX-License-Identifier: Apache-2.0
// What the load generator says to a server and what it makes of the answers: one driver for each
// connection, one kind for each protocol. A driver has no socket; it turns operations into bytes.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace lariat::cli::load {

struct Op {
  bool get = true;
  uint64_t key = 0;
};

struct Endpoint {
  sockaddr_storage address{};
  socklen_t size = 0;
  std::string host;  // as it was given, for a Host header
};

// What is at the front of what a server has sent.
struct Scan {
  enum class State : uint8_t { kMore, kWhole, kBad };
  State state = State::kMore;
  int status = 0;            // of a whole reply, in HTTP's terms: 2xx is done, 404 no such key
  size_t size = 0;           // bytes that are done with
  std::string_view context;  // of X-Context; points into the text
  std::string_view value;    // what a get showed; valid until the next call
  bool closes = false;       // the server says nothing more on this connection
};

class Driver {
 public:
  virtual ~Driver() = default;
  // The connection is new: adds to `out` what comes before the first request.
  virtual void Begin(std::string* /*out*/) {}
  // Adds a request. `context`: of the key, for a put that replaces what was seen; may be empty.
  virtual void Append(const Op& op, std::string_view value, std::string_view context,
                      std::string* out) = 0;
  // Looks at what came and was not done with. Adds to `out` what the protocol wants to be said.
  virtual Scan Take(std::string_view in, std::string* out) = 0;
};
using MakeDriver = std::function<std::unique_ptr<Driver>(const Endpoint& node)>;

}  // namespace lariat::cli::load

// SPDX-License-Identifier: Apache-2.0
// Just enough of HTTP/1.1 replies for a load generator: status, length, one header. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lariat::cli::load {

struct Scan {
  enum class State : uint8_t { kMore, kWhole, kBad };
  State state = State::kMore;
  int status = 0;
  size_t size = 0;           // of the whole reply, when kWhole
  std::string_view context;  // of X-Context; points into the text
  bool closes = false;       // Connection: close
};

// Looks at the reply at the front of `text`.
Scan ScanReply(std::string_view text);

}  // namespace lariat::cli::load

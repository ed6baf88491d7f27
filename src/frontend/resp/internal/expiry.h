// SPDX-License-Identifier: Apache-2.0
// Expiries as commands give them. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/time.h"
#include "frontend/resp/internal/parser.h"

namespace lariat::frontend::resp {

enum class ExpiryUnit : uint8_t { kSeconds, kMillis, kUnixSeconds, kUnixMillis };

// Milliseconds since 1970; nothing if that is more than there are.
std::optional<int64_t> ExpiryAt(int64_t amount, ExpiryUnit unit, base::WallTime now);

// What SET and GETEX take behind their keys and values.
struct StringOptions {
  bool if_absent = false;   // NX
  bool if_present = false;  // XX
  bool get = false;
  bool keep_ttl = false;
  bool persist = false;
  std::optional<int64_t> expires_ms;
};
enum class OptionsFor : uint8_t { kSet, kGetEx };
// An error's text, or empty.
std::string_view ParseOptions(Args args, OptionsFor what, base::WallTime now,
                              StringOptions* options);

}  // namespace lariat::frontend::resp

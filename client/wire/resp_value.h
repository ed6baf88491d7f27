// SPDX-License-Identifier: Apache-2.0
// Values of RESP2 and RESP3 as a client receives them. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lariat::client {

struct RespValue {
  enum class Kind : uint8_t { kText, kError, kNull, kArray, kMap, kPush };
  Kind kind = Kind::kNull;
  std::string text;              // of everything that is one text: numbers and booleans too
  std::vector<RespValue> parts;  // of a map: key, value, key, value

  // The value of a map's member; null if there is none.
  const RespValue* Find(std::string_view name) const;
  std::string Text(std::string_view name) const;  // empty if there is none
  int64_t Number(std::string_view name) const;    // 0 if there is none
};

struct RespParsed {
  enum class State : uint8_t { kMore, kWhole, kBad };
  State state = State::kMore;
  size_t size = 0;  // when kWhole
};

// Reads the value at the front of `in`. Depth, lengths and counts that no node sends are bad.
RespParsed ParseResp(std::string_view in, RespValue& value);

}  // namespace lariat::client

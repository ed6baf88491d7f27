// SPDX-License-Identifier: Apache-2.0
// Reads a JSON body that is one flat object of scalars, which is all this interface takes; bytes
// that are not UTF-8 may stand as {"base64": "..."}. Strict: other nesting, duplicate names,
// invalid UTF-8 and more than 32 members are refused. Boost.JSON does the
// reading (its event parser, no tree), behind this header.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace lariat::frontend::http {

struct JsonBytes {
  std::string base64;
};
struct JsonMember {
  std::string name;
  // A number that is no int64_t is held as a double.
  std::variant<std::nullptr_t, bool, int64_t, double, std::string, JsonBytes> value;

  bool is_null() const { return value.index() == 0; }
};

base::Result<std::vector<JsonMember>> ParseFlatJson(std::string_view text);

// Each says which member is wrong: kInvalidArgument.
base::Result<std::string> TakeText(JsonMember& member);
base::Result<std::string> TakeBytes(JsonMember& member);    // a text, or {"base64": "..."}
base::Result<int64_t> TakeCount(const JsonMember& member);  // 0 and up
base::Result<double> TakeNumber(const JsonMember& member);  // finite
base::Result<bool> TakeBool(const JsonMember& member);

}  // namespace lariat::frontend::http

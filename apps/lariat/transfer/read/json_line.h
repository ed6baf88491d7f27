// SPDX-License-Identifier: Apache-2.0
// One line of JSON as its source text: the members of an object with the bytes that stand there, so
// that a number keeps its digits and a nested value its blanks. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lariat::cli::transfer {

struct JsonMember {
  std::string name;
  std::string_view source;  // from the first byte of the value to its last, a part of the line
  std::string text;         // of a string: what its escapes stand for; otherwise empty

  bool is_string() const { return source.front() == '"'; }
  bool is_number() const { return source.front() == '-' || (source[0] >= '0' && source[0] <= '9'); }
  // A number, true or false: what may stand in a key as it is written.
  bool is_plain() const { return is_number() || source == "true" || source == "false"; }
  // What is stored of it: a string's text, the source of anything else.
  std::string Bytes() const { return is_string() ? text : std::string(source); }
};

// A whole object and nothing behind it, of well-formed UTF-8; otherwise why it is none.
base::Result<std::vector<JsonMember>> ParseJsonLine(std::string_view line);

// The member, or null. Fails if the name is there more than once.
base::Result<const JsonMember*> FindMember(const std::vector<JsonMember>& members,
                                           std::string_view name);

}  // namespace lariat::cli::transfer

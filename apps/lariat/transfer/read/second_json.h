// SPDX-License-Identifier: Apache-2.0
// JSON for the second reading: recursive descent over one text, with the source of every value.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace lariat::cli::transfer {

struct SecondJson {
  char kind = 'n';     // '{', '[', '"', '0' (a number), 't', 'f', 'n'; '2': its name is there twice
  std::string source;  // the bytes that stand there
  std::string text;    // of a string
  std::map<std::string, SecondJson> members;  // of an object; elements of an array are not kept
};

// Nothing if it is not JSON, not UTF-8, or nested deeper than 32 in an object.
std::optional<SecondJson> ReadSecondJson(std::string_view text);

}  // namespace lariat::cli::transfer

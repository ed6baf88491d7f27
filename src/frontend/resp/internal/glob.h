// SPDX-License-Identifier: Apache-2.0
// Patterns as Redis has them: * ? [a-c] [^a] and \ before what is meant itself. In
// names of settings case does not count, in keys it does.
#pragma once

#include <cstdint>
#include <string_view>

namespace lariat::frontend::resp {

enum class Case : uint8_t { kIgnored, kMatters };

// In time of at most the product of both lengths, without recursion.
bool GlobMatches(std::string_view pattern, std::string_view text, Case matters = Case::kIgnored);

}  // namespace lariat::frontend::resp

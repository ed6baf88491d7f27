// SPDX-License-Identifier: Apache-2.0
// Patterns as Redis has them: * ? [a-c] [^a] and \ before what is meant itself; case does not
// count.
#pragma once

#include <string_view>

namespace lariat::frontend::resp {

// In time of at most the product of both lengths, without recursion.
bool GlobMatches(std::string_view pattern, std::string_view text);

}  // namespace lariat::frontend::resp

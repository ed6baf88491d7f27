// SPDX-License-Identifier: Apache-2.0
// Strict base64 (RFC 4648, section 4, with padding). OpenSSL's decoder skips white space and
// accepts bad padding, which would turn bad input into a silent success; so this one is our own.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lariat::base {

std::string Base64Encode(std::string_view bytes);
// Nothing if the text is not exactly the encoding of some bytes.
std::optional<std::string> Base64Decode(std::string_view text);

}  // namespace lariat::base

// SPDX-License-Identifier: Apache-2.0
// Passwords as they are kept: Argon2id with 19 MiB, two passes and one lane. Each of these calls
// takes some tens of milliseconds: never on a shard's thread.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace lariat::security {

inline constexpr size_t kPasswordBytesMin = 8;
inline constexpr size_t kPasswordBytesMax = 512;

// Of a new password.
base::Status CheckPassword(std::string_view password);
// A PHC text. `salt`: 16 random bytes.
base::Result<std::string> HashPassword(std::string_view password, std::string_view salt);
bool IsPassword(std::string_view hash, std::string_view password);
// The hash of no password: to be tried where there is no user, so that it takes as long.
const std::string& NobodysHash();

}  // namespace lariat::security

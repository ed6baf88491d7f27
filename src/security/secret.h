// SPDX-License-Identifier: Apache-2.0
// Keyed hashes, and comparing in constant time. OpenSSL is behind it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lariat::security {

inline constexpr size_t kMacBytes = 32;

std::string Mac(std::string_view key, std::string_view bytes);  // HMAC-SHA-256
// The time says nothing about where they differ.
bool IsSameSecret(std::string_view a, std::string_view b);
// Overwrites what the string holds, in a way that is not optimised away, and empties it.
void Forget(std::string* secret);

}  // namespace lariat::security

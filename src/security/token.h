// SPDX-License-Identifier: Apache-2.0
// Tokens that stand for a login: signed with the cluster's key, so that every node knows one
// without asking, and bound to the user's generation, so that a new password or a deleted user ends
// all of them. docs/formats/access.md
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace lariat::security {

struct Token {
  std::string user;
  uint64_t generation = 0;
  base::WallTime expires;
};

inline constexpr size_t kTokenBytesMax = 512;

std::string WriteToken(const Token& token, std::string_view key);
// Nothing if it was not signed with the key; whether it has expired is the caller's to judge.
std::optional<Token> ReadToken(std::string_view text, std::string_view key);

}  // namespace lariat::security

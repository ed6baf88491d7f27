// SPDX-License-Identifier: Apache-2.0
// Who a command asks as. In this order: --user with a password, the token in LARIAT_TOKEN, the
// token that `lariat login` has kept. Secrets come from files, the environment or a terminal, never
// from the command line, which others can see.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace lariat::cli {

// The value of Authorization; empty: nobody has logged in. kInvalidArgument: the token's file is
// not as it has to be, or there is no password for `user`.
base::Result<std::string> Authorization(const std::string& user);

struct KeptToken {
  std::string user, token;
  int64_t expires_ms = 0;
};
// In the user's configuration directory, readable by nobody else. Result: its path.
base::Result<std::string> KeepToken(const KeptToken& token);

// A line of the file; without one of standard input, typed unseen where that is a terminal.
base::Result<std::string> ReadPassword(const std::string& file, const std::string& user);

}  // namespace lariat::cli

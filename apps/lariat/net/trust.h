// SPDX-License-Identifier: Apache-2.0
// What a client with TLS believes and shows. Immutable; shared by all connections of a command.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace lariat::cli::net {

struct TrustFiles {
  std::string ca;         // certificates of the authorities whose nodes are believed
  std::string cert, key;  // of the user; both or none
};

class Trust;  // connection.cc has it

// kInvalidArgument, in words, if a file is no good.
base::Result<std::shared_ptr<const Trust>> LoadTrust(const TrustFiles& files);

}  // namespace lariat::cli::net

// SPDX-License-Identifier: Apache-2.0
// Secrets in files, which nobody but their owner may be able to read.
#pragma once

#include <string>

#include "base/result.h"

namespace lariat::lariatd {

// The first line. kInvalidArgument: it cannot be read, or others can; the message says what to do
// and holds nothing of it.
base::Result<std::string> ReadSecret(const std::string& path);

}  // namespace lariat::lariatd

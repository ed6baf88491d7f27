// SPDX-License-Identifier: Apache-2.0
// Damage in the middle of a log that RocksDB does not take for damage: it goes on behind a block of
// zeros, and a bad length or type in the last block ends the log without a word, though another log
// may follow. What comes after a hole must not be seen.
#pragma once

#include <string>

#include "base/result.h"

namespace lariat::storage::internal {

// Where the records of a log in the directory end before others begin again, in it or in a later
// log, makes the place one at which recovery stops and says so. REQUIRES: no store is open there.
base::Status MarkHoles(const std::string& directory);

}  // namespace lariat::storage::internal

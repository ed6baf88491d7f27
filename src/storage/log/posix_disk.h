// SPDX-License-Identifier: Apache-2.0
// The log's files in a directory: `control`, `slot-0`, `slot-1`, ... Durable writes go past the
// page cache (O_DIRECT, O_DSYNC) where the file system lets them, and are pwrite and fdatasync
// elsewhere.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "storage/log/disk.h"

namespace lariat::storage::log {

enum class DirectWrites : uint8_t { kProbe, kNever };

// The directory exists, and nobody else writes to it.
std::unique_ptr<Disk> MakePosixDisk(std::string directory,
                                    DirectWrites direct = DirectWrites::kProbe);

}  // namespace lariat::storage::log

// SPDX-License-Identifier: Apache-2.0
// What is looked at before RocksDB opens a directory: whether there is a store, and whether its
// list of files is the one that it had.
#pragma once

#include <rocksdb/env.h>

#include <string>

#include "base/result.h"

namespace lariat::storage::internal {

// For people: what to do about a store of which not even that can be had.
base::Error Unreadable(const std::string& directory, const std::string& why);

// The names in it are durable when it returns.
base::Status SyncDirectory(const std::string& directory);
// What `path` holds from now on is `bytes`, durably; after a failure or a crash the old ones.
base::Status ReplaceFile(rocksdb::Env* env, const std::string& path, const std::string& bytes);
// Empty if it cannot be read.
std::string ReadFile(const std::string& path);

// ok: there is a store, or nothing but what the creation of one leaves when it is cut off (it ends
// with the file CURRENT, before anything is written to it). A store of which CURRENT alone is
// damaged or missing gets it back, if there is no doubt about what it said. kCorruption
// (Unreadable): opening would begin a new store where there was one, or would believe a list of
// files (the manifest) that is not what it was when the last run noted it (end_mark.h).
base::Status CheckAnchor(const std::string& directory);

}  // namespace lariat::storage::internal

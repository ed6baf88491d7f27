// SPDX-License-Identifier: Apache-2.0
// The few file operations that programs need beside the storage engine. They block: call them at
// start and stop, or off the shards' threads. Errors name the path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lariat::env::posix {

// kNotFound if there is none, kTooLarge if it is longer than `size_max`.
base::Result<std::string> ReadFile(const std::string& path, size_t size_max);

// After success the file holds exactly `bytes`, also after a power cut; after a failure or a crash
// it holds the old or the new bytes, never a mixture. One writer at a time.
base::Status WriteFileAtomically(const std::string& path, std::string_view bytes);

// Makes the directory and those above it; that they exist already is fine.
base::Status MakeDirectories(const std::string& path);

// What an unprivileged process may still write to the file system of `path`.
base::Result<uint64_t> FreeBytes(const std::string& path);

// Keeps a second process (or a second holder in this one) out of a data directory. The kernel
// drops the lock when the holder ends, however it ends.
class DirectoryLock {
 public:
  // kConflict if it is taken; the message names the process that has it.
  static base::Result<DirectoryLock> Take(const std::string& directory);
  DirectoryLock(DirectoryLock&& other) noexcept;
  DirectoryLock& operator=(DirectoryLock&& other) noexcept;
  ~DirectoryLock();

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace lariat::env::posix

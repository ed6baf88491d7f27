// SPDX-License-Identifier: Apache-2.0
#include "env/posix/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "env/posix/internal/socket.h"

namespace lariat::env::posix {

namespace {

auto FailFile(int error, const std::string& what, const std::string& path) {
  base::Code code = base::Code::kIo;
  if (error == ENOENT) code = base::Code::kNotFound;
  if (error == ENOSPC || error == EDQUOT) code = base::Code::kDiskFull;
  return base::Fail(code, "cannot " + what + " " + path + ": " + ErrnoText(error));
}

// 0 or errno.
int WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

std::string DirectoryOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

base::Status SyncDirectory(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return FailFile(errno, "sync the directory", path);
  return {};
}

// Writes and syncs a new file; nothing is left of it if that fails.
base::Status WriteNewFile(const std::string& path, std::string_view bytes) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) return FailFile(errno, "create", path);
  int error = WriteAll(fd.get(), bytes);
  if (error == 0 && ::fsync(fd.get()) != 0) error = errno;
  if (error == 0) return {};
  ::unlink(path.c_str());
  return FailFile(error, "write", path);
}

}  // namespace

base::Result<std::string> ReadFile(const std::string& path, size_t size_max) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return FailFile(errno, "open", path);
  constexpr size_t kBlock = 64 * 1024;
  std::string result;
  while (true) {
    const size_t have = result.size();
    // One byte over the limit is enough to know that there is too much.
    result.resize(have + std::min(kBlock, size_max - have + 1));
    const ssize_t got = ::read(fd.get(), result.data() + have, result.size() - have);
    const int error = errno;
    result.resize(have + (got > 0 ? static_cast<size_t>(got) : 0));
    if (got == 0) return result;
    if (got < 0 && error != EINTR) return FailFile(error, "read", path);
    if (result.size() > size_max) {
      return base::Fail(base::Code::kTooLarge,
                        path + " is longer than " + std::to_string(size_max) + " bytes");
    }
  }
}

base::Status WriteFileAtomically(const std::string& path, std::string_view bytes) {
  const std::string temporary = path + ".new";
  if (auto written = WriteNewFile(temporary, bytes); !written) return written;
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return FailFile(error, "replace", path);
  }
  return SyncDirectory(DirectoryOf(path));
}

base::Status MakeDirectories(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) return {};
  return FailFile(error.value(), "make the directory", path);
}

base::Result<uint64_t> FreeBytes(const std::string& path) {
  struct statvfs info = {};
  if (::statvfs(path.c_str(), &info) != 0) return FailFile(errno, "look at the disk of", path);
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

base::Result<DirectoryLock> DirectoryLock::Take(const std::string& directory) {
  const std::string path = directory + "/LOCK";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return FailFile(errno, "create", path);
  DirectoryLock lock(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return FailFile(errno, "lock", path);
    char pid[32] = "";
    const ssize_t got = ::pread(fd, pid, sizeof(pid) - 1, 0);
    const std::string holder(pid, got > 0 ? static_cast<size_t>(got) : 0);
    return base::Fail(base::Code::kConflict,
                      "the directory " + directory + " is in use by " +
                          (holder.empty() ? "another process" : "process " + holder));
  }
  // The number is for people only, so a full disk is no reason to refuse the lock.
  if (::ftruncate(fd, 0) == 0) (void)WriteAll(fd, std::to_string(::getpid()));
  return lock;
}

DirectoryLock::DirectoryLock(DirectoryLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

DirectoryLock& DirectoryLock::operator=(DirectoryLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace lariat::env::posix

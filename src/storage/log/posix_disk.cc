// SPDX-License-Identifier: Apache-2.0
#include "storage/log/posix_disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>

#include "storage/log/format.h"

namespace lariat::storage::log {
namespace {

using base::Code;

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

// 0 or errno.
int WriteAll(int fd, uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    if (written == 0) return EIO;
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return 0;
}

// What a direct read refuses (memory, sizes, the file system) a direct write refuses too.
bool CanReadDirectly(int fd) {
  alignas(kBlock) char block[kBlock];
  return ::pread(fd, block, sizeof block, 0) >= 0;
}

class PosixDisk final : public Disk {
 public:
  PosixDisk(std::string directory, DirectWrites direct)
      : directory_(std::move(directory)), direct_(direct) {}

  base::Result<uint64_t> Size(FileNumber file) override {
    struct stat info = {};
    if (::stat(Path(file).c_str(), &info) != 0) return Fails(errno, "look at", file);
    return static_cast<uint64_t>(info.st_size);
  }

  base::Status Make(FileNumber file, uint64_t bytes) override {
    const Fd fd(::open(Path(file).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    struct stat info = {};
    if (!fd || ::fstat(fd.get(), &info) != 0) return Fails(errno, "create", file);
    const std::string zeros(1 << 20, '\0');
    for (auto at = static_cast<uint64_t>(info.st_size); at < bytes;) {
      const size_t size = std::min<uint64_t>(zeros.size(), bytes - at);
      if (const int error = WriteAll(fd.get(), at, {zeros.data(), size}); error != 0) {
        return Fails(error, "write", file);
      }
      at += size;
    }
    if (::fsync(fd.get()) != 0) return Fails(errno, "sync", file);
    // Pages that stay in the cache would make every direct write look for them.
    (void)::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
    const Fd directory(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || ::fsync(directory.get()) != 0) return Fails(errno, "sync the name of", file);
    return {};
  }

  base::Status Read(FileNumber file, uint64_t offset, size_t size, char* out) override {
    const auto open = Get(file);
    if (!open) return base::Fail(open.error());
    while (size > 0) {
      const ssize_t got = ::pread((*open)->fd.get(), out, size, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Fails(errno, "read", file);
      if (got == 0) std::memset(out, 0, size);
      if (got == 0) return {};
      out += got;
      offset += static_cast<uint64_t>(got);
      size -= static_cast<size_t>(got);
    }
    return {};
  }

  base::Status Write(FileNumber file, uint64_t offset, std::string_view bytes) override {
    const auto open = Get(file);
    if (!open) return base::Fail(open.error());
    const int error = WriteAll((*open)->fd.get(), offset, bytes);
    if (error != 0) return Fails(error, "write", file);
    return {};
  }

  base::Status WriteDurably(FileNumber file, uint64_t offset, std::string_view bytes) override {
    const auto open = Get(file);
    if (!open) return base::Fail(open.error());
    const bool aligned = reinterpret_cast<uintptr_t>(bytes.data()) % kBlock == 0;
    if (aligned && (*open)->direct) {
      const int error = WriteAll((*open)->direct.get(), offset, bytes);
      if (error != 0) return Fails(error, "write", file);
      return {};
    }
    if (auto written = Write(file, offset, bytes); !written) return written;
    return Sync(file);
  }

  base::Status Sync(FileNumber file) override {
    const auto open = Get(file);
    if (!open) return base::Fail(open.error());
    if (::fdatasync((*open)->fd.get()) != 0) return Fails(errno, "sync", file);
    return {};
  }

 private:
  struct OpenFile {
    Fd fd;
    Fd direct;  // none where it is refused
  };

  std::string Path(FileNumber file) const {
    if (file == kControlFile) return directory_ + "/control";
    return directory_ + "/slot-" + std::to_string(file - FileOfSlot(0));
  }

  // Stays open.
  base::Result<const OpenFile*> Get(FileNumber file) {
    const std::lock_guard lock(mutex_);
    if (const auto it = open_.find(file); it != open_.end()) return &it->second;
    const std::string path = Path(file);
    OpenFile open{Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC)), Fd()};
    if (!open.fd) return Fails(errno, "open", file);
    if (direct_ == DirectWrites::kProbe) {
      open.direct = Fd(::open(path.c_str(), O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC));
      if (open.direct && !CanReadDirectly(open.direct.get())) open.direct = Fd();
    }
    return &open_.emplace(file, std::move(open)).first->second;
  }

  tl::unexpected<base::Error> Fails(int error, const char* what, FileNumber file) const {
    Code code = Code::kIo;
    if (error == ENOENT) code = Code::kNotFound;
    if (error == ENOSPC || error == EDQUOT) code = Code::kDiskFull;
    return base::Fail(code, std::string("cannot ") + what + " " + Path(file) + ": " +
                                std::system_category().message(error));
  }

  const std::string directory_;
  const DirectWrites direct_;
  std::mutex mutex_;
  std::map<FileNumber, OpenFile> open_;
};

}  // namespace

std::unique_ptr<Disk> MakePosixDisk(std::string directory, DirectWrites direct) {
  return std::make_unique<PosixDisk>(std::move(directory), direct);
}

}  // namespace lariat::storage::log

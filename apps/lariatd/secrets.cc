// SPDX-License-Identifier: Apache-2.0
#include "apps/lariatd/secrets.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace lariat::lariatd {

using base::Code;
using base::Fail;

namespace {

constexpr mode_t kOthers = S_IRWXG | S_IRWXO;

}  // namespace

base::Result<std::string> ReadSecret(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return Fail(Code::kInvalidArgument, "cannot read " + path + ": " + std::strerror(errno));
  }
  // Of what was opened, whatever the name stands for by now.
  struct stat facts {};
  std::array<char, 4096> bytes{};
  const bool known = ::fstat(fd, &facts) == 0;
  const ssize_t size = known ? ::read(fd, bytes.data(), bytes.size()) : -1;
  const int error = errno;
  ::close(fd);
  if (size < 0) {
    return Fail(Code::kInvalidArgument, "cannot read " + path + ": " + std::strerror(error));
  }
  if ((facts.st_mode & kOthers) != 0) {
    return Fail(Code::kInvalidArgument,
                path + " holds a secret and others may read it: chmod 600 " + path);
  }
  std::string text(bytes.data(), static_cast<size_t>(size));
  text.resize(std::min(text.find_first_of("\r\n"), text.size()));
  return text;
}

}  // namespace lariat::lariatd

// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/certs/cert_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string_view>
#include <utility>

#include "env/tls/issue.h"

namespace lariat::cli::certs {

namespace fs = std::filesystem;
using base::Code;
using base::Fail;
using env::tls::Issued;
using env::tls::Validity;

namespace {

constexpr int64_t kDay = 86400;
constexpr mode_t kPrivate = 0600;
constexpr mode_t kPublic = 0644;

base::Status IoError(const std::string& path, int error) {
  return Fail(Code::kIo, fmt::format("cannot write {}: {}", path, strerror(error)));
}

// Under another name first: a reader sees the old file or the new one, and a key has its mode
// before it has a byte.
base::Status WriteFile(const std::string& path, std::string_view text, mode_t mode) {
  const std::string temporary = path + ".new";
  unlink(temporary.c_str());
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return IoError(path, errno);
  bool good = fchmod(fd, mode) == 0;
  while (good && !text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    good = written > 0 || (written < 0 && errno == EINTR);
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
  good = good && fsync(fd) == 0;
  int error = errno;
  if (close(fd) != 0 && good) {
    good = false;
    error = errno;
  }
  if (good && std::rename(temporary.c_str(), path.c_str()) == 0) return {};
  if (good) error = errno;
  unlink(temporary.c_str());
  return IoError(path, error);
}

std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Validity From(const CertOptions& options) {
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  return {now - 3600, now + options.days * kDay};  // clocks of machines differ
}

Made PathsOf(const CertOptions& options, const std::string& name) {
  return {options.dir + "/" + name + ".crt", options.dir + "/" + name + ".key"};
}

base::Status CheckFree(const CertOptions& options, const Made& paths) {
  std::error_code ignored;
  if (options.force) return {};
  for (const std::string& path : {paths.certificate, paths.key}) {
    if (fs::exists(fs::symlink_status(path, ignored))) {
      return Fail(Code::kConflict, fmt::format("{} is there already; --force overwrites it", path));
    }
  }
  return {};
}

base::Result<Made> Write(const CertOptions& options, const std::string& name,
                         const Issued& issued) {
  const Made paths = PathsOf(options, name);
  if (auto status = CheckFree(options, paths); !status) return Fail(status.error());
  // A node that looks in between keeps what it has, since the two do not belong together.
  if (auto status = WriteFile(paths.key, issued.key, kPrivate); !status) {
    return Fail(status.error());
  }
  if (auto status = WriteFile(paths.certificate, issued.certificate, kPublic); !status) {
    return Fail(status.error());
  }
  return paths;
}

// A name becomes the name of a file.
base::Status CheckName(const std::string& name) {
  const bool bad = name.empty() || name == "ca" || name.starts_with('.') ||
                   name.find_first_of(std::string_view("/\0", 2)) != std::string::npos;
  if (!bad) return {};
  return Fail(Code::kInvalidArgument,
              fmt::format("'{}' cannot name a file beside ca.crt and ca.key", name));
}

base::Result<Issued> ReadAuthorityOf(const CertOptions& options) {
  const Made paths = PathsOf(options, "ca");
  Issued authority{ReadText(paths.certificate), ReadText(paths.key)};
  if (authority.certificate.empty() || authority.key.empty()) {
    return Fail(Code::kNotFound,
                fmt::format("{} and {} cannot be read; 'lariat cert ca {}' makes them",
                            paths.certificate, paths.key, options.dir));
  }
  return authority;
}

}  // namespace

base::Status WriteSecret(const std::string& path, std::string_view text) {
  return WriteFile(path, text, kPrivate);
}

base::Result<Made> MakeAuthority(const CertOptions& options, const std::string& cluster) {
  if (auto status = CheckFree(options, PathsOf(options, "ca")); !status) {
    return Fail(status.error());
  }
  std::error_code error;
  fs::create_directories(options.dir, error);
  if (error)
    return Fail(Code::kIo, fmt::format("cannot make {}: {}", options.dir, error.message()));
  const std::string label =
      cluster.empty() ? fmt::format("{:08x}", std::random_device()()) : cluster;
  auto issued = env::tls::IssueAuthority(label, From(options));
  if (!issued) return Fail(issued.error());
  return Write(options, "ca", *issued);
}

base::Result<Made> MakeNode(const CertOptions& options, const std::string& node,
                            std::vector<std::string> hosts) {
  if (auto status = CheckName(node); !status) return Fail(status.error());
  auto authority = ReadAuthorityOf(options);
  if (!authority) return Fail(authority.error());
  if (hosts.empty()) hosts = {"localhost", "127.0.0.1", "::1"};
  auto issued = env::tls::IssueNode(*authority, node, hosts, From(options));
  if (!issued) return Fail(issued.error());
  return Write(options, node, *issued);
}

base::Result<Made> MakeUser(const CertOptions& options, const std::string& user) {
  if (auto status = CheckName(user); !status) return Fail(status.error());
  auto authority = ReadAuthorityOf(options);
  if (!authority) return Fail(authority.error());
  auto issued = env::tls::IssueUser(*authority, user, From(options));
  if (!issued) return Fail(issued.error());
  return Write(options, user, *issued);
}

base::Result<std::string> RevokeOne(const CertOptions& options, const std::string& name) {
  if (auto status = CheckName(name); !status) return Fail(status.error());
  auto authority = ReadAuthorityOf(options);
  if (!authority) return Fail(authority.error());
  const std::string path = PathsOf(options, name).certificate;
  const std::string certificate = ReadText(path);
  if (certificate.empty()) return Fail(Code::kNotFound, path + " cannot be read");
  auto list = env::tls::Revoke(*authority, certificate, From(options));
  if (!list) return Fail(list.error());
  const std::string ca = PathsOf(options, "ca").certificate;
  if (auto status = WriteFile(ca, *list, kPublic); !status) return Fail(status.error());
  return ca;
}

}  // namespace lariat::cli::certs

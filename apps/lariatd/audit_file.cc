// SPDX-License-Identifier: Apache-2.0
#include "apps/lariatd/audit_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace lariat::lariatd {

using env::posix::LineOutput;

base::Result<std::unique_ptr<AuditFile>> AuditFile::Open(const config::Settings& settings) {
  const std::string& given = settings.security_audit_file;
  const std::string path = given.starts_with('/') ? given : settings.node_data_dir + "/" + given;
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return base::Fail(base::Code::kInvalidArgument,
                      "security.audit_file: cannot write " + path + ": " + std::strerror(errno));
  }
  return std::unique_ptr<AuditFile>(
      new AuditFile(fd, static_cast<size_t>(settings.security_audit_queue_bytes)));
}

AuditFile::AuditFile(int fd, size_t bytes_max) : fd_(fd) {
  LineOutput::Options options;
  options.out = options.error = fd;
  options.bytes_max = bytes_max;
  options.dropped_line = [](uint64_t count) {
    return "{\"event\":\"dropped\",\"lines\":" + std::to_string(count) + "}\n";
  };
  out_ = std::make_unique<LineOutput>(std::move(options));
}

AuditFile::~AuditFile() {
  out_.reset();
  ::close(fd_);
}

void AuditFile::Write(std::string line) { out_->Write(LineOutput::To::kOut, std::move(line)); }

uint64_t AuditFile::TakeDropped() {
  const uint64_t now = out_->dropped();
  return now - std::min(now, told_.exchange(now));
}

}  // namespace lariat::lariatd

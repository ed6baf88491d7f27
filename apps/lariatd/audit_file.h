// SPDX-License-Identifier: Apache-2.0
// security.audit_file: lines are appended by a thread of its own, past its queue they are dropped
// and counted. Only the owner may read it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "access/audit.h"
#include "base/result.h"
#include "config/settings.h"
#include "env/posix/line_output.h"

namespace lariat::lariatd {

class AuditFile final : public access::AuditSink {
 public:
  // kInvalidArgument: it cannot be written.
  static base::Result<std::unique_ptr<AuditFile>> Open(const config::Settings& settings);
  ~AuditFile() override;
  void Write(std::string line) override;
  uint64_t TakeDropped() override;

 private:
  AuditFile(int fd, size_t bytes_max);

  const int fd_;
  std::unique_ptr<env::posix::LineOutput> out_;
  std::atomic<uint64_t> told_{0};
};

}  // namespace lariat::lariatd

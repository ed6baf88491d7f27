// SPDX-License-Identifier: Apache-2.0
// What is done with each record: one request, and a verdict on its answer.
#pragma once

#include <string>

#include "apps/lariat/net/message.h"
#include "apps/lariat/transfer/read/record.h"

namespace lariat::cli::transfer {

struct Verdict {
  // kStop: this one has failed, and so would all others.
  enum class Kind : uint8_t { kDone, kRetry, kFailed, kStop };
  Kind kind = Kind::kDone;
  std::string reason;    // short, one of a few: failures are counted by it
  std::string detail;    // for people
  bool already = false;  // kDone because an earlier request had done it
  bool twice = false;    // kDone, and there are several values, all equal to the record's
};

class Job {
 public:
  virtual ~Job() = default;
  // A repeat of the request must be harmless: it is sent again whenever its fate is not known.
  virtual net::Request Make(const Record& record) = 0;
  virtual Verdict Judge(const Record& record, const net::Response& response) = 0;
};

}  // namespace lariat::cli::transfer

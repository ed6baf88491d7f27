// SPDX-License-Identifier: Apache-2.0
// The directory `log` in that of the store, and how it goes: it is renamed first, because a log of
// which half the files are gone would be taken for a damaged one.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace lariat::storage::log_engine {

class LogDirectory {
 public:
  explicit LogDirectory(const std::string& store)
      : store_(store), path_(store + "/log"), dropped_(store + "/log-dropped") {}

  const std::string& path() const { return path_; }
  bool Exists() const;
  // Makes it, if need be; what an earlier Drop left is removed.
  base::Status Make() const;
  // The size of a log that is asked to be so large: no more than an eighth of a small disk, but
  // enough for large values. The same at every open.
  uint64_t Fitted(uint64_t bytes) const;
  // It is gone, durably, when this returns ok. Nobody has it open.
  base::Status Drop() const;

 private:
  const std::string store_;
  const std::string path_;
  const std::string dropped_;
};

}  // namespace lariat::storage::log_engine

// SPDX-License-Identifier: Apache-2.0
// What became of the records: counts, failures by reason, the first examples.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace lariat::cli::transfer {

class Tally {
 public:
  void Done(uint64_t bytes) { ++done_, bytes_ += bytes; }
  // `reason` is one of a few; `detail` says where and what.
  void Failed(const std::string& reason, std::string detail);
  void Retried() { ++retries_; }
  void Twice() { ++twice_; }      // of the done ones: there more than once, each time the same
  void Already() { ++already_; }  // of the done ones: an earlier run had done it

  uint64_t done() const { return done_; }
  uint64_t failed() const { return failed_; }

  // `verb` is what happened to the done ones: "imported".
  std::string Text(const std::string& verb, uint64_t skipped, double seconds) const;
  boost::json::object Json(const std::string& verb, uint64_t skipped, double seconds) const;

 private:
  static constexpr size_t kExamples = 10;
  static constexpr size_t kReasons = 100;
  uint64_t done_ = 0;
  uint64_t bytes_ = 0;
  uint64_t failed_ = 0;
  uint64_t retries_ = 0;
  uint64_t already_ = 0;
  uint64_t twice_ = 0;
  std::map<std::string, uint64_t> reasons_;
  std::vector<std::string> examples_;
};

}  // namespace lariat::cli::transfer

// SPDX-License-Identifier: Apache-2.0
// Remembers what was written and what was acknowledged, so that a store can be asked afterwards
// whether it has it: every put of a key has a number, which is part of its value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lariat::cli::load {

// A key's entry is used by the connection that writes the key, and by no other: no locks. A key has
// one put under way at a time, so what a read shows is the last acknowledged put or a later one.
class Ledger {
 public:
  // A value has to have room for what marks it.
  static constexpr size_t kMarkBytes = 30;

  explicit Ledger(uint64_t keys) : entries_(keys) {}

  // Marks `value`, of kMarkBytes at least, as the key's next put and gives its number.
  uint64_t Mark(uint64_t key, std::string* value);
  void Acknowledge(uint64_t key, uint64_t number);

  enum class Verdict : uint8_t {
    kRight,
    kLost,   // nothing, or an older put than the last acknowledged one
    kWrong,  // what nobody has put there
  };
  // `found`: what a read showed. `pattern`: the value that puts mark, for the bytes behind the
  // mark.
  Verdict Judge(uint64_t key, std::string_view found, std::string_view pattern) const;
  Verdict JudgeAbsent(uint64_t key) const;

  // A file of 16 bytes a key, kept between runs of one generator on one machine. Load: of a file
  // that is not there nothing is known; one of another number of keys is refused.
  base::Status Load(const std::string& path);
  base::Status Save(const std::string& path) const;

 private:
  struct Entry {
    uint64_t put = 0;
    uint64_t acknowledged = 0;
  };
  std::vector<Entry> entries_;
};

}  // namespace lariat::cli::load

// SPDX-License-Identifier: Apache-2.0
// Remembers which puts there were and which were acknowledged, so that a store can be asked
// afterwards whether it has them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace lariat::cli::load {

// A key's entry is used by the connection that writes the key, and by no other: no locks. A key has
// one put under way at a time, so what a read shows is the last acknowledged put or a later one.
class Ledger {
 public:
  explicit Ledger(uint64_t keys) : entries_(keys) {}

  // The number of a key's next put, from 1.
  uint64_t Next(uint64_t key) { return ++entries_[key].put; }
  void Acknowledge(uint64_t key, uint64_t number);

  enum class Verdict : uint8_t {
    kRight,
    kLost,   // nothing, or an older put than the last acknowledged one
    kWrong,  // what nobody has put there
  };
  // `shown`: the put that a read shows; nothing if it shows what no put was.
  Verdict Judge(uint64_t key, std::optional<uint64_t> shown) const;
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

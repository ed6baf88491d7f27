// SPDX-License-Identifier: Apache-2.0
// The keys that are asked for most, lately. One in kSample requests is looked at and counted by the
// Space-Saving algorithm (Metwally, Agrawal, El Abbadi, 2005): a new key takes the place of the
// least counted one and goes on from its count, so a key with more than 1/kKeys of what is counted
// is always there. Counts of the last whole window are shown, so that a figure does not begin at
// zero every ten seconds; after a pause the last window that had any is.
//
// One for each shard, on its thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace lariat::telemetry {

enum class HotBy : uint8_t { kOperations, kBytes, kConflicts, kMisses, kSize, kCount };

struct HotKey {
  std::string bucket;
  std::string key;
  // Operations, bytes, answers with siblings, answers without a value: each a second. kSize: bytes
  // of its values when they were last seen.
  double figure = 0;
  bool operator==(const HotKey&) const = default;
};

// What one request tells.
struct HotNote {
  uint64_t bytes = 0;     // of values that were read or written
  uint64_t size = 0;      // of the key's values now, as far as this tells; 0: it does not
  bool conflict = false;  // several values were found
  bool miss = false;      // none was found
};

class HotKeys {
 public:
  static constexpr size_t kKeys = 128;
  static constexpr uint32_t kSample = 16;
  static constexpr base::Duration kWindow = base::Seconds(10);

  // Whether this request is one of those to note.
  bool Sampled() { return ++asked_ % kSample == 0; }
  void Note(base::Instant now, std::string_view bucket, std::string_view key, const HotNote& note);
  // At most so many, greatest first.
  std::vector<HotKey> Top(base::Instant now, HotBy by, size_t limit) const;

 private:
  struct Entry {
    std::string bucket, key;
    uint64_t count = 0;
  };
  // Space-Saving over one window.
  class Sketch {
   public:
    void Add(std::string_view bucket, std::string_view key, uint64_t count);
    // Keeps the greatest of what was told of the key last.
    void Keep(std::string_view bucket, std::string_view key, uint64_t size);
    bool Empty() const { return entries_.empty(); }
    void Clear() { entries_.clear(); }
    const std::vector<Entry>& entries() const { return entries_; }

   private:
    Entry* Find(std::string_view bucket, std::string_view key);
    std::vector<Entry> entries_;
  };
  struct Window {
    base::Instant began;
    base::Duration lasted{};
    std::array<Sketch, static_cast<size_t>(HotBy::kCount)> sketches;
  };

  static bool Ended(const Window& window, base::Instant now);
  void Roll(base::Instant now);

  uint32_t asked_ = 0;
  Window present_, last_;
};

// What several have told of the same keys, added up (kSize: the greatest).
std::vector<HotKey> MergeHot(std::vector<HotKey> all, HotBy by, size_t limit);

}  // namespace lariat::telemetry

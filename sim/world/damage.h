// SPDX-License-Identifier: Apache-2.0
// What is damaged on one disk: records whose bytes are not those that were written, and a stretch
// of records, a file as it were, that cannot be read. And what damage has taken from the disk for
// good, so that nobody is blamed for it. Values.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.h"
#include "storage/memory_engine.h"

namespace lariat::sim {

class Damage {
 public:
  using Image = storage::MemoryEngine::Image;

  // The record with one bit turned over. `unseen` is a lie of the disk: the checksum is that of the
  // damaged bytes.
  static std::string Spoiled(std::string record, bool unseen, base::Prng* prng);
  void AddSpoiled(const std::string& data_key, std::string before, std::string bytes);
  // Whether these are the damaged bytes of the key.
  bool IsSpoiled(std::string_view data_key, std::string_view record) const;
  bool AnySpoiled() const { return !spoiled_.empty(); }
  // Keys that have been spoiled; most are whole again.
  const std::map<std::string, std::string, std::less<>>& spoiled() const { return spoiled_; }

  // Some neighbouring records of the image.
  void AddUnreadable(const Image& image, base::Prng* prng);
  bool AnyUnreadable() const { return unreadable_.has_value(); }
  bool IsUnreadable(storage::Space space, std::string_view key) const;
  // Whether a scan from there that found the entries has met something that cannot be read.
  bool Meets(storage::Space space, std::string_view from, std::string_view to,
             const std::vector<storage::Entry>& found) const;
  // What an engine does with an unreadable file when it is opened: the rest is copied.
  Image Salvage(Image image);

  // Records that are not as they were before.
  void NoteLost(const Image& before, const Image& after);
  // What damage has taken from the record on this disk.
  const std::vector<std::string>& LostOf(const std::string& data_key) const;

 private:
  struct Stretch {
    std::string first, last;
  };
  std::map<std::string, std::string, std::less<>> spoiled_;
  std::optional<Stretch> unreadable_;
  std::map<std::string, std::vector<std::string>> lost_;
};

}  // namespace lariat::sim

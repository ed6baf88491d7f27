// SPDX-License-Identifier: Apache-2.0
// How far a store had come, noted in the file END beside it (docs/formats/notes.md). RocksDB takes
// a log or a manifest that became shorter for one that never was longer, and so it does with a bad
// length near the end or a block of zeros: what was behind it would be missing without a word. So
// the next open compares.
//
//   the last sequence number that was synced     a log that ends below it was cut
//   size and sum of the manifest                 one that is not the same is damaged
//
// A store whose log is elsewhere (files.h) says kLogElsewhere instead of a sequence number.
//
// The file is written in place, about twice a second while the store changes, and synced when it is
// closed: after a loss of power it may be older than the store, never newer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace lariat::storage::internal {

inline constexpr const char* kEndMarkName = "END";
// Above all sequence numbers of RocksDB: whoever knows no other log finds its own one cut.
inline constexpr uint64_t kLogElsewhere = uint64_t{1} << 60;

struct Reached {
  uint64_t sequence = 0;  // durable
  uint64_t manifest = 0;  // its number
  uint64_t manifest_bytes = 0;
  uint32_t manifest_sum = 0;  // CRC-32C of them
  bool operator==(const Reached&) const = default;
};

std::string EncodeReached(const Reached& reached);
// Nothing if these are not its bytes.
std::optional<Reached> DecodeReached(const std::string& bytes);

// What the last run noted; nothing if it cannot be read.
std::optional<Reached> ReadEndMark(const std::string& directory);
// Whether a store that ends at this sequence number lacks something. A log elsewhere, for whoever
// knows of it, is judged by itself.
bool EndsEarly(const std::optional<Reached>& reached, uint64_t sequence, bool log_elsewhere);
// The number in a manifest's name, or in CURRENT, which has a line end behind it.
std::optional<uint64_t> ManifestNumber(const std::string& name);
std::string ManifestName(uint64_t number);
// Adds to *seen what the manifest has gained; false if it cannot be read.
bool FollowManifest(const std::string& directory, uint64_t size_max, Reached* seen);

// Of an open store. One thread at a time. Errors are left out: then it is older than it might be.
class EndMark {
 public:
  explicit EndMark(std::string directory) : directory_(std::move(directory)) {}
  ~EndMark();
  EndMark(const EndMark&) = delete;
  EndMark& operator=(const EndMark&) = delete;

  // The manifest as the call before this one saw it: by now that is durable.
  void Note(uint64_t sequence);
  // All that the store has is durable, and so is this when it says true.
  bool NoteAll(uint64_t sequence);

 private:
  void Look();
  bool Write(uint64_t sequence, bool sync);

  const std::string directory_;
  Reached seen_;
  Reached durable_;
  std::optional<Reached> written_;
  int file_ = -1;
};

}  // namespace lariat::storage::internal

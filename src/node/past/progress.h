// SPDX-License-Identifier: Apache-2.0
// This node's own progress (wire::Progress): what its data directory had when the process began,
// and how far it has got since. What others are told of it is durable here before; so a directory
// that has less than they remember is an old one, and a loss of power alone never makes it so.
//
// Lives on shard 0 and is called on its thread only, except where said.
#pragma once

#include <atomic>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "base/unique_function.h"
#include "storage/engine.h"
#include "wire/progress.h"

namespace lariat::node {

// In Space::kMeta.
inline constexpr const char* kProgressKey = "progress";
std::optional<wire::Progress> DecodeProgress(std::string_view bytes);

class Progress {
 public:
  // `run`: drawn at this start of the process, not 0. `stored`: from LoadProgress, and from
  // LoadCluster its votes.
  Progress(uint64_t run, wire::Progress stored, storage::Engine& engine,
           storage::CompletionQueue& queue);

  uint64_t run() const { return run_; }  // thread-safe
  // Thread-safe. What this run goes on from.
  wire::Progress base() const {
    return {base_confirmed_.load(), base_written_.load(), base_votes_.load()};
  }
  // What others may be told.
  const wire::Progress& told() const { return told_; }
  // So many are durable now.
  void OnVotes(uint64_t votes) { told_.votes = std::max(told_.votes, votes); }

  // Before something is confirmed to a sweep: done when a greater `confirmed` lies in files.
  using StatusDone = base::UniqueFunction<void(base::Status)>;
  void Confirm(StatusDone done);
  // Now and then: `written` grows if records were written since the last call.
  void NoteWrites(uint64_t records_so_far);
  // Others remember that much of earlier runs, and what is missing here is dealt with: goes on
  // above it. The caller syncs, and has its votes counted on from there.
  base::Status GoOnAbove(const wire::Progress& known);

 private:
  base::Status Put(const wire::Progress& progress);

  const uint64_t run_;
  storage::Engine& engine_;
  storage::CompletionQueue& queue_;
  std::atomic<uint64_t> base_confirmed_, base_written_, base_votes_;
  wire::Progress next_, told_;
  uint64_t records_ = 0;
};

// Reads it; nothing of it if there is none. kCorruption if it is damaged. Blocks; for start-up.
base::Result<wire::Progress> LoadProgress(storage::Engine& engine);

}  // namespace lariat::node

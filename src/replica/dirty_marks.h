// SPDX-License-Identifier: Apache-2.0
// Durable marks on parts of the token space (docs/formats/hint.md): hints for a member were dropped
// there, so it may lack what its fellow replicas have, and nothing but a comparison will find it.
//
// Whoever compares: List, compare the marked parts with all their replicas, and Clear what was
// listed. A mark that was set again in between stays.
//
//   marks.Mark(mark, now, done)    durable when `done` gets ok
//   seen = marks.List()  ...  marks.Clear(seen)
//
// Threads: one shard's thread.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"
#include "replica/meta_store.h"
#include "ring/diff.h"
#include "storage/record.h"

namespace lariat::replica {

struct DirtyMark {
  uint64_t target = 0;  // number of the member that missed something; it may be none any more
  storage::BucketId bucket = 0;
  uint8_t part = 0;  // the top 8 bits of the tokens
  auto operator<=>(const DirtyMark&) const = default;

  static DirtyMark Of(uint64_t target, storage::BucketId bucket, uint64_t token) {
    return {target, bucket, static_cast<uint8_t>(token >> 56)};
  }
  ring::TokenRange Range() const {
    const uint64_t first = uint64_t{part} << 56;
    return {{first - 1}, {first | (~uint64_t{0} >> 8)}};
  }
};

class DirtyMarks {
 public:
  DirtyMarks(storage::Engine& engine, storage::CompletionQueue& queue);
  // Reads those of earlier runs. Until Loaded they are not listed.
  void Load();
  bool Loaded() const { return loaded_; }
  // Tries again what the engine asked to wait with. Call it about every second.
  void Tick();

  using StatusDone = base::UniqueFunction<void(base::Status)>;
  // ok when they are durable. Cheap for those that are set already.
  void Mark(const std::vector<DirtyMark>& marks, base::WallTime now, StatusDone done);

  struct Seen {
    DirtyMark mark;
    int64_t since_ms = 0;  // wall clock when it was set first
    uint64_t times = 0;    // tells whether it was set again
  };
  std::vector<Seen> List() const;
  size_t size() const { return marks_.size(); }
  // Those that were not set again since they were seen.
  void Clear(const std::vector<Seen>& seen);

 private:
  struct State {
    int64_t since_ms = 0;
    uint64_t times = 0;   // when it was set last, counted in calls
    uint64_t born = 0;    // and first
    bool stored = false;  // durable
  };
  void Store(std::vector<DirtyMark> marks, StatusDone done);
  void Remove(std::vector<DirtyMark> marks);

  MetaStore meta_;
  std::map<DirtyMark, State> marks_;
  std::vector<DirtyMark> to_remove_;  // the engine asked to wait
  uint64_t times_ = 0;
  bool loaded_ = false;
  bool loading_ = false;
};

}  // namespace lariat::replica

// SPDX-License-Identifier: Apache-2.0
// What this node remembers of the other members' progress (wire::Progress), run by run. A member
// that comes back must go on from no less than its earlier runs have told; one that has confirmed
// less comes with an old data directory, from which purged deletes would return, and is not let in.
//
//   node2 confirmed deletes up to 7, and they were purged      remembered: run A 7
//   an old copy of its directory is started                    run B goes on from 6: refused
//   the directory itself is started                            run C goes on from 7: welcome
//
// Comparing what a run says now would not do: run B may confirm by itself, and say 7 too.
//
// Lives on shard 0 and is called on its thread only, except where said.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/result.h"
#include "base/unique_function.h"
#include "membership/topology.h"
#include "storage/engine.h"
#include "wire/progress.h"
#include "wire/repair_messages.h"

namespace lariat::node {

class Pasts {
 public:
  struct Said {
    uint64_t run = 0;  // 0: some earlier runs together
    wire::Progress progress;
  };
  using ByMember = std::map<uint64_t, std::vector<Said>>;  // by member number; newest run last

  // `stored`: from LoadPasts.
  Pasts(storage::Engine& engine, storage::CompletionQueue& queue, ByMember stored);

  // Thread-safe. The greatest that other runs of the member have told.
  wire::Progress Known(uint64_t member, uint64_t run) const;
  // What a run of the member tells. Stored with the next StoreNews.
  void Learn(uint64_t member, const Said& said);
  // That run of the member was let in; it went on from there.
  void OnAccepted(uint64_t member, const Said& base);
  // Thread-safe. Whether it was: what is heard late of earlier runs, it hears when it comes again.
  bool WasAccepted(uint64_t member, uint64_t run) const;
  // Members that confirmed what is about to be purged. Done when that is durable; kConflict: one of
  // them has been let in since with an older directory.
  using StatusDone = base::UniqueFunction<void(base::Status)>;
  void LearnDurably(const std::vector<wire::SweepRequest::Confirmed>& confirmed, StatusDone done);
  // Now and then. Unsynced: others remember it too.
  void StoreNews();
  // Forgets all others: identities that are out never return.
  void Keep(const membership::Topology& topology);

 private:
  // True: that was new.
  bool Add(uint64_t member, const Said& said);
  base::Status Store();

  storage::Engine& engine_;
  storage::CompletionQueue& queue_;
  // Replaced as a whole, atomically; co-owned by readers on other shards.
  std::shared_ptr<const ByMember> told_;
  // Likewise.
  std::shared_ptr<const std::map<uint64_t, Said>> accepted_ =
      std::make_shared<const std::map<uint64_t, Said>>();
  std::set<uint64_t> news_;           // members whose entry is not stored yet
  uint64_t stored_ = 0, synced_ = 0;  // batches
};

// Of the members of the document. kCorruption if one is damaged. Blocks; for start-up.
base::Result<Pasts::ByMember> LoadPasts(storage::Engine& engine,
                                        const membership::Topology* topology);

}  // namespace lariat::node

// SPDX-License-Identifier: Apache-2.0
// The requests on hints: noting that a member lacks what this node holds itself, removing what was
// delivered, finding what is still owed. Records that are kept for others come through the same
// reads, joins and events as this node's own (record/place.h).
//
// Threads: one shard's thread; Replica says what a caller may rely on.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"
#include "replica/hint_store.h"
#include "replica/record/records.h"
#include "replica/requests/requests.h"

namespace lariat::replica {

class HintKeeper {
 public:
  HintKeeper(Records& records, HintStore& store, const ShardEnv& env)
      : records_(records), store_(store), env_(env) {}

  void Owe(const KeyRef& key, base::WallTime now, StatusDone done);
  using RemovedDone = base::UniqueFunction<void(base::Result<size_t>)>;
  void RemoveHints(std::vector<HintMark> hints, RemovedDone done);
  using KeysDone = base::UniqueFunction<void(base::Result<std::vector<std::string>>)>;
  void FindHinted(std::vector<std::string> data_keys, KeysDone done);

 private:
  void NoteReference(Place place, base::WallTime now, StatusDone done, const Looked& found);
  base::Result<size_t> RemoveNow(const std::vector<HintStore::Change>& changes);

  Records& records_;
  HintStore& store_;
  ShardEnv env_;
};

}  // namespace lariat::replica

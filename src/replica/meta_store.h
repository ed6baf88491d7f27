// SPDX-License-Identifier: Apache-2.0
// Small named values of this node that others keep beside the data (Space::kMeta): cursors of
// range transfers. Threads: one shard's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/lifetime.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "storage/engine.h"

namespace lariat::replica {

class MetaStore {
 public:
  MetaStore(storage::Engine& engine, storage::CompletionQueue& queue);

  using Values = std::vector<std::pair<std::string, std::string>>;
  using ListDone = base::UniqueFunction<void(base::Result<Values>)>;
  // Everything whose name begins with `prefix` (not empty), in the order of names. Callbacks come
  // once, unless the store is gone.
  void List(std::string prefix, ListDone done);

  struct Update {
    std::string name;
    std::optional<std::string> value;  // nothing: removed
  };
  using StatusDone = base::UniqueFunction<void(base::Status)>;
  // All or nothing; `done` gets ok when it is durable. kStalled: nothing was done, try again later.
  void Apply(std::vector<Update> updates, StatusDone done);

 private:
  void ListMore(std::string from, std::string end, Values found, ListDone done);

  storage::Engine& engine_;
  storage::CompletionQueue& queue_;
  base::Lifetime lifetime_;
};

}  // namespace lariat::replica

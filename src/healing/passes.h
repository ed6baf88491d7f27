// SPDX-License-Identifier: Apache-2.0
// When this node's complete comparisons with others began, kept over restarts. Losing one only
// costs a comparison, so nothing waits for the disk.
//
//   pass/<bucket>/<partner>, both in hexadecimal  ->  when (wall clock), fence
//
// Lives on shard 0 and is called on its thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "base/unique_function.h"
#include "peers/home.h"
#include "repair/exchange/pairs.h"
#include "replica/meta_store.h"

namespace lariat::healing {

class Passes {
 public:
  using Began = std::map<repair::ExchangePair, int64_t>;  // wall clock, milliseconds
  Passes(storage::Engine& engine, storage::CompletionQueue& queue) : meta_(engine, queue) {}

  // Reads those of `held` pairs that were made by this fence, and removes all others: other ranges
  // may be held since. Nothing is called if Load or Forget comes before it has them.
  using Held = std::function<bool(const repair::ExchangePair&)>;
  using Done = base::UniqueFunction<void(Began)>;
  void Load(uint64_t fence, Held held, Done done);
  // Nothing that is being read or was not stored counts any more.
  void Forget();
  void Note(const repair::ExchangePair& pair, int64_t began_ms) { unstored_[pair] = began_ms; }
  // Together: a thousand buckets are compared within a moment when nothing differs.
  void Store(uint64_t fence);

 private:
  replica::MetaStore meta_;
  Began unstored_;
  uint64_t loads_ = 0;
};

}  // namespace lariat::healing

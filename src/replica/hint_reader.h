// SPDX-License-Identifier: Apache-2.0
// Reads the hints for one member page by page, in the order of its data, for whoever delivers them.
// Reads the engine alone: any shard's reader gives the hints of every shard of the node.
//
// Threads: one shard's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/lifetime.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "storage/engine.h"
#include "telemetry/metrics.h"

namespace lariat::replica {

struct HintPage {
  struct Entry {
    std::string data_key;
    uint64_t version = 0;  // 0: damaged; there is nothing in it
    int64_t stored_ms = 0;
    bool reference = false;
    std::string object;  // causal::Object bytes that were written here for the member; may be empty
  };
  std::vector<Entry> entries;  // in key order
  std::string last_key;        // go on after this data key
  bool done = false;           // nothing is left after last_key
};

struct HintPageLimits {
  size_t entries_max = 512;
  size_t bytes_max = 256 << 10;  // of keys and stored hints; one always fits
};

class HintReader {
 public:
  HintReader(storage::Engine& engine, storage::CompletionQueue& queue, telemetry::Metrics& metrics);

  // The next page after the data key `after` ("": from the start). `done` comes once, from the
  // loop, unless the reader is gone.
  using Done = base::UniqueFunction<void(base::Result<HintPage>)>;
  void Next(uint64_t target, std::string after, HintPageLimits limits, Done done);

 private:
  base::Result<HintPage> PageOf(base::Result<std::vector<storage::Entry>> entries,
                                std::string after);

  storage::Engine& engine_;
  storage::CompletionQueue& queue_;
  telemetry::Metrics& metrics_;
  base::Lifetime lifetime_;
};

}  // namespace lariat::replica

// SPDX-License-Identifier: Apache-2.0
// What this node must not forget of the topology: the newest document that it took over, what it
// voted for on the one after that, and by which document it learnt that it is out.
//
// All of it is kept twice: in Space::kMeta, and in a file of its own (Engine::WriteApart). Nobody
// is told of anything before both copies are durable, so each of them is complete: what a cut of
// the log takes from the first, the second still has. Votes are lost only if the log was cut and
// the file cannot be read, or is older than the log; then this node must not vote (lost_votes.h),
// which is remembered in both copies too. docs/formats/topology.md
//
// Lives on shard 0 and is called on its thread only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_function.h"
#include "consensus/acceptor.h"
#include "membership/topology.h"
#include "storage/engine.h"
#include "telemetry/log.h"

namespace lariat::topology {

class TopologyRecord {
 public:
  struct Votes {
    uint64_t epoch = 0;  // of the document voted for
    consensus::AcceptorState state;
    bool lost = false;  // some may be missing
  };
  struct Stored {
    std::optional<membership::Topology> topology;
    Votes votes;
    std::optional<membership::Topology> expelled_by;
    uint64_t stores = 0;       // how often any of that was stored
    std::string copy_trouble;  // why the file could not be read; empty if it could
  };
  // `stored`: from LoadCluster. The queue and the engine outlive it.
  TopologyRecord(storage::Engine& engine, storage::CompletionQueue& queue, Stored stored);
  // Makes the second copy of what was loaded.
  void Start(telemetry::LogSink& log);

  // Done when it is durable. kStalled, kDiskFull: it is not, ask again. kIo: the engine is dead.
  using Done = base::UniqueFunction<void(base::Status)>;
  void PutDocument(const membership::Topology& document, Done done);
  void PutVotes(uint64_t epoch, consensus::AcceptorState state, Done done);
  // Some may be missing from now on. `above`: so often others remember that this node stored them.
  void PutVotesLost(uint64_t above, Done done);
  // None is missing any more, or none that matters.
  void PutVotesFound(Done done);
  void PutExpulsion(const membership::Topology& by, Done done);
  // How often it was stored, as far as that is durable.
  uint64_t stores() const { return *durable_stores_; }

 private:
  void StoreVotes(Done done);
  void Store(storage::WriteBatch batch, Done done);

  storage::Engine& engine_;
  storage::CompletionQueue& queue_;
  Stored now_;
  std::shared_ptr<uint64_t> durable_stores_;  // co-owned by stores under way
};

std::string EncodeTopologyRecord(const TopologyRecord::Stored& record);
std::optional<TopologyRecord::Stored> DecodeTopologyRecord(std::string_view bytes);

// From whichever copy is whole. Writes what the log has lost, unsynced but before anything else; so
// it has to come before kLogCutKey is removed. kCorruption: neither is. Blocks; for start-up.
base::Result<TopologyRecord::Stored> LoadCluster(storage::Engine& engine);

}  // namespace lariat::topology

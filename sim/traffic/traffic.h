// SPDX-License-Identifier: Apache-2.0
// Clients at work: each does one request after the other, of a kind, on a key and through a node
// chosen at random, keeps the context of what it last saw of each key, and writes down what it did
// and was told.
#pragma once

#include <memory>
#include <vector>

#include "sim/check/dot_registry.h"
#include "sim/model/history.h"
#include "sim/world/cluster.h"

namespace lariat::sim {

class Traffic {
 public:
  Traffic(Cluster& cluster, DotRegistry& dots, History& history, Report& report, uint64_t seed);
  ~Traffic();
  void Start();
  // No new requests. Those under way go on.
  void Stop() { stopped_ = true; }
  // The machine's process has ended: whoever waits for it finds out.
  void OnDown(size_t machine);
  // No request is without an answer, and none will be repeated.
  bool Idle() const { return waiting_.empty() && orders_open_ == 0; }
  const std::vector<std::string>& keys() const { return keys_; }

  // Reads the key through a machine with all replicas answering, and records it. `done` gets
  // whether it was answered.
  void ReadAll(size_t machine, const std::string& key, base::UniqueFunction<void(bool)> done);

 private:
  class Client;
  // One attempt at one request, until it is answered or given up.
  struct Attempt {
    size_t machine = 0;
    uint32_t shard = 0;
    base::UniqueFunction<void(const base::Error*)> give_up;  // without an answer
  };

  uint64_t Begin(Attempt attempt);
  // False if it was given up before.
  bool End(uint64_t id);
  struct ReadTerms {
    base::Instant started{};
    int64_t needed = 0;  // replicas
    bool at_the_end = false;
    bool strict = false;  // stand-ins do not count
  };
  // Somebody was answered by this machine: it must not have left the cluster before it was asked.
  void CheckServer(size_t machine, base::Instant started, const std::string& key);
  void RecordRead(const std::string& key, const ReadTerms& terms,
                  const coordinator::GetReply& reply, std::vector<int>* shown);

  Cluster& cluster_;
  DotRegistry& dots_;
  History& history_;
  Report& report_;
  base::Prng prng_;
  std::vector<std::string> keys_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::map<uint64_t, Attempt> waiting_;
  uint64_t next_attempt_ = 1;
  size_t orders_open_ = 0;
  bool stopped_ = false;
};

}  // namespace lariat::sim

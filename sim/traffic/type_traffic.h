// SPDX-License-Identifier: Apache-2.0
// Clients of values that merge: increments of counters, additions and removals in sets, in buckets
// beside the one that the other clients use. What a read shows has to lie within what was certainly
// done before it began, and what may have been done before it ended.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/report/report.h"
#include "sim/world/cluster.h"

namespace lariat::sim {

class TypeTraffic {
 public:
  TypeTraffic(Cluster& cluster, Report& report, uint64_t seed);
  ~TypeTraffic();
  void Start();
  void Stop() { stopped_ = true; }
  // The machine's process has ended: whoever waits for it finds out.
  void OnDown(size_t machine);
  bool Idle() const { return waiting_.empty(); }
  // When all faults have ended: all replicas of each key, asked through each member, say the same.
  void CheckEnd();

 private:
  class Client;
  enum class Fate : uint8_t { kUnderWay, kDone, kNotDone, kUnknown };
  // One operation, as the checker knows it.
  struct Event {
    base::Instant sent{};
    base::Instant ended{};
    Fate fate = Fate::kUnderWay;
    int64_t amount = 0;    // counters
    bool removes = false;  // sets
    std::string element;
    // A removal: when what it had seen was read.
    base::Instant saw_from{};
    base::Instant saw_to{};
    bool MayBeDoneBy(base::Instant when) const { return fate != Fate::kNotDone && sent <= when; }
    bool IsDoneBy(base::Instant when) const { return fate == Fate::kDone && ended <= when; }
  };
  struct Attempt {
    size_t machine = 0;
    base::UniqueFunction<void()> give_up;
  };

  // Through a machine chosen by the client; `lost`: nothing was heard of it.
  void Ask(size_t machine, base::UniqueFunction<void(uint64_t)> ask,
           base::UniqueFunction<void()> lost);
  bool End(uint64_t attempt) { return waiting_.erase(attempt) > 0; }
  void MakeBuckets(size_t machine);
  void CheckRead(const std::string& key, base::Instant started, const std::string& shown);
  void CheckCounter(const std::string& key, base::Instant started, const std::string& shown);
  void CheckSet(const std::string& key, base::Instant started, const std::string& shown);
  std::optional<std::string> ReadAll(size_t machine, const std::string& key);
  std::vector<std::string> Keys() const;

  Cluster& cluster_;
  Report& report_;
  std::map<std::string, std::vector<Event>> events_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::map<uint64_t, Attempt> waiting_;
  uint64_t next_attempt_ = 1;
  bool stopped_ = false;
};

}  // namespace lariat::sim

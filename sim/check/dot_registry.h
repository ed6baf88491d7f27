// SPDX-License-Identifier: Apache-2.0
// Every value that any disk ever held, by its dot: a dot that means two values is the end of all
// guarantees, so it is a failure at once. Also which dots each client write has got: one.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "causal/object.h"
#include "sim/model/history.h"
#include "sim/report/report.h"
#include "sim/world/scheduler.h"

namespace lariat::sim {

class DotRegistry {
 public:
  DotRegistry(const Scheduler& scheduler, Report& report)
      : scheduler_(scheduler), report_(report) {}

  // A record that some disk has taken.
  void OnRecord(const std::string& data_key, const std::string& record);
  // Dots under which the value was stored anywhere; empty if it never was.
  const std::set<causal::Dot>& DotsOf(const std::string& value) const;
  // When the value expires, at the earliest and at the latest (a repeated request may have stored
  // it twice), wall clock; nothing: never, or it never was stored.
  struct Expiry {
    int64_t first_ms = 0, last_ms = 0;
  };
  std::optional<Expiry> ExpiryOf(const std::string& value) const;

 private:
  struct Meaning {
    std::string key;
    uint64_t hash = 0;
    std::string value;
  };
  void Add(const std::string& key, const causal::Dot& dot, const causal::Value& value);

  const Scheduler& scheduler_;
  Report& report_;
  std::unordered_set<uint64_t> known_;  // hashes of objects already looked at
  std::map<std::pair<std::string, causal::Dot>, Meaning> meanings_;
  std::map<std::string, std::set<causal::Dot>> dots_;  // by value
  std::map<std::string, Expiry> expiries_;             // by value
};

}  // namespace lariat::sim

// SPDX-License-Identifier: Apache-2.0
// Why a tombstone, or an expired value, is still there: words for people. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "wire/repair_messages.h"

namespace lariat::healing {

// A key whose tombstone, or expired value, is asked about.
struct KeptQuestion {
  std::string data_key;
  uint64_t gc_grace_s = 0;
  struct Replica {
    uint64_t number = 0;
    std::string name;
    bool answered = false;
    std::string object;  // empty: it has none
  };
  std::vector<Replica> replicas;  // in preference order
};

struct KeptState {
  std::string text;    // empty: the key has nothing that could go
  bool final = false;  // otherwise it depends on what the members say
};
// From what the replicas hold. REQUIRES: replicas.
KeptState StateOfKept(const KeptQuestion& question, base::WallTime now);

// What a member's word about hints has to do with it; empty: nothing.
std::string TroubleOfKept(const std::string& member, const base::Result<wire::HintsReply>& reply);

// Nothing keeps it but that the sweep of its first replica is still to come.
std::string NothingKeeps(const std::string& first_replica, std::optional<base::Duration> next,
                         bool running);

}  // namespace lariat::healing

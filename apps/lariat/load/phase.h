// SPDX-License-Identifier: Apache-2.0
// One phase of a run: threads with an engine each, and what they found.
#pragma once

#include "apps/lariat/load/report.h"
#include "apps/lariat/net/address.h"
#include "base/result.h"

namespace lariat::cli::load {

// What the connections of one phase do: each key once in turn, or draws until the deadline.
struct Phase {
  const char* verb;
  double read_share;
  bool each_key_once;
  bool verify = false;  // gets are compared with the plan's ledger
};

// An address to connect to. Asks the resolver, so it may block.
base::Result<Endpoint> Resolve(const net::Address& address);

// Blocks until the phase is over. What was found is added to `totals`.
void RunPhase(Plan& plan, const Phase& phase, Totals* totals);

}  // namespace lariat::cli::load

// SPDX-License-Identifier: Apache-2.0
// What a benchmark knows and found, and how it is shown.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "apps/lariat/load/bench_options.h"
#include "apps/lariat/load/cpu.h"
#include "apps/lariat/load/engine.h"

namespace lariat::cli::load {

struct Plan {
  BenchOptions options;
  std::vector<Endpoint> nodes;
  MakeDriver driver;
  bool siblings = false;  // writes must carry contexts
  std::string conflict;
  std::vector<std::string> contexts;  // one per key, when they must
  Ledger* ledger = nullptr;           // of the caller; null: nothing is to be verified
};

struct Totals {
  telemetry::Histogram get, put, all;
  std::map<int, uint64_t> failures;
  uint64_t failed = 0;
  std::string failure;                           // what one of them said
  uint64_t lost = 0, wrong = 0;                  // found when verifying
  std::string example;                           // key of one of them
  double seconds = 0;                            // measured
  std::vector<std::pair<int, CpuTime>> servers;  // by pid, used in the measured time
  CpuTime self;
};

void ShowJson(const Plan& plan, const Totals& totals);
void ShowText(const Plan& plan, const Totals& totals);

}  // namespace lariat::cli::load

// SPDX-License-Identifier: Apache-2.0
// What `lariat bench` was asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/lariat/load/keys.h"

namespace lariat::cli::load {

struct BenchOptions {
  std::string workload = "mixed";  // put | get | mixed
  std::string bucket = "bench";
  Distribution distribution = Distribution::kUniform;
  size_t connections = 50;
  size_t threads = 1;
  size_t pipeline = 1;
  uint64_t keys = 10000;
  size_t value_bytes = 500;
  double duration_s = 10;
  double warmup_s = 1;
  double rate = 0;
  double read_share = 0.5;  // of the mixed workload
  std::optional<uint32_t> r, w;
  std::vector<int> pids;
  bool no_load = false;
};

}  // namespace lariat::cli::load

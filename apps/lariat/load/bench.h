// SPDX-License-Identifier: Apache-2.0
// `lariat bench`: loads the keys, runs the workload, reports throughput, latency, errors and CPU.
#pragma once

#include "apps/lariat/load/bench_options.h"
#include "apps/lariat/session.h"

namespace lariat::cli::load {

Exit Bench(const Common& common, const BenchOptions& options);

}  // namespace lariat::cli::load

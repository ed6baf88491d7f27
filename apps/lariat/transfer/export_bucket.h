// SPDX-License-Identifier: Apache-2.0
// `lariat export` of a whole bucket: its pages, written as the lines that import takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "apps/lariat/session.h"

namespace lariat::cli::transfer {

struct BucketExport {
  std::string bucket;
  std::string out;     // "": standard output
  std::string resume;  // state file, "": none; needs `out`
  std::optional<uint32_t> r;
  std::string consistency;
};

// With a state file each page is in the output before the state says so, and what the output has
// beyond the state is cut off when a run goes on: no line is lost or there twice.
Exit ExportBucket(const Common& common, const BucketExport& options);

}  // namespace lariat::cli::transfer

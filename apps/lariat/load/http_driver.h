// SPDX-License-Identifier: Apache-2.0
// Both dialects of a node's HTTP interface.
#pragma once

#include "apps/lariat/load/driver.h"

namespace lariat::cli::load {

struct HttpOptions {
  std::string bucket;                // percent-encoded
  uint64_t buckets = 1;              // more than one: key k is in bucket-N, N = k % buckets
  bool json = false;                 // the JSON dialect; a get shows its envelope as the value
  std::string get_query, put_query;  // with their '?', or empty
  std::string authorization = {};    // that each request brings; empty: none
};

MakeDriver HttpDrivers(HttpOptions options);

}  // namespace lariat::cli::load

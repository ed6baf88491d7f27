// SPDX-License-Identifier: Apache-2.0
// How much a bucket holds, without reading all of it. Tokens are hashes, so keys lie evenly: so
// many keys in a part of the ring make so many in all of it.
//
//   8 pages of 1,000 keys, each from one of 8 places on: 8,000 keys on 0.8 % of the ring
//     -> about 1,000,000 keys, give or take 1 %
//
// A bucket that fits into the first page is counted. The shard's thread.
#pragma once

#include "coordinator/kv_service.h"
#include "coordinator/pages/pages.h"

namespace lariat::coordinator {

// As KvService::Estimate. `pages` outlives all that it answers.
void EstimateBucket(Pages& pages, EstimateRequest request, EstimateDone done);

}  // namespace lariat::coordinator

// SPDX-License-Identifier: Apache-2.0
// One function for each route (routes.cc): the two dialects, buckets and operations.
#pragma once

#include "frontend/http/internal/exchange.h"
#include "frontend/http/internal/request.h"

namespace lariat::frontend::http {

// kv_raw.cc
void GetRaw(Request& request, Exchange exchange);
void PutRaw(Request& request, Exchange exchange);
void DeleteRaw(Request& request, Exchange exchange);

// kv_json.cc
void GetJson(Request& request, Exchange exchange);
void PutJson(Request& request, Exchange exchange);
void DeleteJson(Request& request, Exchange exchange);

// buckets.cc
void ListBuckets(Request& request, Exchange exchange);
void GetBucket(Request& request, Exchange exchange);
void PutBucket(Request& request, Exchange exchange);

// admin.cc
void GetLive(Request& request, Exchange exchange);
void GetReady(Request& request, Exchange exchange);
void GetHealth(Request& request, Exchange exchange);
void GetMetrics(Request& request, Exchange exchange);
void GetOpenApi(Request& request, Exchange exchange);
void GetClusterRing(Request& request, Exchange exchange);
void GetExplain(Request& request, Exchange exchange);

// changes.cc: what runs, what waits, and what can be asked for
void GetClusterStatus(Request& request, Exchange exchange);
void GetPlan(Request& request, Exchange exchange);
void ListTasks(Request& request, Exchange exchange);
void GetTask(Request& request, Exchange exchange);
void PostDecommission(Request& request, Exchange exchange);
void PostRemove(Request& request, Exchange exchange);
void PostReweight(Request& request, Exchange exchange);
void PostCommit(Request& request, Exchange exchange);
void PostCancel(Request& request, Exchange exchange);
void PostDrain(Request& request, Exchange exchange);

// repair.cc
void GetRepair(Request& request, Exchange exchange);
void PostRepair(Request& request, Exchange exchange);

// routes.cc: paths of the interface that this version does not have.
void RefuseUnsupported(Request& request, Exchange exchange);

}  // namespace lariat::frontend::http

// SPDX-License-Identifier: Apache-2.0
// One function for each route (routes.def): the two dialects, buckets and operations.
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

// batch/batch.cc
void PostBatch(Request& request, Exchange exchange);
// kv_list.cc
void ListKeys(Request& request, Exchange exchange);
void GetBucketStats(Request& request, Exchange exchange);
void ListPrefix(Request& request, Exchange exchange);
void ListRange(Request& request, Exchange exchange);
// types/update.cc
void UpdateJson(Request& request, Exchange exchange);

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
void Explain(Request& request, Exchange exchange);
void GetHot(Request& request, Exchange exchange);

// console/console.cc
void GetConsole(Request& request, Exchange exchange);

// changes.cc: what runs, what waits, and what can be asked for; repair
void GetClusterStatus(Request& request, Exchange exchange);
void GetPlan(Request& request, Exchange exchange);
void ListTasks(Request& request, Exchange exchange);
void GetTask(Request& request, Exchange exchange);
void Decommission(Request& request, Exchange exchange);
void Remove(Request& request, Exchange exchange);
void Reweight(Request& request, Exchange exchange);
void CommitChanges(Request& request, Exchange exchange);
void CancelChange(Request& request, Exchange exchange);
void DeleteBucket(Request& request, Exchange exchange);
void FinalizeUpgrade(Request& request, Exchange exchange);
void Drain(Request& request, Exchange exchange);
void GetRepair(Request& request, Exchange exchange);
void PostRepair(Request& request, Exchange exchange);

// users.cc: logging in; users, roles and grants
void PostLogin(Request& request, Exchange exchange);
void ListUsers(Request& request, Exchange exchange);
void GetUser(Request& request, Exchange exchange);
void PutUser(Request& request, Exchange exchange);
void DeleteUser(Request& request, Exchange exchange);
void ListRoles(Request& request, Exchange exchange);
void GetRole(Request& request, Exchange exchange);
void PutRole(Request& request, Exchange exchange);
void DeleteRole(Request& request, Exchange exchange);
void PostGrant(Request& request, Exchange exchange);
void DeleteGrant(Request& request, Exchange exchange);

// routes.cc: paths of the interface that this version does not have.
void RefuseUnsupported(Request& request, Exchange exchange);

}  // namespace lariat::frontend::http

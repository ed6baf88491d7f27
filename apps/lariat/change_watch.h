// SPDX-License-Identifier: Apache-2.0
// Following a change of the cluster until it has ended.
#pragma once

#include "apps/lariat/session.h"

namespace lariat::cli {

// A client that asks every node of the cluster, the one called `last` only when no other answers:
// it may be on its way out. `client` is used to learn the addresses.
net::Client ClientForAll(net::Client& client, const Common& common, const std::string& last);

// Shows progress until the task has ended: done is 0, cancelled or failed is 1. Ctrl-C leaves the
// change running and says so. With --json the task is printed when it has ended.
Exit AwaitTask(net::Client& client, uint64_t task, const Common& common);

}  // namespace lariat::cli

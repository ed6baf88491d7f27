// SPDX-License-Identifier: Apache-2.0
// etcd's own interface, gRPC over HTTP/2 without TLS: Put, and a Range of one key, linearizable.
#pragma once

#include "apps/lariat/load/driver.h"

namespace lariat::bench {

// One request under way on each connection: replies of several may come in another order.
cli::load::MakeDriver EtcdDrivers();

}  // namespace lariat::bench

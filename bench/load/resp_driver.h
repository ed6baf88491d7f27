// SPDX-License-Identifier: Apache-2.0
// The Redis protocol: GET and SET, and a SET that waits for replicas.
#pragma once

#include "apps/lariat/load/driver.h"

namespace lariat::bench {

// With `replicas` > 0 a put is SET and WAIT in one go, and is done when so many replicas have it.
cli::load::MakeDriver RespDrivers(uint32_t replicas);

}  // namespace lariat::bench

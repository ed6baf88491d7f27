// SPDX-License-Identifier: Apache-2.0
// Who rides along with every change of a record, in the order in which they are told.
#pragma once

#include "replica/record/change.h"
#include "replica/tree/upkeep.h"

namespace lariat::replica {

using Riders = RiderList<TreeUpkeep>;

}  // namespace lariat::replica

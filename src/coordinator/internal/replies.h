// SPDX-License-Identifier: Apache-2.0
// What clients are told: replies made of what replicas hold, events by the names of their nodes.
// Pure.
#pragma once

#include <string>

#include "coordinator/kv_service.h"
#include "coordinator/ports.h"
#include "coordinator/read_op.h"

namespace lariat::coordinator {

// `now`: what has expired by then is not shown.
GetReply ShowObject(const ReadResult& result, const GetRequest& request,
                    const membership::View& view, base::WallTime now);
// A delete of what is not there is done without an event.
WriteReply NothingToDelete(const ReadResult& found, const UpdateRequest& update,
                           const membership::View& view);
// The reply that an earlier write with the same Idempotency-Key was recorded with. kCorruption: it
// is malformed.
base::Result<WriteReply> ReplayedReply(const std::string& answer, const membership::View& view);

}  // namespace lariat::coordinator

// SPDX-License-Identifier: Apache-2.0
// What clients are told: replies made of what replicas hold, events by the names of their nodes.
// Pure.
#pragma once

#include <string>

#include "coordinator/kv_service.h"
#include "coordinator/ports.h"
#include "coordinator/read_op.h"
#include "serial/ops.h"

namespace lariat::coordinator {

// `now`: what has expired by then is not shown.
GetReply ShowObject(const ReadResult& result, const GetRequest& request,
                    const membership::View& view, base::WallTime now);
// A delete of what is not there is done without an event.
WriteReply NothingToDelete(const ReadResult& found, const UpdateRequest& update,
                           const membership::View& view);
// Of a state in a serial bucket: its version is one number, under no node's name.
Version SerialVersion(uint64_t version);
std::string SerialContext(uint64_t version, const std::string& bucket, const std::string& key);
// Of a write in a serial bucket. kPreconditionFailed, with what won: its condition did not hold.
base::Result<WriteReply> SerialReply(base::Result<serial::Outcome> result,
                                     const WriteRequest& request);
// The reply that an earlier write with the same Idempotency-Key was recorded with. kCorruption: it
// is malformed.
base::Result<WriteReply> ReplayedReply(const std::string& answer, const membership::View& view);

}  // namespace lariat::coordinator

// SPDX-License-Identifier: Apache-2.0
// A write that one node hands to another that coordinates it, as messages: both ends' translations
// to and from what clients ask and are told. Pure.
#pragma once

#include "base/result.h"
#include "coordinator/internal/write_plan.h"
#include "coordinator/kv_service.h"
#include "wire/messages.h"

namespace lariat::coordinator {

// What is still to be done of the job, within `timeout_ms`.
wire::ForwardedWrite MakeForward(const WriteJob& job, int64_t timeout_ms);
// The client's reply, made of the other node's. A time-out becomes kUnknown.
base::Result<WriteReply> ReplyOf(wire::ForwardedWriteReply reply);

// At the other node.
WriteRequest RequestOf(wire::ForwardedWrite from);
wire::ForwardedWriteReply MessageOf(base::Result<WriteReply> reply);

}  // namespace lariat::coordinator

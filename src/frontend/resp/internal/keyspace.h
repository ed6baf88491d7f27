// SPDX-License-Identifier: Apache-2.0
// What commands do with keys, in terms of KvService: read one, change one by what it holds, work on
// several at once. The shard's thread; each call is answered or handed on exactly once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_function.h"
#include "coordinator/kv_service.h"
#include "frontend/resp/internal/call.h"

namespace lariat::frontend::resp {

using causal::ClientWrite;

// A key as Redis' commands see it.
struct Found {
  bool exists = false;
  std::string value;
  int64_t expires_ms = 0;  // 0 = never
  std::string context;
};
// Of several siblings the newest: whoever speaks this protocol is not asked to choose.
Found Shown(coordinator::GetReply reply);

// A write that keeps what the key has beside its value.
ClientWrite Replace(const Found& found, std::string value);

// use(call, found), or the call is refused.
void ReadKey(Call call, std::string_view key, base::UniqueFunction<void(Call&, Found)> use);

// For WAIT: how many replicas have what was written.
void NoteAcks(const Call& call, const base::Result<coordinator::WriteReply>& reply);

// Writes, and notes how many replicas have it.
using Written = base::UniqueFunction<void(Call&, base::Result<coordinator::WriteReply>)>;
void WriteKey(Call call, coordinator::WriteRequest request, Written done);

// Reads the key and makes the change that `decide` chooses by it, if it is still as it was read;
// otherwise begins again, resp.update_tries times. `decide` writes the reply, which leaves when the
// change is made; without a change it leaves at once. Updates of one key follow one another on a
// shard; those of several meet at the replica, where a conditional write decides.
using Decide = base::UniqueFunction<std::optional<ClientWrite>(Found&, ReplyWriter&)>;
void UpdateKey(Call call, std::string_view key, Decide decide);

// Starts `count` pieces of work, some at a time, and ends when all are done or, after an error,
// when those begun are.
using Piece = base::UniqueFunction<void(size_t, coordinator::StatusDone)>;
void DoEach(size_t count, Piece start, coordinator::StatusDone end);

}  // namespace lariat::frontend::resp

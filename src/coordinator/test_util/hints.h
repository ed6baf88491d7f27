// SPDX-License-Identifier: Apache-2.0
// What a node of the tests keeps for others: the least that a coordinator needs.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "coordinator/ports.h"

namespace lariat::coordinator {

struct TestHints {
  std::map<std::pair<uint64_t, std::string>, causal::Object> kept;  // for member, of key
  bool full = false;                                                // refuses further ones

  wire::ReadReply Read(const wire::ReadRequest& request) const {
    wire::ReadReply reply;
    const auto found = kept.find({request.hint_for, request.key});
    if (found == kept.end()) return reply;
    reply.found = true;
    std::string object = found->second.Encode();
    reply.digest = causal::Object::Digest(object);
    if (!request.digest_only) reply.object = std::move(object);
    return reply;
  }

  wire::WriteReply Write(const wire::WriteRequest& request) {
    wire::WriteReply reply;
    if (full) {
      reply.outcome = {base::Code::kUnavailable, "no room for hints"};
      return reply;
    }
    const causal::Object object = causal::Object::Decode(request.object).value();
    const auto at = kept.try_emplace({request.hint_for, request.key}, object).first;
    if (!at->second.Join(object)) reply.outcome = {base::Code::kConflict, "of another kind"};
    return reply;
  }

  // In siblings buckets. REQUIRES: a new actor each time.
  base::Result<UpdateResult> Update(UpdateRequest request, const causal::Actor& actor) {
    if (full) return base::Fail(base::Code::kUnavailable, "no room for hints");
    const auto at =
        kept.try_emplace({request.hint_for, request.key}, causal::Object(causal::Kind::kSiblings))
            .first;
    causal::Object& object = at->second;
    causal::Context context = request.change.context;
    context.seen.Add(object.dvv()->Update(context.seen, std::move(request.change.value), actor));
    return UpdateResult{object.Encode(), context, object.Version(), "", false, nullptr};
  }
};

}  // namespace lariat::coordinator

// SPDX-License-Identifier: Apache-2.0
#include "replica/requests/condition.h"

#include <tuple>

namespace lariat::replica {
namespace {

// Whether a client with this context has seen every value that is stored.
bool CoveredBy(const causal::Object& object, const causal::Context& context) {
  if (const causal::LwwRegister* lww = object.lww()) {
    return std::tie(lww->stamp, lww->node) <= std::tie(context.lww_stamp, context.lww_node);
  }
  for (const causal::DottedValue& value : object.dvv()->values()) {
    if (!context.seen.Contains(value.dot)) return false;
  }
  return true;
}

}  // namespace

base::Status CheckCondition(const UpdateRequest& request, const causal::Object& object) {
  if (request.condition == Condition::kNone) return {};
  const bool live = !object.LiveValues(request.now).empty();
  const auto lost = [](const char* why) {
    return base::Fail(base::Code::kPreconditionFailed, why);
  };
  switch (request.condition) {
    case Condition::kNone:
      break;
    case Condition::kNoLiveValue:
      if (live) return lost("the key has a value");
      break;
    case Condition::kAnyLiveValue:
      if (!live) return lost("the key has no value");
      break;
    case Condition::kContextCoversAll:
      if (!live) return lost("the key has no value");
      if (!CoveredBy(object, request.context)) {
        return lost("the key has changed since the context was given out");
      }
      break;
  }
  return {};
}

}  // namespace lariat::replica

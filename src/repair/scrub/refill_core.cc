// SPDX-License-Identifier: Apache-2.0
#include "repair/scrub/refill_core.h"

#include <utility>

#include "causal/object.h"

namespace lariat::repair {

namespace {

RefillVerdict Later(const std::string& node, const base::Error& error) {
  return {RefillVerdict::Kind::kLater, "", node + ": " + error.message};
}

}  // namespace

RefillVerdict JudgeRefill(const std::vector<RefillAnswer>& others) {
  if (others.empty()) return {RefillVerdict::Kind::kKeep, "", "it has no other replica"};
  std::optional<causal::Object> joined;
  for (const RefillAnswer& answer : others) {
    if (!answer.object) return Later(answer.node, answer.object.error());
    if (!*answer.object) continue;
    auto object = causal::Object::Decode(**answer.object);
    if (!object) return Later(answer.node, object.error());
    if (!joined) {
      joined = std::move(*object);
    } else if (auto joins = joined->Join(*object); !joins) {
      return Later(answer.node, joins.error());
    }
  }
  if (!joined) return {RefillVerdict::Kind::kKeep, "", "no other replica has it"};
  return {RefillVerdict::Kind::kRefill, joined->Encode(), ""};
}

}  // namespace lariat::repair

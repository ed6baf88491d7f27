// SPDX-License-Identifier: Apache-2.0
#include "causal/actor.h"

namespace lariat::causal {

void EncodeActor(const Actor& actor, base::ByteWriter* out) {
  out->U64(actor.node);
  out->U64(actor.incarnation);
  out->Varint(actor.mint);
}

Actor DecodeActor(base::ByteReader* in) {
  Actor actor;
  actor.node = in->U64();
  actor.incarnation = in->U64();
  actor.mint = in->Varint();
  return actor;
}

}  // namespace lariat::causal

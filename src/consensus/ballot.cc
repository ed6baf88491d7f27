// SPDX-License-Identifier: Apache-2.0
#include "consensus/ballot.h"

#include <algorithm>

namespace lariat::consensus {

void Ballot::Encode(base::ByteWriter* out) const {
  out->BigEndian64(counter);
  out->BigEndian64(node);
  out->BigEndian64(incarnation);
}

Ballot Ballot::Decode(base::ByteReader* in) {
  Ballot ballot;
  ballot.counter = in->BigEndian64();
  ballot.node = in->BigEndian64();
  ballot.incarnation = in->BigEndian64();
  if (in->ok() && (ballot.IsZero() || ballot.IsValid())) return ballot;
  in->MarkBad();
  return {};
}

void BallotSource::Observe(const Ballot& seen) {
  if (seen.IsValid()) counter_ = std::max(counter_, seen.counter);
}

std::optional<Ballot> BallotSource::Next() {
  if (counter_ >= Ballot::kCounterMax) return std::nullopt;
  return Ballot{++counter_, node_, incarnation_};
}

}  // namespace lariat::consensus

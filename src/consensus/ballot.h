// SPDX-License-Identifier: Apache-2.0
// Ballots number the attempts to decide a register. What everything else here rests on: one ballot
// never stands for two proposals. A counter alone clashes between nodes; counter and node clash
// when a node restarts and counts from the beginning; so the incarnation is part of it. Within one
// incarnation all ballots come from one BallotSource, also for operations that run side by side.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>

#include "base/coding.h"

namespace lariat::consensus {

struct Ballot {
  uint64_t counter = 0;
  uint64_t node = 0;
  uint64_t incarnation = 0;

  static constexpr size_t kBytes = 24;
  // No honest proposer gets near it, since counters grow by one; a ballot above it is refused.
  static constexpr uint64_t kCounterMax = uint64_t{1} << 62;

  auto operator<=>(const Ballot&) const = default;
  bool IsZero() const { return *this == Ballot{}; }
  // May number a proposal.
  bool IsValid() const { return counter > 0 && counter <= kCounterMax; }

  // 24 bytes: counter, node, incarnation, each big-endian, so that the bytes sort as the ballots.
  void Encode(base::ByteWriter* out) const;
  // The zero ballot or a valid one; anything else marks the reader bad and gives zero.
  static Ballot Decode(base::ByteReader* in);
};

// Gives out the ballots of one process incarnation (or of one shard of it: then the shard is part
// of `incarnation`). REQUIRES: no two nodes have the same `node`, and no source ever made had the
// same node and incarnation. One thread.
class BallotSource {
 public:
  BallotSource(uint64_t node, uint64_t incarnation) : node_(node), incarnation_(incarnation) {}
  BallotSource(const BallotSource&) = delete;
  BallotSource& operator=(const BallotSource&) = delete;

  // The next ballot will be above this one. Ignores what is not a valid ballot.
  void Observe(const Ballot& seen);
  // Above every ballot given out or observed; nullopt when the counters are used up.
  std::optional<Ballot> Next();

 private:
  uint64_t node_;
  uint64_t incarnation_;
  uint64_t counter_ = 0;
};

}  // namespace lariat::consensus

// SPDX-License-Identifier: Apache-2.0
// Who made an event. Everything rests on no (actor, counter) ever meaning two values, so an actor
// is not a node: it is one node's writer of one record during one run of one shard.
//
//   node         the node's number (first 64 bits of its UUID), to show people "node1"
//   incarnation  random, drawn by each shard at every process start
//   mint         counts the actors that this incarnation made; a record that was forgotten, or
//                restored, or learned from a peer gets a new one, so that it never continues an
//                old counter
//
// Thread-safe as values. No allocation.
#pragma once

#include <compare>
#include <cstdint>

#include "base/coding.h"

namespace lariat::causal {

struct Actor {
  uint64_t node = 0;
  uint64_t incarnation = 0;
  uint64_t mint = 0;
  auto operator<=>(const Actor&) const = default;
};

// Event number `counter` of an actor; counters start at 1.
struct Dot {
  Actor actor;
  uint64_t counter = 0;
  auto operator<=>(const Dot&) const = default;
};

inline constexpr uint64_t kCounterMax = uint64_t{1} << 48;

void EncodeActor(const Actor& actor, base::ByteWriter* out);
Actor DecodeActor(base::ByteReader* in);

}  // namespace lariat::causal

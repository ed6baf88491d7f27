// SPDX-License-Identifier: Apache-2.0
// As whom this shard makes events: the node and its incarnation, which mints an actor for each
// record. Actors of an earlier incarnation are never continued, so giving an incarnation up is
// what keeps a dot from standing for two values. A shard's thread.
#pragma once

#include <cstdint>
#include <utility>

#include "base/check.h"
#include "base/unique_function.h"
#include "causal/actor.h"
#include "telemetry/metrics.h"

namespace lariat::replica {

class Incarnation {
 public:
  // `draw` gives the next number: random, never used before.
  Incarnation(uint64_t node, uint64_t number, base::UniqueFunction<uint64_t()> draw,
              telemetry::Metrics& metrics)
      : node_(node), number_(number), draw_(std::move(draw)), metrics_(metrics) {
    LARIAT_CHECK(number_ != 0, "an incarnation is drawn before the replica starts");
    metrics_.incarnations.Add();
  }

  uint64_t node() const { return node_; }
  uint64_t number() const { return number_; }
  causal::Actor Mint() {
    metrics_.actors_minted.Add();
    return {node_, number_, ++mints_};
  }
  // After a failed write, whose dots readers may have seen.
  void GiveUp() {
    number_ = draw_();
    metrics_.incarnations.Add();
  }

 private:
  uint64_t node_;
  uint64_t number_;
  base::UniqueFunction<uint64_t()> draw_;
  telemetry::Metrics& metrics_;
  uint64_t mints_ = 0;
};

}  // namespace lariat::replica

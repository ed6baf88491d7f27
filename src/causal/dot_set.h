// SPDX-License-Identifier: Apache-2.0
// A set of dots: for each actor all of 1..base (a version vector) and, rarely, some later ones
// (the cloud). Used as the causal history of a record and as the context of a client.
//
// Why not a version vector alone: the reply to a PUT may cover only what its client has seen. When
// the new value (a,3) has an unseen sibling (a,2), the context {a:3} would let the client's next
// PUT destroy (a,2) unseen (M10), and {a:1} would make the client's own value its sibling for ever
// (M8). {a:1} plus the single dot (a,3) says exactly what was seen.
//
// Kept canonical: sorted by actor, no empty entry, no cloud dot at or directly above its base; so
// equal sets have equal bytes. A value type; not synchronized.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/coding.h"
#include "causal/actor.h"

namespace lariat::causal {

class DotSet {
 public:
  struct Entry {
    Actor actor;
    uint64_t base = 0;            // all of 1..base are in the set
    std::vector<uint64_t> cloud;  // ascending, each > base + 1
    bool operator==(const Entry&) const = default;
    // REQUIRES: counter >= 1.
    bool Contains(uint64_t counter) const;
    uint64_t Max() const { return cloud.empty() ? base : cloud.back(); }
  };

  bool Contains(const Dot& dot) const;
  void Add(const Dot& dot);
  void Join(const DotSet& other);          // union: commutative, associative, idempotent
  bool Covers(const DotSet& other) const;  // other is a subset of this
  // Highest counter of the actor in the set, 0 if none.
  uint64_t Max(const Actor& actor) const;
  bool Empty() const { return entries_.empty(); }
  const std::vector<Entry>& entries() const { return entries_; }
  size_t DotsInClouds() const;
  // Forgets dots until at most `actors_max` actors and about `cloud_max` cloud dots are left (each
  // cloud keeps at least its newest dot, and gives up its oldest ones first). A context may always
  // say less than was seen: that can leave a sibling, it cannot lose a value.
  void Trim(size_t actors_max, size_t cloud_max);
  // Forgets the actors for which `keep` is false.
  template <typename Keep>
  void KeepActors(Keep keep) {
    std::erase_if(entries_, [&keep](const Entry& entry) { return !keep(entry.actor); });
  }
  bool operator==(const DotSet&) const = default;

  void Encode(base::ByteWriter* out) const;
  // Nothing if the bytes are not canonical, hold a counter above kCounterMax, or hold more than
  // `entries_max` actors or cloud dots.
  static std::optional<DotSet> Decode(base::ByteReader* in, size_t entries_max);

 private:
  Entry* Find(const Actor& actor);
  const Entry* Find(const Actor& actor) const;
  std::vector<Entry> entries_;  // sorted by actor
};

}  // namespace lariat::causal

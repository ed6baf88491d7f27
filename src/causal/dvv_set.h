// SPDX-License-Identifier: Apache-2.0
// Dotted version vector set: all concurrent values of one key and the history that made them.
// (Almeida, Baquero, Goncalves, Preguica, Fonte: "Scalable and Accurate Causality Tracking for
// Eventually Consistent Stores", DAIS 2014.)
//
// State: history (a DotSet) and the live values, each with its dot; every live dot is in the
// history. A dot in the history without a value was overwritten.
//
//   Join(A,B)      history = union; a value stays if both have it, or if one has it and the other
//                  has never heard of its dot. Commutative, associative, idempotent.
//   Discard(C,ctx) drops the values whose dots the context holds; history joins the context.
//   Update(C,ctx,v,actor) = Discard, then v under the actor's next dot.
//
// Worked example (a, b are actors):
//   blind write v1               history {a:1}       values (a,1)=v1
//   blind write v2 on it         history {a:2}       values (a,1)=v1 (a,2)=v2      two siblings
//   write v3 with context {a:1}  history {a:3}       values (a,2)=v2 (a,3)=v3
//   two coordinators, both with context {a:1}:       values (a,2)=x (b,1)=y in either order
//   a late or repeated old state joined in changes nothing.
//
// Plain version vectors for the whole sibling set are the simpler design that fails: a writer that
// raced once keeps every old value for ever (riak_kv#746). The state of kind `siblings` (object.h
// says what each member that all kinds have is for). A value type; not synchronized.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/result.h"
#include "causal/change.h"
#include "causal/dot_set.h"
#include "causal/value.h"

namespace lariat::causal {

class DvvSet {
 public:
  static constexpr Kind kKind = Kind::kSiblings;

  // Copies only the values that it takes over: join the older state into the newer one.
  void Join(const DvvSet& other);
  void Discard(const DotSet& context);
  // REQUIRES: `actor` is this record's own actor: no other writer anywhere uses it; it has not used
  // up its counters, which only a forged context can bring about (actor.h, kCounterMax).
  Dot Update(const DotSet& context, Value value, const Actor& actor);

  bool Empty() const { return history_.Empty(); }
  template <typename Use>
  void ForEachValue(Use use) const {
    for (const DottedValue& v : values_) use(v.dot, v.value);
  }
  base::Result<Applied> Apply(Change&& change, const Author& author);
  bool CoveredBy(const Context& context) const;
  Context WholeContext() const;
  uint64_t LastEventOf(const Actor& actor) const { return history_.Max(actor); }
  // Fold forgets the history of actors without a value; true if there was any. It undoes what the
  // history is for: an older state with a value of such an actor brings it back when it is joined.
  bool Fold();
  bool CanFold() const;
  std::map<uint64_t, uint64_t> Version() const;

  const DotSet& history() const { return history_; }
  const std::vector<DottedValue>& values() const { return values_; }  // sorted by dot
  bool operator==(const DvvSet&) const = default;

  size_t BytesExpected() const;
  // Canonical: equal sets have equal bytes. Decode gives nothing for anything else.
  void Encode(base::ByteWriter* out) const;
  static std::optional<DvvSet> Decode(base::ByteReader* in);

 private:
  DotSet history_;
  std::vector<DottedValue> values_;
};

}  // namespace lariat::causal

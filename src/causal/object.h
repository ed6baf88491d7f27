// SPDX-License-Identifier: Apache-2.0
// The state of one key in a bucket of any kind, as coordinators and replicas handle it. Each member
// hands on to the state of the object's kind; a new kind (the CRDT buckets) is one more state with
// these members here, and one more row in kind.h. Encoded form: docs/formats/object.md. It is
// canonical, so the hash of the bytes is the digest that replicas compare. A value type.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "causal/change.h"
#include "causal/context.h"
#include "causal/dvv_set.h"
#include "causal/kind.h"
#include "causal/lww.h"
#include "causal/serial/serial.h"
#include "causal/types/merging.h"

namespace lariat::causal {

// A value inside an Object, valid as long as the Object is not changed. The dot of a register's
// value is (node's actor, stamp).
struct ValueView {
  Dot dot;
  const Value* value = nullptr;
};

// What the hash trees count, so that a sweep finds its candidates.
struct ObjectTraits {
  bool tombstone = false;  // some event, and no value but tombstones
  bool expiring = false;   // some value has an expiry
  bool foldable = false;   // Fold would forget something
};

class Object {
 public:
  explicit Object(Kind kind);
  static base::Result<Object> Decode(std::string_view bytes);  // kCorruption if not canonical
  std::string Encode() const;
  static base::Hash128 Digest(std::string_view encoded) { return base::HashOf128(encoded); }
  // Of an encoded register; nothing if the bytes are not one. Reads no further.
  static std::optional<RegisterId> RegisterIdOf(std::string_view encoded);
  // Of an agreed kind, from the bytes alone. IsNothing: nothing was accepted yet.
  static bool IsAgreed(std::string_view encoded);
  static bool IsNothing(std::string_view encoded);

  Kind kind() const {
    return std::visit([](const auto& state) { return state.kKind; }, state_);
  }
  // No event at all: as if the key had never been written.
  bool Empty() const {
    return std::visit([](const auto& state) { return state.Empty(); }, state_);
  }
  // kConflict if the kinds differ.
  base::Status Join(const Object& other);

  // kPreconditionFailed: the change's condition does not hold.
  base::Status Meets(const Change& change) const;
  // What a change learns when this was read before it is made.
  void Inform(Change* change) const;
  // Makes the event. kTooManySiblings: one value more than may be; the object is spoiled.
  // Values that merge: kUnavailable, kPreconditionFailed, kInvalidArgument; likewise.
  // REQUIRES: of this kind; Meets. The author's actor, if used, is this record's own and has
  // counters left.
  base::Result<Applied> Apply(Change&& change, const Author& author);
  // The last event of the actor that the history has; 0: none.
  uint64_t LastEventOf(const Actor& actor) const {
    return std::visit([&actor](const auto& state) { return state.LastEventOf(actor); }, state_);
  }

  // Of kinds ordered by clock: which write is held. Nothing for other kinds.
  std::optional<RegisterId> Id() const;
  bool Loses(const Object& other) const;  // both are of such a kind, and the other is greater
  // The change that makes the same event again, under another stamp. REQUIRES: of such a kind.
  Change Again() &&;

  // Values as a reader sees them: no tombstones, nothing expired. Empty = not found.
  std::vector<ValueView> LiveValues(base::WallTime now) const;
  template <typename Use>  // (const Dot&, const Value&), tombstones and expired ones too
  void ForEachValue(Use use) const {
    std::visit([&use](const auto& state) { state.ForEachValue(use); }, state_);
  }
  // Of a kind whose values merge: the one value, its bytes as types/shown.h says. Nothing = not
  // found. LiveValues gives the operations that it is there by.
  std::optional<Value> Merged(base::WallTime now) const;
  bool HasLiveValue(base::WallTime now) const;
  size_t StoredValues() const;  // tombstones and expired ones too: what limits.siblings counts
  bool HasTombstone() const;
  ObjectTraits Traits() const;
  // Forgets the history of actors without a stored value; true if there was any. An older state
  // that is joined later brings back what it holds of them: only for whoever knows that there is
  // none left anywhere.
  bool Fold() {
    return std::visit([](auto& state) { return state.Fold(); }, state_);
  }
  // What a client that was shown the whole object has seen; only the dots of the stored values when
  // the history is near the limits of a context, which is still enough to resolve them.
  Context WholeContext() const {
    return std::visit([](const auto& state) { return state.WholeContext(); }, state_);
  }
  // Counters for people: node number -> its actors added up (LWW: the stamp's milliseconds).
  std::map<uint64_t, uint64_t> Version() const {
    return std::visit([](const auto& state) { return state.Version(); }, state_);
  }
  // The same for one value: its dot alone.
  std::map<uint64_t, uint64_t> VersionOf(const Dot& dot) const;

  // For tests, and the simulator's judges. Nobody else asks what is inside.
  DvvSet* dvv() { return std::get_if<DvvSet>(&state_); }
  const DvvSet* dvv() const { return std::get_if<DvvSet>(&state_); }
  LwwRegister* lww() { return std::get_if<LwwRegister>(&state_); }
  const LwwRegister* lww() const { return std::get_if<LwwRegister>(&state_); }
  SerialState* serial() { return std::get_if<SerialState>(&state_); }
  const SerialState* serial() const { return std::get_if<SerialState>(&state_); }
  const MergingState* merging() const;
  bool operator==(const Object&) const = default;

 private:
  std::variant<DvvSet, LwwRegister, SerialState, Merging<Kind::kCounter>, Merging<Kind::kRegister>,
               Merging<Kind::kFlag>, Merging<Kind::kHll>, Merging<Kind::kSet>, Merging<Kind::kMap>>
      state_;
};

}  // namespace lariat::causal

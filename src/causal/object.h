// SPDX-License-Identifier: Apache-2.0
// The state of one key in a bucket of any kind, as coordinators and replicas handle it. New kinds
// (the CRDT buckets) become further alternatives here. Encoded form: docs/formats/object.md. It is
// canonical, so the hash of the bytes is the digest that replicas compare.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "causal/context.h"
#include "causal/dvv_set.h"
#include "causal/lww.h"

namespace lariat::causal {

// Numbers are stored and sent; never reuse one.
enum class Kind : uint8_t { kSiblings = 1, kLww = 2 };

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

  Kind kind() const;
  bool Empty() const;  // no event at all: as if the key had never been written
  // kConflict if the kinds differ.
  base::Status Join(const Object& other);

  // Values as a reader sees them: no tombstones, nothing expired. Empty = not found.
  std::vector<ValueView> LiveValues(base::WallTime now) const;
  size_t StoredValues() const;  // tombstones and expired ones too: what limits.siblings counts
  bool HasTombstone() const;
  ObjectTraits Traits() const;
  // Forgets the history of actors without a stored value; true if there was any. An older state
  // that is joined later brings back what it holds of them: only for whoever knows that there is
  // none left anywhere.
  bool Fold();
  // What a client that was shown the whole object has seen; only the dots of the stored values when
  // the history is near the limits of a context, which is still enough to resolve them.
  Context WholeContext() const;
  // Counters for people: node number -> its actors added up (LWW: the stamp's milliseconds).
  std::map<uint64_t, uint64_t> Version() const;
  // The same for one value: its dot alone.
  std::map<uint64_t, uint64_t> VersionOf(const Dot& dot) const;

  DvvSet* dvv() { return std::get_if<DvvSet>(&state_); }
  const DvvSet* dvv() const { return std::get_if<DvvSet>(&state_); }
  LwwRegister* lww() { return std::get_if<LwwRegister>(&state_); }
  const LwwRegister* lww() const { return std::get_if<LwwRegister>(&state_); }
  bool operator==(const Object&) const = default;

 private:
  std::variant<DvvSet, LwwRegister> state_;
};

}  // namespace lariat::causal

// SPDX-License-Identifier: Apache-2.0
// What one value that merges is made of: that of a key, or of one field of a map. Every piece of it
// stands for an event, and the history it is judged by belongs to whoever holds it.
//
//   marks     the operations that nobody has built on yet. They say that the value is there, and
//             are all that a register (their bytes), a flag ("1" or "0") and a hll (a sketch) have.
//   counts    counter: actor -> sums of what it has done. Its own are made one after another, so of
//             two the one with the later event is the newer. They are never taken away: a reset
//             keeps, beside the sums, those of the moment that it has seen (the base), and the
//             value is the difference. Without it one increment that the reset had not seen would
//             bring all the earlier ones back.
//   elements  set: element -> its live dots. Each addition has a dot for each of its elements: with
//             one for all, a replica that knows one of them would take the others for removed.
//
// Join is commutative, associative and idempotent, piece by piece: so the pieces can be kept and
// sent apart from each other. A value type.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "causal/dot_set.h"
#include "causal/types/operation.h"
#include "causal/types/shown.h"
#include "causal/value.h"

namespace lariat::causal {

// Of one actor, as of its event n.
struct Tally {
  uint64_t n = 0;
  uint64_t plus = 0, minus = 0;
  bool operator==(const Tally&) const = default;
  void Join(const Tally& other) {
    if (other.n > n) *this = other;
  }
};
struct Count {
  Tally now;
  Tally base;  // at the last reset; all zero without one
  bool operator==(const Count&) const = default;
};

// Dots for the pieces of one operation: consecutive ones of its actor.
class DotSource {
 public:
  DotSource(DotSet* history, const Actor& actor) : history_(history), actor_(actor) {}
  // REQUIRES: the actor has counters left.
  Dot Take();
  const DotSet& history() const { return *history_; }

 private:
  DotSet* history_;
  Actor actor_;
};

// What an operation that removes has seen.
struct Seen {
  const DotSet* dots = nullptr;
  // The value as it was read, whose sums are those that were seen; null: what is there now was.
  const struct Content* read = nullptr;
};

struct Content {
  std::vector<DottedValue> marks;                    // ascending by dot
  std::map<Actor, Count> counts;                     // counter only
  std::map<std::string, std::vector<Dot>> elements;  // set only; dots ascend, none is empty
  bool operator==(const Content&) const = default;

  bool Empty() const { return marks.empty() && counts.empty() && elements.empty(); }
  // Before the histories are joined.
  void Join(const Content& other, const DotSet& my_history, const DotSet& other_history);

  // Does the step, as `mark` says when; gives the number of a register's values that it replaces
  // though nobody was shown them. kInvalidArgument: a sum would leave 64 bits.
  base::Result<size_t> Do(const Step& step, Value mark, const Seen& seen, DotSource* dots);
  void Assign(Value mark, Kind kind, DotSource* dots, size_t* discarded);
  // Takes away what was seen. False: not possible, since counts have later events than those.
  bool Reset(const Seen& seen);

  // As shown, if there is any mark that lives.
  std::optional<std::string> Show(Kind kind, base::WallTime now) const;
  // The register's value that is shown: the latest. Null: none lives.
  const DottedValue* Latest(base::WallTime now) const;
  int64_t Sum() const;  // clamped to 64 bits
};

// Canonical, docs/formats/object.md. Decode gives nothing for anything else.
void EncodeContent(const Content& content, Kind kind, const DotSet& history, base::ByteWriter* out);
std::optional<Content> DecodeContent(Kind kind, const DotSet& history, base::ByteReader* in);

}  // namespace lariat::causal

// SPDX-License-Identifier: Apache-2.0
// The state of a key whose values merge: one history, the content of the value, and that of each
// field of a map. One record holds all of it. (object.h says what each member that all kinds have
// is for.) A value type.
//
// An operation takes consecutive dots of its actor: one for itself (the mark), and one for each
// element that it adds. It builds on what its replica holds, whatever the client has seen: nothing
// is lost by that, since it only adds. What it removes is what the client has seen, or what a read
// quorum shows.
//
//   add x at a                    {a:2}      mark (a,1)  x (a,2)
//   add x at b, who knows that    {a:2,b:2}  mark (b,1)  x (b,2)         replaces (a,2)
//   remove x at a, who does not   {a:3}      mark (a,3)                  has seen (a,2)
//   both meet                     {a:3,b:2}  marks (a,3) (b,1)  x (b,2)  the addition stays
//
// The key is there as long as a mark lives; a delete leaves a tombstone as its mark. An operation
// on a value that is expired or deleted begins a new one: what is left of the old one is reset
// first.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/result.h"
#include "causal/change.h"
#include "causal/types/content.h"

namespace lariat::causal {

class MergingState {
 public:
  using FieldName = std::pair<std::string, Kind>;

  bool Empty() const { return history_.Empty(); }
  template <typename Use>
  void ForEachValue(Use use) const {
    for (const DottedValue& v : root_.marks) use(v.dot, v.value);
  }
  void Join(const MergingState& other);
  bool CoveredBy(const Context& context) const;
  Context WholeContext() const;
  uint64_t LastEventOf(const Actor& actor) const { return history_.Max(actor); }
  // Counts and the history of removed elements rest on all of it.
  bool CanFold() const { return false; }
  bool Fold() { return false; }
  std::map<uint64_t, uint64_t> Version() const;

  size_t Elements() const;  // and fields
  const DotSet& history() const { return history_; }
  const Content& root() const { return root_; }
  const std::map<FieldName, Content>& fields() const { return fields_; }
  bool operator==(const MergingState&) const = default;

 protected:
  // `read`: a state to join in first, or null.
  base::Result<Applied> Apply(Kind kind, Change&& change, const Author& author,
                              const MergingState* read);
  // The value as shown, with its time, expiry and content type; nothing if none lives.
  std::optional<Value> Show(Kind kind, base::WallTime now) const;
  size_t BytesExpected(Kind kind) const;
  void Encode(Kind kind, base::ByteWriter* out) const;
  bool Decode(Kind kind, base::ByteReader* in);

 private:
  struct Making;
  base::Status Operate(const Operation& operation, Making* making);
  base::Status OperateOnField(const FieldStep& step, Making* making);
  bool Reset(const Making& making);

  DotSet history_;
  Content root_;
  std::map<FieldName, Content> fields_;
};

template <Kind kind>
class Merging : public MergingState {
 public:
  static constexpr Kind kKind = kind;

  base::Result<Applied> Apply(Change&& change, const Author& author,
                              const Merging* read = nullptr) {
    return MergingState::Apply(kind, std::move(change), author, read);
  }
  std::optional<Value> Show(base::WallTime now) const { return MergingState::Show(kind, now); }
  size_t BytesExpected() const { return MergingState::BytesExpected(kind); }
  void Encode(base::ByteWriter* out) const { MergingState::Encode(kind, out); }
  static std::optional<Merging> Decode(base::ByteReader* in) {
    Merging state;
    if (!state.MergingState::Decode(kind, in)) return std::nullopt;
    return state;
  }
};

}  // namespace lariat::causal

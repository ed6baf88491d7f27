// SPDX-License-Identifier: Apache-2.0
#include "causal/dvv_set.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "base/check.h"
#include "causal/dotted.h"

namespace lariat::causal {

using base::Code;
using base::Fail;

namespace {

constexpr size_t kValueBytesMin = 1 + 1 + 1 + 1 + 1;

// The actors of the values, which are sorted by dot.
size_t ActorsOf(const std::vector<DottedValue>& values) {
  size_t actors = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    actors += i == 0 || values[i - 1].dot.actor != values[i].dot.actor ? 1 : 0;
  }
  return actors;
}

}  // namespace

void DvvSet::Join(const DvvSet& other) {
  if (&other == this) return;
  JoinDotted(&values_, other.values_, history_, other.history_,
             [](const DottedValue& v) { return v.dot; });
  history_.Join(other.history_);
}

void DvvSet::Discard(const DotSet& context) {
  std::erase_if(values_, [&context](const DottedValue& v) { return context.Contains(v.dot); });
  history_.Join(context);
}

Dot DvvSet::Update(const DotSet& context, Value value, const Actor& actor) {
  Discard(context);
  const Dot dot{actor, history_.Max(actor) + 1};
  LARIAT_CHECK(dot.counter <= kCounterMax, "the actor has used up its counters");
  history_.Add(dot);
  DottedValue added{dot, std::move(value)};
  const auto at =
      std::upper_bound(values_.begin(), values_.end(), added,
                       [](const DottedValue& a, const DottedValue& b) { return a.dot < b.dot; });
  values_.insert(at, std::move(added));
  return dot;
}

base::Result<Applied> DvvSet::Apply(Change&& change, const Author& author) {
  const Dot dot = Update(change.context.seen, std::move(change.value), author.actor);
  if (values_.size() > change.values_max) {
    return Fail(Code::kTooManySiblings, "the key would have " + std::to_string(values_.size()) +
                                            " concurrent values; the limit is " +
                                            std::to_string(change.values_max) +
                                            ": read it and write back one value with the context");
  }
  Applied applied;
  // With no unseen sibling left the whole history is seen, and the shorter context says so.
  if (values_.size() == 1) {
    applied.context.seen = history_;
  } else {
    applied.context.seen = std::move(change.context.seen);
    applied.context.seen.Add(dot);
  }
  return applied;
}

bool DvvSet::CoveredBy(const Context& context) const {
  return std::all_of(values_.begin(), values_.end(),
                     [&](const DottedValue& v) { return context.seen.Contains(v.dot); });
}

// Half of the limits: the replies to the client's later writes add to the context.
Context DvvSet::WholeContext() const {
  const bool fits = history_.entries().size() <= kContextActorsMax / 2 &&
                    history_.DotsInClouds() <= kContextCloudMax / 2;
  Context context;
  if (fits) {
    context.seen = history_;
  } else {
    for (const DottedValue& v : values_) context.seen.Add(v.dot);
  }
  return context;
}

std::map<uint64_t, uint64_t> DvvSet::Version() const {
  std::map<uint64_t, uint64_t> version;
  for (const DotSet::Entry& entry : history_.entries()) version[entry.actor.node] += entry.Max();
  return version;
}

// Every value's actor is in the history.
bool DvvSet::CanFold() const { return ActorsOf(values_) < history_.entries().size(); }

bool DvvSet::Fold() {
  if (!CanFold()) return false;
  history_.KeepActors([this](const Actor& actor) {
    return std::any_of(values_.begin(), values_.end(),
                       [&actor](const DottedValue& v) { return v.dot.actor == actor; });
  });
  return true;
}

size_t DvvSet::BytesExpected() const {
  size_t bytes = history_.entries().size() * kOverheadBytes;
  for (const DottedValue& v : values_) bytes += v.value.BytesExpected();
  return bytes;
}

// A value names its actor by the index of the history's entry. Both are sorted by actor, so the
// indexes never go down, and one walk over the entries writes them all.
void DvvSet::Encode(base::ByteWriter* out) const {
  history_.Encode(out);
  out->Varint(values_.size());
  const auto& entries = history_.entries();
  size_t index = 0;
  for (const DottedValue& v : values_) {
    while (index < entries.size() && entries[index].actor < v.dot.actor) ++index;
    LARIAT_CHECK(index < entries.size(), "a live dot is in the history");
    out->Varint(index);
    out->Varint(v.dot.counter);
    EncodeValue(v.value, out);
  }
}

std::optional<DvvSet> DvvSet::Decode(base::ByteReader* in) {
  DvvSet set;
  auto history = DotSet::Decode(in, std::numeric_limits<size_t>::max());
  if (!history) return std::nullopt;
  set.history_ = std::move(*history);
  const auto& entries = set.history_.entries();
  const uint64_t size = in->Varint();
  if (!in->ok() || size > in->Rest().size() / kValueBytesMin) return std::nullopt;
  set.values_.reserve(size);
  for (uint64_t i = 0; i < size; ++i) {
    const uint64_t index = in->Varint();
    const uint64_t counter = in->Varint();
    if (!in->ok() || index >= entries.size() || counter == 0) return std::nullopt;
    if (!entries[index].Contains(counter)) return std::nullopt;
    const Dot dot{entries[index].actor, counter};
    const bool sorted = set.values_.empty() || set.values_.back().dot < dot;
    if (!sorted) return std::nullopt;
    set.values_.push_back({dot, DecodeValue(in)});
    if (!in->ok()) return std::nullopt;
  }
  return set;
}

}  // namespace lariat::causal

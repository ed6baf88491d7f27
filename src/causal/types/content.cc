// SPDX-License-Identifier: Apache-2.0
#include "causal/types/content.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "causal/dotted.h"
#include "causal/types/sketch.h"

namespace lariat::causal {

using base::Code;
using base::Fail;

namespace {

__extension__ typedef __int128 Wide;  // sums of sums

constexpr const char* kOn = "1";
constexpr const char* kOff = "0";

Dot DotOf(const DottedValue& v) { return v.dot; }
Dot DotItself(const Dot& dot) { return dot; }

void EraseSeen(std::vector<DottedValue>* marks, const DotSet& seen) {
  std::erase_if(*marks, [&seen](const DottedValue& v) { return seen.Contains(v.dot); });
}

void RemoveElement(std::map<std::string, std::vector<Dot>>* elements,
                   std::map<std::string, std::vector<Dot>>::iterator at, const DotSet& seen) {
  std::erase_if(at->second, [&seen](const Dot& dot) { return seen.Contains(dot); });
  if (at->second.empty()) elements->erase(at);
}

// The magnitude of a negative number, the least one too.
uint64_t Magnitude(int64_t n) {
  return n < 0 ? uint64_t{0} - static_cast<uint64_t>(n) : static_cast<uint64_t>(n);
}

Wide WideSum(const std::map<Actor, Count>& counts) {
  Wide sum = 0;
  for (const auto& [actor, count] : counts) {
    sum += static_cast<Wide>(count.now.plus) - count.now.minus;
    sum -= static_cast<Wide>(count.base.plus) - count.base.minus;
  }
  return sum;
}

base::Status Increment(std::map<Actor, Count>* counts, int64_t by, const Dot& dot) {
  const Wide after = WideSum(*counts) + by;
  Tally& mine = (*counts)[dot.actor].now;
  uint64_t& part = by < 0 ? mine.minus : mine.plus;
  const bool fits = after <= std::numeric_limits<int64_t>::max() &&
                    after >= std::numeric_limits<int64_t>::min() &&
                    part <= std::numeric_limits<uint64_t>::max() - Magnitude(by);
  if (!fits) return Fail(Code::kInvalidArgument, "the counter would leave 64 bits");
  part += Magnitude(by);
  mine.n = dot.counter;
  return {};
}

// The sketch of all that is there and is not expired, with the additions.
std::string SketchWith(const std::vector<DottedValue>& marks, base::WallTime now,
                       const std::vector<std::string>& add) {
  Sketch sketch;
  for (const DottedValue& v : marks) {
    if (v.value.LiveAt(now)) sketch.Join(Sketch::Decode(v.value.bytes).value_or(Sketch()));
  }
  for (const std::string& element : add) sketch.Add(element);
  return sketch.Encode();
}

}  // namespace

Dot DotSource::Take() {
  const Dot dot{actor_, history_->Max(actor_) + 1};
  LARIAT_CHECK(dot.counter <= kCounterMax, "the actor has used up its counters");
  history_->Add(dot);
  return dot;
}

void Content::Join(const Content& other, const DotSet& my_history, const DotSet& other_history) {
  JoinDotted(&marks, other.marks, my_history, other_history, DotOf);
  for (const auto& [actor, theirs] : other.counts) {
    Count& mine = counts[actor];
    mine.now.Join(theirs.now);
    mine.base.Join(theirs.base);
  }
  static const std::vector<Dot> kNone;
  for (auto at = elements.begin(); at != elements.end();) {
    const auto theirs = other.elements.find(at->first);
    JoinDotted(&at->second, theirs == other.elements.end() ? kNone : theirs->second, my_history,
               other_history, DotItself);
    at = at->second.empty() ? elements.erase(at) : std::next(at);
  }
  for (const auto& [element, dots] : other.elements) {
    if (elements.contains(element)) continue;
    std::vector<Dot> mine;
    JoinDotted(&mine, dots, my_history, other_history, DotItself);
    if (!mine.empty()) elements.emplace(element, std::move(mine));
  }
}

void Content::Assign(Value mark, Kind kind, DotSource* dots, size_t* discarded) {
  size_t values = 0;
  for (const DottedValue& v : marks) {
    values += v.value.tombstone ? 0 : 1;
    // A clock that is behind must not make what was seen the later one of the two.
    mark.written = std::max(mark.written, v.value.written);
  }
  if (kind == Kind::kRegister && values > 1) *discarded += values - 1;
  marks.clear();
  marks.push_back({dots->Take(), std::move(mark)});
}

base::Result<size_t> Content::Do(const Step& step, Value mark, const Seen& seen, DotSource* dots) {
  size_t discarded = 0;
  switch (step.kind) {
    case Kind::kCounter: {
      Assign(std::move(mark), step.kind, dots, &discarded);
      if (auto fits = Increment(&counts, step.increment, marks.front().dot); !fits) {
        return Fail(fits.error());
      }
      return discarded;
    }
    case Kind::kFlag:
      mark.bytes = step.on ? kOn : kOff;
      if (step.on) {
        Assign(std::move(mark), step.kind, dots, &discarded);
        return discarded;
      }
      EraseSeen(&marks, *seen.dots);
      marks.push_back({dots->Take(), std::move(mark)});
      std::sort(marks.begin(), marks.end(),
                [](const DottedValue& a, const DottedValue& b) { return a.dot < b.dot; });
      return discarded;
    case Kind::kHll:
      mark.bytes = SketchWith(marks, mark.written, step.add);
      break;
    case Kind::kRegister:
      mark.bytes = step.text;
      break;
    default:
      break;
  }
  Assign(std::move(mark), step.kind, dots, &discarded);
  for (const std::string& element : step.remove) {
    if (auto at = elements.find(element); at != elements.end()) {
      RemoveElement(&elements, at, *seen.dots);
    }
  }
  for (const std::string& element : step.add) {
    if (step.kind == Kind::kSet) elements[element] = {dots->Take()};
  }
  return discarded;
}

bool Content::Reset(const Seen& seen) {
  for (auto& [actor, count] : counts) {
    if (seen.read != nullptr) {
      const auto was = seen.read->counts.find(actor);
      if (was != seen.read->counts.end()) count.base.Join(was->second.now);
    } else {
      if (!seen.dots->Contains({actor, count.now.n})) return false;
      count.base.Join(count.now);
    }
  }
  EraseSeen(&marks, *seen.dots);
  for (auto at = elements.begin(); at != elements.end();) {
    RemoveElement(&elements, at++, *seen.dots);
  }
  return true;
}

// --- what is shown -------------------------------------------------------------------------------

int64_t Content::Sum() const {
  const Wide sum = WideSum(counts);
  return static_cast<int64_t>(std::clamp<Wide>(sum, std::numeric_limits<int64_t>::min(),
                                               std::numeric_limits<int64_t>::max()));
}

const DottedValue* Content::Latest(base::WallTime now) const {
  const DottedValue* latest = nullptr;
  for (const DottedValue& v : marks) {
    if (!v.value.LiveAt(now)) continue;
    const bool later = latest == nullptr || std::pair(v.value.written, v.dot) >
                                                std::pair(latest->value.written, latest->dot);
    if (later) latest = &v;
  }
  return latest;
}

std::optional<std::string> Content::Show(Kind kind, base::WallTime now) const {
  const DottedValue* latest = Latest(now);
  if (latest == nullptr) return std::nullopt;
  switch (kind) {
    case Kind::kCounter:
      return std::to_string(Sum());
    case Kind::kRegister:
      return latest->value.bytes;
    case Kind::kFlag: {
      const bool on = std::any_of(marks.begin(), marks.end(), [now](const DottedValue& v) {
        return v.value.LiveAt(now) && v.value.bytes == kOn;
      });
      return on ? kOn : kOff;
    }
    case Kind::kHll: {
      const auto sketch = Sketch::Decode(SketchWith(marks, now, {}));
      LARIAT_CHECK(sketch.has_value(), "a sketch is read as it was written");
      return std::to_string(sketch->Estimate());
    }
    default: {
      std::string list;
      base::ByteWriter out(&list);
      for (const auto& [element, dots] : elements) out.Sized(element);
      return list;
    }
  }
}

// --- coding --------------------------------------------------------------------------------------

namespace {

size_t IndexOf(const Actor& actor, const DotSet& history) {
  const auto& entries = history.entries();
  const auto at =
      std::lower_bound(entries.begin(), entries.end(), actor,
                       [](const DotSet::Entry& entry, const Actor& a) { return entry.actor < a; });
  LARIAT_CHECK(at != entries.end(), "the events of a state are in its history");
  return static_cast<size_t>(at - entries.begin());
}

void PutDot(const Dot& dot, const DotSet& history, base::ByteWriter* out) {
  out->Varint(IndexOf(dot.actor, history));
  out->Varint(dot.counter);
}

// A dot of the history; otherwise the reader is not ok.
Dot TakeDot(const DotSet& history, base::ByteReader* in) {
  const uint64_t index = in->Varint();
  const uint64_t counter = in->Varint();
  const bool known = in->ok() && index < history.entries().size() && counter != 0 &&
                     history.entries()[index].Contains(counter);
  if (known) return {history.entries()[index].actor, counter};
  in->MarkBad();
  return {};
}

// How many items follow, of which each has at least one byte.
uint64_t TakeSize(base::ByteReader* in) {
  const uint64_t size = in->Varint();
  if (size > in->Rest().size()) in->MarkBad();
  return in->ok() ? size : 0;
}

void PutTally(const Tally& tally, base::ByteWriter* out) {
  out->Varint(tally.n);
  out->Varint(tally.plus);
  out->Varint(tally.minus);
}

Tally TakeTally(base::ByteReader* in) {
  Tally tally;
  tally.n = in->Varint();
  tally.plus = in->Varint();
  tally.minus = in->Varint();
  return tally;
}

bool IsMark(const Value& value, Kind kind) {
  if (kind != Kind::kRegister && !value.content_type.empty()) return false;
  if (value.tombstone) return value.bytes.empty();
  if (kind == Kind::kRegister) return true;
  if (kind == Kind::kFlag) return value.bytes == kOn || value.bytes == kOff;
  if (kind == Kind::kHll) return Sketch::Decode(value.bytes).has_value();
  return value.bytes.empty();
}

void TakeMarks(Kind kind, const DotSet& history, base::ByteReader* in, Content* content) {
  for (uint64_t left = TakeSize(in); left > 0 && in->ok(); --left) {
    const Dot dot = TakeDot(history, in);
    DottedValue mark{dot, DecodeValue(in)};
    const bool sorted = content->marks.empty() || content->marks.back().dot < dot;
    if (!sorted || !IsMark(mark.value, kind)) in->MarkBad();
    content->marks.push_back(std::move(mark));
  }
}

void TakeCounts(const DotSet& history, base::ByteReader* in, Content* content) {
  for (uint64_t left = TakeSize(in); left > 0 && in->ok(); --left) {
    const uint64_t index = in->Varint();
    if (!in->ok() || index >= history.entries().size()) return in->MarkBad();
    const DotSet::Entry& entry = history.entries()[index];
    Count count;
    count.now = TakeTally(in);
    count.base = TakeTally(in);
    const bool sorted = content->counts.empty() || content->counts.rbegin()->first < entry.actor;
    const bool based = count.base.n != 0 || count.base == Tally{};
    const bool known = count.now.n != 0 && entry.Contains(count.now.n);
    if (!in->ok() || !sorted || !based || !known || count.base.n > count.now.n) {
      return in->MarkBad();
    }
    content->counts.emplace_hint(content->counts.end(), entry.actor, count);
  }
}

void TakeElements(const DotSet& history, base::ByteReader* in, Content* content) {
  for (uint64_t left = TakeSize(in); left > 0 && in->ok(); --left) {
    std::string element(in->Sized());
    std::vector<Dot> dots;
    for (uint64_t more = TakeSize(in); more > 0 && in->ok(); --more) {
      const Dot dot = TakeDot(history, in);
      if (!dots.empty() && !(dots.back() < dot)) in->MarkBad();
      dots.push_back(dot);
    }
    const bool sorted = content->elements.empty() || content->elements.rbegin()->first < element;
    if (!sorted || dots.empty()) return in->MarkBad();
    content->elements.emplace_hint(content->elements.end(), std::move(element), std::move(dots));
  }
}

}  // namespace

void EncodeContent(const Content& content, Kind kind, const DotSet& history,
                   base::ByteWriter* out) {
  out->Varint(content.marks.size());
  for (const DottedValue& v : content.marks) {
    PutDot(v.dot, history, out);
    EncodeValue(v.value, out);
  }
  if (kind == Kind::kCounter) {
    out->Varint(content.counts.size());
    for (const auto& [actor, count] : content.counts) {
      out->Varint(IndexOf(actor, history));
      PutTally(count.now, out);
      PutTally(count.base, out);
    }
  }
  if (kind == Kind::kSet) {
    out->Varint(content.elements.size());
    for (const auto& [element, dots] : content.elements) {
      out->Sized(element);
      out->Varint(dots.size());
      for (const Dot& dot : dots) PutDot(dot, history, out);
    }
  }
}

std::optional<Content> DecodeContent(Kind kind, const DotSet& history, base::ByteReader* in) {
  Content content;
  TakeMarks(kind, history, in, &content);
  if (kind == Kind::kCounter) TakeCounts(history, in, &content);
  if (kind == Kind::kSet) TakeElements(history, in, &content);
  if (!in->ok()) return std::nullopt;
  return content;
}

}  // namespace lariat::causal

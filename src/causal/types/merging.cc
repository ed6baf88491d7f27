// SPDX-License-Identifier: Apache-2.0
#include "causal/types/merging.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace lariat::causal {

using base::Code;
using base::Fail;

namespace {

constexpr size_t kShownElementsMax = 100;  // more are not part of an operation's answer
constexpr size_t kDotBytes = 8;

bool LivesAt(const Content& content, base::WallTime now) { return content.Latest(now) != nullptr; }

void JoinEachField(std::map<MergingState::FieldName, Content>* mine,
                   const std::map<MergingState::FieldName, Content>& theirs,
                   const DotSet& my_history, const DotSet& their_history) {
  static const Content kNone;
  for (auto at = mine->begin(); at != mine->end();) {
    const auto other = theirs.find(at->first);
    at->second.Join(other == theirs.end() ? kNone : other->second, my_history, their_history);
    at = at->second.Empty() ? mine->erase(at) : std::next(at);
  }
  for (const auto& [name, content] : theirs) {
    if (mine->contains(name)) continue;
    Content added;
    added.Join(content, my_history, their_history);
    if (!added.Empty()) mine->emplace(name, std::move(added));
  }
}

}  // namespace

// One operation on its way.
struct MergingState::Making {
  DotSource dots;
  Value mark;                          // when, and until when
  DotSet seen;                         // what a removal covers
  const MergingState* read = nullptr;  // whose counts were seen; null: those here
  size_t discarded = 0;

  Seen SeenOf(const FieldName* field) const {
    static const Content kNone;
    if (read == nullptr) return {&seen, nullptr};
    if (field == nullptr) return {&seen, &read->root_};
    const auto at = read->fields_.find(*field);
    return {&seen, at == read->fields_.end() ? &kNone : &at->second};
  }
};

void MergingState::Join(const MergingState& other) {
  if (&other == this) return;
  root_.Join(other.root_, history_, other.history_);
  JoinEachField(&fields_, other.fields_, history_, other.history_);
  history_.Join(other.history_);
}

// --- operations ----------------------------------------------------------------------------------

base::Result<Applied> MergingState::Apply(Kind kind, Change&& change, const Author& author,
                                          const MergingState* read) {
  if (read != nullptr) Join(*read);
  const DotSet& context = change.context.seen;
  Making making{.dots = {&history_, author.actor}, .mark = std::move(change.value)};
  if (change.sees_what_is_read && read != nullptr) {
    making.seen = read->history_;
    making.read = read;
  } else {
    making.seen = context;
    if (change.joins_what_is_read && !history_.Covers(context)) {
      return Fail(Code::kUnavailable,
                  "no replica that was asked has all that the context has seen, and so it is not "
                  "known what to remove; nothing was done");
    }
  }
  // All that is in the history of such a kind is a mark, and names nothing else.
  const Shape shape = RowOf(kind).shape;
  if (shape == Shape::kText || shape == Shape::kBool) history_.Join(context);

  if (making.mark.tombstone) {
    if (!Reset(making)) {
      return Fail(Code::kPreconditionFailed,
                  "the counter was changed since the context was given out, and what was seen of "
                  "it cannot be told apart from that: read it again, or delete without a context");
    }
    root_.marks.push_back({making.dots.Take(), making.mark});
    std::sort(root_.marks.begin(), root_.marks.end(),
              [](const DottedValue& a, const DottedValue& b) { return a.dot < b.dot; });
  } else {
    Operation assign;
    assign.step.kind = kind;
    assign.step.text = std::move(making.mark.bytes);
    auto operation = change.operation.empty() ? std::optional(std::move(assign))
                                              : Operation::Decode(change.operation);
    if (!operation || operation->step.kind != kind) {
      return Fail(Code::kInvalidArgument, "the operation is malformed");
    }
    making.mark.bytes.clear();
    if (auto done = Operate(*operation, &making); !done) return Fail(done.error());
  }
  Applied applied;
  applied.discarded = making.discarded;
  applied.shown.kind = kind;
  const bool shows_all = Elements() <= kShownElementsMax;
  auto shown = shows_all ? Show(kind, change.now) : std::nullopt;
  if (shown) {
    applied.shown.bytes = std::move(shown->bytes);
    applied.context = WholeContext();
  } else {
    applied.context.seen = std::move(change.context.seen);
    applied.context.seen.Add({author.actor, history_.Max(author.actor)});
  }
  return applied;
}

base::Status MergingState::Operate(const Operation& operation, Making* making) {
  if (!LivesAt(root_, making->mark.written)) {
    Making all{.dots = making->dots, .mark = {}, .seen = history_};
    LARIAT_CHECK(Reset(all), "all that is here was seen");
  }
  const Step& step = operation.step;
  if (step.kind != Kind::kMap) {
    auto done = root_.Do(step, making->mark, making->SeenOf(nullptr), &making->dots);
    if (!done) return Fail(done.error());
    making->discarded += *done;
    return {};
  }
  root_.Assign(making->mark, step.kind, &making->dots, &making->discarded);
  for (const FieldStep& field : operation.fields) {
    if (auto done = OperateOnField(field, making); !done) return done;
  }
  return {};
}

base::Status MergingState::OperateOnField(const FieldStep& step, Making* making) {
  const FieldName name{step.name, step.step.kind};
  const Seen seen = making->SeenOf(&name);
  if (!step.remove) {
    Value mark;
    mark.written = making->mark.written;
    auto done = fields_[name].Do(step.step, std::move(mark), seen, &making->dots);
    if (!done) return Fail(done.error());
    making->discarded += *done;
    return {};
  }
  const auto at = fields_.find(name);
  if (at == fields_.end()) return {};
  if (!at->second.Reset(seen)) {
    return Fail(Code::kPreconditionFailed,
                "the field was changed since the context was given out: read it again");
  }
  if (at->second.Empty()) fields_.erase(at);
  return {};
}

bool MergingState::Reset(const Making& making) {
  if (!root_.Reset(making.SeenOf(nullptr))) return false;
  for (auto at = fields_.begin(); at != fields_.end();) {
    if (!at->second.Reset(making.SeenOf(&at->first))) return false;
    at = at->second.Empty() ? fields_.erase(at) : std::next(at);
  }
  return true;
}

// --- what is told of it --------------------------------------------------------------------------

bool MergingState::CoveredBy(const Context& context) const {
  return std::all_of(root_.marks.begin(), root_.marks.end(),
                     [&](const DottedValue& v) { return context.seen.Contains(v.dot); });
}

// Half of the limits: the replies to the client's later writes add to the context.
Context MergingState::WholeContext() const {
  Context context;
  context.seen = history_;
  context.seen.Trim(kContextActorsMax / 2, kContextCloudMax / 2);
  return context;
}

std::map<uint64_t, uint64_t> MergingState::Version() const {
  std::map<uint64_t, uint64_t> version;
  for (const DotSet::Entry& entry : history_.entries()) version[entry.actor.node] += entry.Max();
  return version;
}

size_t MergingState::Elements() const {
  size_t elements = root_.elements.size() + fields_.size();
  for (const auto& [name, content] : fields_) elements += content.elements.size();
  return elements;
}

std::optional<Value> MergingState::Show(Kind kind, base::WallTime now) const {
  const DottedValue* latest = root_.Latest(now);
  if (latest == nullptr) return std::nullopt;
  Value shown = latest->value;
  for (const DottedValue& v : root_.marks) {
    if (!v.value.LiveAt(now)) continue;
    const bool for_ever = shown.expires_ms == 0 || v.value.expires_ms == 0;
    shown.expires_ms = for_ever ? 0 : std::max(shown.expires_ms, v.value.expires_ms);
  }
  if (kind != Kind::kMap) {
    shown.bytes = *root_.Show(kind, now);
    return shown;
  }
  shown.bytes.clear();
  base::ByteWriter out(&shown.bytes);
  for (const auto& [name, content] : fields_) {
    const auto bytes = content.Show(name.second, now);
    if (!bytes) continue;
    out.Sized(name.first);
    out.U8(static_cast<uint8_t>(name.second));
    out.Sized(*bytes);
  }
  return shown;
}

// --- coding --------------------------------------------------------------------------------------

namespace {

size_t BytesOf(const Content& content) {
  size_t bytes = content.counts.size() * kOverheadBytes;
  for (const DottedValue& v : content.marks) bytes += v.value.BytesExpected();
  for (const auto& [element, dots] : content.elements) {
    bytes += element.size() + kDotBytes * (1 + dots.size());
  }
  return bytes;
}

}  // namespace

size_t MergingState::BytesExpected(Kind) const {
  size_t bytes = history_.entries().size() * kOverheadBytes + BytesOf(root_);
  for (const auto& [name, content] : fields_) {
    bytes += name.first.size() + kDotBytes + BytesOf(content);
  }
  return bytes;
}

void MergingState::Encode(Kind kind, base::ByteWriter* out) const {
  history_.Encode(out);
  EncodeContent(root_, kind, history_, out);
  if (kind != Kind::kMap) return;
  out->Varint(fields_.size());
  for (const auto& [name, content] : fields_) {
    out->Sized(name.first);
    out->U8(static_cast<uint8_t>(name.second));
    EncodeContent(content, name.second, history_, out);
  }
}

bool MergingState::Decode(Kind kind, base::ByteReader* in) {
  auto history = DotSet::Decode(in, std::numeric_limits<size_t>::max());
  if (!history) return false;
  history_ = std::move(*history);
  auto root = DecodeContent(kind, history_, in);
  if (!root) return false;
  root_ = std::move(*root);
  if (kind != Kind::kMap) return true;
  const uint64_t size = in->Varint();
  if (size > in->Rest().size()) return false;
  for (uint64_t i = 0; i < size && in->ok(); ++i) {
    std::string name(in->Sized());
    const auto field_kind = KindOf(in->U8());
    if (!field_kind || *field_kind == Kind::kMap || !Merges(*field_kind)) return false;
    auto content = DecodeContent(*field_kind, history_, in);
    FieldName field{std::move(name), *field_kind};
    const bool sorted = fields_.empty() || fields_.rbegin()->first < field;
    if (!content || content->Empty() || !sorted) return false;
    fields_.emplace_hint(fields_.end(), std::move(field), std::move(*content));
  }
  return in->ok();
}

}  // namespace lariat::causal

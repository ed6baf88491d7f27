// SPDX-License-Identifier: Apache-2.0
#include "causal/object.h"

#include <type_traits>
#include <utility>

#include "base/check.h"

namespace lariat::causal {
namespace {

using base::Code;
using base::Fail;

constexpr uint8_t kObjectVersion = 1;

base::Result<Object> Corrupt(const char* what) {
  return Fail(Code::kCorruption, std::string("object: ") + what);
}

}  // namespace

Object::Object(Kind kind) {
  const auto begin = [&]<typename... States>(std::variant<States...>* state) {
    ((kind == States::kKind ? void(state->template emplace<States>()) : void()), ...);
  };
  begin(&state_);
}

base::Result<Object> Object::Decode(std::string_view bytes) {
  base::ByteReader in(bytes);
  if (in.U8() != kObjectVersion) return Corrupt("unknown version");
  const auto kind = KindOf(in.U8());
  if (!kind) return Corrupt("unknown kind");
  Object object(*kind);
  const bool canonical = std::visit(
      [&in]<typename State>(State& state) {
        auto decoded = State::Decode(&in);
        if (!decoded || !in.AtEnd()) return false;
        state = std::move(*decoded);
        return true;
      },
      object.state_);
  if (!canonical) return Corrupt("not canonical");
  return object;
}

std::optional<RegisterId> Object::RegisterIdOf(std::string_view encoded) {
  base::ByteReader in(encoded);
  if (in.U8() != kObjectVersion) return std::nullopt;
  const auto kind = KindOf(in.U8());
  if (!kind || !IsOrderedByClock(*kind)) return std::nullopt;
  RegisterId id;
  id.stamp.packed = in.U64();
  id.node = in.U64();
  if (!in.ok()) return std::nullopt;
  return id;
}

bool Object::IsAgreed(std::string_view encoded) {
  base::ByteReader in(encoded);
  const bool known = in.U8() == kObjectVersion;
  const auto kind = KindOf(in.U8());
  return in.ok() && known && kind && causal::IsAgreed(*kind);
}

bool Object::IsNothing(std::string_view encoded) {
  if (!IsAgreed(encoded)) return false;
  base::ByteReader in(encoded.substr(2));
  return consensus::Ballot::Decode(&in).IsZero() && in.ok();
}

std::string Object::Encode() const {
  std::string bytes;
  const auto encode = [&bytes](const auto& state) {
    bytes.reserve(kOverheadBytes + state.BytesExpected());
    base::ByteWriter out(&bytes);
    out.U8(kObjectVersion);
    out.U8(static_cast<uint8_t>(state.kKind));
    state.Encode(&out);
  };
  std::visit(encode, state_);
  return bytes;
}

base::Status Object::Join(const Object& other) {
  return std::visit(
      [&other]<typename State>(State& state) -> base::Status {
        const auto* theirs = std::get_if<State>(&other.state_);
        if (theirs == nullptr) {
          return Fail(Code::kConflict, "states of two kinds of bucket cannot be merged");
        }
        state.Join(*theirs);
        return {};
      },
      state_);
}

// --- changes -------------------------------------------------------------------------------------

base::Status Object::Meets(const Change& change) const {
  if (change.condition == Condition::kNone) return {};
  const auto lost = [](const char* why) { return Fail(Code::kPreconditionFailed, why); };
  const bool live = HasLiveValue(change.now);
  if (change.condition == Condition::kNoLiveValue) {
    return live ? lost("the key has a value") : base::Status();
  }
  if (!live) return lost("the key has no value");
  if (change.condition == Condition::kAnyLiveValue) return {};
  const bool covered =
      std::visit([&](const auto& state) { return state.CoveredBy(change.context); }, state_);
  return covered ? base::Status() : lost("the key has changed since the context was given out");
}

base::Result<Applied> Object::Apply(Change&& change, const Author& author) {
  const auto apply = [&]<typename State>(State& state) -> base::Result<Applied> {
    if constexpr (Merges(State::kKind)) {
      if (!change.joins_what_is_read) return state.Apply(std::move(change), author);
      const auto read = Decode(change.read);
      const auto* found = read ? std::get_if<State>(&read->state_) : nullptr;
      if (found == nullptr) return Fail(Code::kInternal, "a removal has read nothing before");
      return state.Apply(std::move(change), author, found);
    } else {
      return state.Apply(std::move(change), author);
    }
  };
  return std::visit(apply, state_);
}

void Object::Inform(Change* change) const {
  if (change->joins_what_is_read) change->read = Encode();
  if (const auto id = Id()) change->above = id->stamp;
  if (change->sees_what_is_read) change->context = WholeContext();
}

std::optional<RegisterId> Object::Id() const {
  return lww() != nullptr ? std::optional(lww()->Id()) : std::nullopt;
}

bool Object::Loses(const Object& other) const {
  return Id() && other.Id() && lww()->Loses(*other.lww());
}

Change Object::Again() && {
  LARIAT_CHECK(lww() != nullptr, "it is ordered by clock");
  Change change;
  change.kind = kind();
  change.value = std::move(lww()->value);
  change.instead_of = lww()->Id();
  return change;
}

// --- what is shown and kept ----------------------------------------------------------------------

std::vector<ValueView> Object::LiveValues(base::WallTime now) const {
  std::vector<ValueView> live;
  live.reserve(StoredValues());
  ForEachValue([&](const Dot& dot, const Value& value) {
    if (value.LiveAt(now)) live.push_back({dot, &value});
  });
  return live;
}

std::optional<Value> Object::Merged(base::WallTime now) const {
  const auto show = [now]<typename State>(const State& state) -> std::optional<Value> {
    if constexpr (Merges(State::kKind)) return state.Show(now);
    return std::nullopt;
  };
  return std::visit(show, state_);
}

const MergingState* Object::merging() const {
  return std::visit(
      [](const auto& state) -> const MergingState* {
        if constexpr (std::is_base_of_v<MergingState, std::decay_t<decltype(state)>>) return &state;
        return nullptr;
      },
      state_);
}

bool Object::HasLiveValue(base::WallTime now) const {
  bool live = false;
  ForEachValue([&](const Dot&, const Value& value) { live |= value.LiveAt(now); });
  return live;
}

size_t Object::StoredValues() const {
  size_t values = 0;
  ForEachValue([&values](const Dot&, const Value&) { ++values; });
  return values;
}

bool Object::HasTombstone() const {
  bool tombstone = false;
  ForEachValue([&](const Dot&, const Value& value) { tombstone |= value.tombstone; });
  return tombstone;
}

ObjectTraits Object::Traits() const {
  // Nothing of an agreed kind is ever purged or folded, and it expires by agreement.
  if (Empty() || causal::IsAgreed(kind())) return {};
  ObjectTraits traits{true, false, false};
  traits.foldable = std::visit([](const auto& state) { return state.CanFold(); }, state_);
  ForEachValue([&traits](const Dot&, const Value& value) {
    traits.tombstone &= value.tombstone;
    traits.expiring |= !value.tombstone && value.expires_ms != 0;
  });
  return traits;
}

std::map<uint64_t, uint64_t> Object::VersionOf(const Dot& dot) const {
  const bool is_stamp = IsOrderedByClock(kind());
  const HlcStamp stamp{dot.counter};
  return {{dot.actor.node, is_stamp ? static_cast<uint64_t>(stamp.WallMs()) : dot.counter}};
}

}  // namespace lariat::causal

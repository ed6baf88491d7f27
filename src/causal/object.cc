// SPDX-License-Identifier: Apache-2.0
#include "causal/object.h"

namespace lariat::causal {
namespace {

constexpr uint8_t kObjectVersion = 1;

// Room for what surrounds the bytes of one value or one history entry, so that Encode seldom grows.
constexpr size_t kOverheadBytes = 40;

size_t BytesOf(const Value& value) {
  return value.bytes.size() + value.content_type.size() + kOverheadBytes;
}

base::Result<Object> Corrupt(const char* what) {
  return base::Fail(base::Code::kCorruption, std::string("object: ") + what);
}

}  // namespace

Object::Object(Kind kind) {
  if (kind == Kind::kLww) state_ = LwwRegister{};
}

base::Result<Object> Object::Decode(std::string_view bytes) {
  base::ByteReader in(bytes);
  if (in.U8() != kObjectVersion) return Corrupt("unknown version");
  const uint8_t kind = in.U8();
  if (kind == static_cast<uint8_t>(Kind::kSiblings)) {
    auto state = DvvSet::Decode(&in);
    if (!state || !in.AtEnd()) return Corrupt("not canonical");
    Object object(Kind::kSiblings);
    object.state_ = std::move(*state);
    return object;
  }
  if (kind == static_cast<uint8_t>(Kind::kLww)) {
    auto state = LwwRegister::Decode(&in);
    if (!state || !in.AtEnd()) return Corrupt("not canonical");
    Object object(Kind::kLww);
    object.state_ = std::move(*state);
    return object;
  }
  return Corrupt("unknown kind");
}

std::optional<RegisterId> Object::RegisterIdOf(std::string_view encoded) {
  base::ByteReader in(encoded);
  if (in.U8() != kObjectVersion || in.U8() != static_cast<uint8_t>(Kind::kLww)) return std::nullopt;
  RegisterId id;
  id.stamp.packed = in.U64();
  id.node = in.U64();
  if (!in.ok()) return std::nullopt;
  return id;
}

std::string Object::Encode() const {
  size_t bytes_expected = kOverheadBytes;
  if (dvv() != nullptr) {
    bytes_expected += dvv()->history().entries().size() * kOverheadBytes;
    for (const DottedValue& v : dvv()->values()) bytes_expected += BytesOf(v.value);
  } else {
    bytes_expected += BytesOf(lww()->value);
  }
  std::string bytes;
  bytes.reserve(bytes_expected);
  base::ByteWriter out(&bytes);
  out.U8(kObjectVersion);
  out.U8(static_cast<uint8_t>(kind()));
  std::visit([&out](const auto& state) { state.Encode(&out); }, state_);
  return bytes;
}

Kind Object::kind() const { return dvv() != nullptr ? Kind::kSiblings : Kind::kLww; }

bool Object::Empty() const {
  // Not the stamp alone: a client may give timestamp 0 to a write that was acknowledged.
  return dvv() != nullptr ? dvv()->history().Empty() : *lww() == LwwRegister{};
}

base::Status Object::Join(const Object& other) {
  if (kind() != other.kind()) {
    return base::Fail(base::Code::kConflict, "states of two kinds of bucket cannot be merged");
  }
  if (dvv() != nullptr) {
    dvv()->Join(*other.dvv());
  } else {
    lww()->Join(*other.lww());
  }
  return {};
}

std::vector<ValueView> Object::LiveValues(base::WallTime now) const {
  std::vector<ValueView> live;
  if (dvv() != nullptr) {
    live.reserve(dvv()->values().size());
    for (const DottedValue& v : dvv()->values()) {
      if (v.value.LiveAt(now)) live.push_back({v.dot, &v.value});
    }
  } else if (!Empty() && lww()->value.LiveAt(now)) {
    live.push_back({Dot{Actor{lww()->node, 0, 0}, lww()->stamp.packed}, &lww()->value});
  }
  return live;
}

size_t Object::StoredValues() const {
  return dvv() != nullptr ? dvv()->values().size() : (Empty() ? 0 : 1);
}

bool Object::HasTombstone() const {
  if (dvv() == nullptr) return lww()->value.tombstone;
  for (const DottedValue& v : dvv()->values()) {
    if (v.value.tombstone) return true;
  }
  return false;
}

ObjectTraits Object::Traits() const {
  if (Empty()) return {};
  if (dvv() == nullptr) {
    const Value& value = lww()->value;
    return {value.tombstone, !value.tombstone && value.expires_ms != 0, false};
  }
  ObjectTraits traits{true, false, dvv()->CanFold()};
  for (const DottedValue& v : dvv()->values()) {
    traits.tombstone = traits.tombstone && v.value.tombstone;
    traits.expiring = traits.expiring || (!v.value.tombstone && v.value.expires_ms != 0);
  }
  return traits;
}

bool Object::Fold() { return dvv() != nullptr && dvv()->Fold(); }

Context Object::WholeContext() const {
  Context context;
  if (dvv() == nullptr) {
    context.lww_stamp = lww()->stamp;
    context.lww_node = lww()->node;
    return context;
  }
  // Half of the limits: the replies to the client's later writes add to the context.
  const DotSet& history = dvv()->history();
  const bool fits = history.entries().size() <= kContextActorsMax / 2 &&
                    history.DotsInClouds() <= kContextCloudMax / 2;
  if (fits) {
    context.seen = history;
  } else {
    for (const DottedValue& v : dvv()->values()) context.seen.Add(v.dot);
  }
  return context;
}

std::map<uint64_t, uint64_t> Object::Version() const {
  std::map<uint64_t, uint64_t> version;
  if (dvv() != nullptr) {
    for (const DotSet::Entry& entry : dvv()->history().entries()) {
      version[entry.actor.node] += entry.Max();
    }
  } else if (!Empty()) {
    version[lww()->node] = static_cast<uint64_t>(lww()->stamp.WallMs());
  }
  return version;
}

std::map<uint64_t, uint64_t> Object::VersionOf(const Dot& dot) const {
  const bool stamp = kind() == Kind::kLww;
  const uint64_t counter =
      stamp ? static_cast<uint64_t>(HlcStamp{dot.counter}.WallMs()) : dot.counter;
  return {{dot.actor.node, counter}};
}

}  // namespace lariat::causal

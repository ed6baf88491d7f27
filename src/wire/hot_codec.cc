// SPDX-License-Identifier: Apache-2.0
#include "wire/hot_codec.h"

#include <bit>
#include <cstring>
#include <type_traits>

namespace lariat::wire {
namespace {

static_assert(std::endian::native == std::endian::little, "fixed64 is little-endian");

// The wire types that a tag has beside the number of the field.
constexpr uint32_t kVarint = 0, kFixed64 = 1, kBytes = 2;

constexpr uint32_t Tag(uint32_t field, uint32_t type) { return field << 3 | type; }
constexpr uint32_t kIdTag = Tag(1, kFixed64);
constexpr uint32_t kEpochTag = Tag(2, kVarint);

// Numbers of the fields of each message. Visit names them in order, with their type: the writer,
// the one who counts and the reader are visitors. All of them are one byte as a tag.
template <typename Message>
struct Fields;
template <>
struct Fields<ReadRequest> {
  static constexpr uint32_t kBody = 5;
  template <typename M, typename Visitor>
  static void Visit(M& m, Visitor& v) {
    v.Number(1, m.bucket);
    v.Fixed(2, m.token);
    v.Bytes(3, m.key);
    v.Number(4, m.digest_only);
    v.Bytes(5, m.idempotency_key);
    v.Fixed(6, m.hint_for);
  }
};
template <>
struct Fields<ReadReply> {
  static constexpr uint32_t kBody = 6;
  template <typename M, typename Visitor>
  static void Visit(M& m, Visitor& v) {
    v.Number(2, m.found);
    v.Bytes(3, m.object);
    v.Fixed(4, m.digest.high);
    v.Fixed(5, m.digest.low);
    v.Bytes(6, m.idempotency_answer);
  }
};
template <>
struct Fields<WriteRequest> {
  static constexpr uint32_t kBody = 7;
  template <typename M, typename Visitor>
  static void Visit(M& m, Visitor& v) {
    v.Number(1, m.bucket);
    v.Fixed(2, m.token);
    v.Bytes(3, m.key);
    v.Bytes(4, m.object);
    v.Number(5, m.durability);
    v.Number(6, m.repair);
    v.Bytes(7, m.idempotency_key);
    v.Bytes(8, m.idempotency_answer);
    v.Fixed(9, m.hint_for);
  }
};
template <>
struct Fields<WriteReply> {
  static constexpr uint32_t kBody = 8;
  template <typename M, typename Visitor>
  static void Visit(M& m, Visitor& v) {
    v.Number(2, m.standing);
    v.Fixed(3, m.greater.packed);
  }
};

// What codec.cc leaves to its own rules.
bool IsPlain(const ReadRequest& m) { return m.promise.IsZero(); }
bool IsPlain(const ReadReply& m) { return m.outcome.ok() && m.promised.IsZero(); }
bool IsPlain(const WriteRequest& m) {
  return m.next.IsZero() && (!m.idempotency_key.empty() || m.idempotency_answer.empty());
}
bool IsPlain(const WriteReply& m) {
  return m.outcome.ok() && m.promised.IsZero() &&
         (m.standing != causal::Standing::kHeld || m.greater.packed == 0);
}
template <typename Message>
bool IsValid(const Message&) {
  return true;
}
bool IsValid(const WriteRequest& m) { return m.durability >= 1 && m.durability <= 3; }
bool IsValid(const WriteReply& m) { return m.standing <= causal::Standing::kUnsure; }

constexpr size_t VarintSize(uint64_t value) {
  return (static_cast<size_t>(std::bit_width(value | 1)) + 6) / 7;
}

struct Counter {
  template <typename T>
  void Number(uint32_t, T value) {
    if (value != T{}) size += 1 + VarintSize(static_cast<uint64_t>(value));
  }
  void Fixed(uint32_t, uint64_t value) { size += value != 0 ? 9 : 0; }
  void Bytes(uint32_t, const std::string& value) {
    if (!value.empty()) size += 1 + VarintSize(value.size()) + value.size();
  }
  size_t size = 0;
};

// Into room that is large enough.
struct Writer {
  void Byte(uint32_t value) { *at++ = static_cast<char>(value); }
  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) Byte(static_cast<uint32_t>(value & 0x7f) | 0x80);
    Byte(static_cast<uint32_t>(value));
  }
  void Copy(const void* from, size_t size) {
    std::memcpy(at, from, size);
    at += size;
  }
  template <typename T>
  void Number(uint32_t field, T value) {
    if (value == T{}) return;
    Byte(Tag(field, kVarint));
    Varint(static_cast<uint64_t>(value));
  }
  void Fixed(uint32_t field, uint64_t value) {
    if (value == 0) return;
    Byte(Tag(field, kFixed64));
    Copy(&value, sizeof(value));
  }
  void Bytes(uint32_t field, const std::string& value) {
    if (value.empty()) return;
    Byte(Tag(field, kBytes));
    Varint(value.size());
    Copy(value.data(), value.size());
  }
  char* at;
};

// Takes what Writer writes and nothing else: fields in order, none that is zero, numbers in their
// shortest form. After the first thing that is not so, `ok` is false for good.
struct Reader {
  explicit Reader(std::string_view bytes) : rest(bytes) {}
  bool Takes(uint32_t tag) {
    if (rest.empty() || static_cast<uint8_t>(rest[0]) != tag) return false;
    rest.remove_prefix(1);
    return true;
  }
  uint64_t Varint() {
    uint64_t value = 0;
    for (uint32_t shift = 0; shift < 63 && !rest.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest[0]);
      rest.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) {
        ok = ok && (byte != 0 || shift == 0);
        return value;
      }
    }
    ok = false;  // cut off, or larger than what is sent of these messages
    return 0;
  }
  uint64_t Eight() {
    uint64_t value = 0;
    if (rest.size() < sizeof(value)) {
      ok = false;
      return 0;
    }
    std::memcpy(&value, rest.data(), sizeof(value));
    rest.remove_prefix(sizeof(value));
    return value;
  }
  template <typename T>
  void Number(uint32_t field, T& to) {
    if (!Takes(Tag(field, kVarint))) return;
    const uint64_t value = Varint();
    to = static_cast<T>(value);
    ok = ok && value != 0 && static_cast<uint64_t>(to) == value;
  }
  void Fixed(uint32_t field, uint64_t& to) {
    if (!Takes(Tag(field, kFixed64))) return;
    to = Eight();
    ok = ok && to != 0;
  }
  void Bytes(uint32_t field, std::string& to) {
    if (!Takes(Tag(field, kBytes))) return;
    const uint64_t size = Varint();
    ok = ok && size > 0 && size <= rest.size();
    if (!ok) return;
    to.assign(rest.data(), size);
    rest.remove_prefix(size);
  }
  std::string_view rest;
  bool ok = true;
};

template <typename Message>
bool Append(const Envelope& envelope, const Message& message, std::string* out) {
  if (!IsPlain(message)) return false;
  Counter body;
  Fields<Message>::Visit(message, body);
  Counter head;
  head.Fixed(1, envelope.id);
  head.Number(2, envelope.epoch);
  const size_t start = out->size();
  out->resize(start + head.size + 1 + VarintSize(body.size) + body.size);
  Writer w{out->data() + start};
  w.Fixed(1, envelope.id);
  w.Number(2, envelope.epoch);
  w.Byte(Tag(Fields<Message>::kBody, kBytes));
  w.Varint(body.size);
  Fields<Message>::Visit(message, w);
  return true;
}

template <typename Message>
bool Take(Reader& r, Body* body) {
  if (!r.Takes(Tag(Fields<Message>::kBody, kBytes))) return false;
  const uint64_t size = r.Varint();
  if (!r.ok || size != r.rest.size()) return false;
  auto& message = body->emplace<Message>();
  if constexpr (requires { message.durability; }) message.durability = 0;  // as in the schema
  Fields<Message>::Visit(message, r);
  return r.ok && r.rest.empty() && IsPlain(message) && IsValid(message);
}

}  // namespace

bool AppendHot(const Envelope& envelope, std::string* out) {
  return std::visit(
      [&](const auto& message) {
        if constexpr (requires { Fields<std::decay_t<decltype(message)>>::kBody; }) {
          return Append(envelope, message, out);
        } else {
          return false;
        }
      },
      envelope.body);
}

std::optional<Envelope> DecodeHot(std::string_view bytes) {
  Reader r(bytes);
  std::optional<Envelope> envelope(std::in_place);
  if (r.Takes(kIdTag)) envelope->id = r.Eight();
  if (r.Takes(kEpochTag)) envelope->epoch = r.Varint();
  const bool taken =
      r.ok && (Take<ReadReply>(r, &envelope->body) || Take<WriteRequest>(r, &envelope->body) ||
               Take<ReadRequest>(r, &envelope->body) || Take<WriteReply>(r, &envelope->body));
  if (!taken) envelope.reset();
  return envelope;
}

}  // namespace lariat::wire

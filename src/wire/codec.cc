// SPDX-License-Identifier: Apache-2.0
#include "wire/codec.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <type_traits>

#include "base/coding.h"
#include "base/hash.h"
#include "messages.pb.h"
#include "wire/hot_codec.h"

namespace lariat::wire {
namespace {

constexpr uint32_t kCodeMax = static_cast<uint32_t>(base::Code::kTooManyElements);

// For nodes that do not know the code, and would take the message for damaged.
base::Code EarlierCode(base::Code code) {
  switch (code) {
    case base::Code::kObjectTooLarge:
    case base::Code::kElementTooLarge:
    case base::Code::kOperationTooLarge:
    case base::Code::kTooManyElements:
      return base::Code::kTooLarge;
    case base::Code::kWrongType:
      return base::Code::kConflict;
    case base::Code::kClockOff:
      return base::Code::kUnavailable;
    default:
      return code;
  }
}

void PutOutcome(Outcome&& from, pb::Outcome* to) {
  const base::Code earlier = EarlierCode(from.code);
  to->set_code(static_cast<uint32_t>(earlier));
  if (earlier != from.code) to->set_exact(static_cast<uint32_t>(from.code));
  if (!from.error.empty()) to->set_error(std::move(from.error));
  to->set_needed(from.needed);
  to->set_alive(from.alive);
  if (!from.winner) return;
  to->set_winner_version(from.winner->version);
  if (from.winner->value) to->set_winner_value(*from.winner->value);
}

bool TakeOutcome(const pb::Outcome& from, Outcome* to) {
  if (from.code() > kCodeMax) return false;
  const bool exact = from.exact() > 0 && from.exact() <= kCodeMax;
  const auto code = static_cast<base::Code>(exact ? from.exact() : from.code());
  *to = {code, from.error(), from.needed(), from.alive()};
  if (!from.has_winner_version()) return true;
  base::Winner winner{from.winner_version(), std::nullopt};
  if (from.has_winner_value()) winner.value = from.winner_value();
  to->winner = std::make_shared<const base::Winner>(std::move(winner));
  return true;
}

// 0: a value that does not merge.
uint32_t NumberOfShown(const causal::Shown& shown) {
  return shown.Merges() ? static_cast<uint32_t>(shown.kind) : 0;
}
causal::Shown ShownOf(uint32_t kind, std::optional<std::string> bytes) {
  const auto known = causal::KindOf(kind);
  return known ? causal::Shown{*known, std::move(bytes)} : causal::Shown{};
}

// What the table does not say of a message: here, and in TakeRest.
template <typename Message, typename Pb>
void PutRest(const Message&, Pb*) {}
void PutRest(const WriteRequest& from, pb::WriteRequest* to) {
  if (from.next.IsZero()) to->clear_next();
  if (to->idempotency_key().empty()) to->clear_idempotency_answer();
}
void PutRest(const WriteReply& from, pb::WriteReply* to) {
  if (from.standing == causal::Standing::kHeld) to->clear_greater();
  if (from.promised.IsZero()) to->clear_promised();
}
void PutRest(const ReadRequest& from, pb::ReadRequest* to) {
  if (from.promise.IsZero()) to->clear_promise();
}
void PutRest(const ReadReply& from, pb::ReadReply* to) {
  if (from.promised.IsZero()) to->clear_promised();
}
void PutRest(const ForwardedWrite& from, pb::ForwardedWrite* to) {
  to->set_timeout_ms(static_cast<uint64_t>(from.timeout_ms));
}
void PutRest(const ForwardedWriteReply& from, pb::ForwardedWriteReply* to) {
  to->set_shown_kind(NumberOfShown(from.shown));
  if (from.shown.bytes) to->set_shown(*from.shown.bytes);
}
void PutRest(const JoinRequest& from, pb::JoinRequest* to) {
  if (from.founder.IsNil()) to->clear_founder();
  if (from.cluster.IsNil()) to->clear_cluster();
}
void PutRest(const TreeReply::Hash& from, pb::TreeReply::Hash* to) { to->set_unknown(!from.known); }
void PutRest(const SweepRequest& from, pb::SweepRequest* to) {
  to->set_aim(static_cast<uint32_t>(from.aim));
}
void PutRest(const Refused&, pb::Refused* to) { to->mutable_outcome(); }

template <typename Pb, typename Message>
bool TakeRest(const Pb&, Message*) {
  return true;
}
bool TakeRest(const pb::WriteRequest& from, WriteRequest*) {
  return from.durability() >= 1 && from.durability() <= 3;
}
bool TakeRest(const pb::ForwardedWrite& from, ForwardedWrite* to) {
  to->timeout_ms = static_cast<int64_t>(std::min<uint64_t>(from.timeout_ms(), INT32_MAX));
  return true;
}
bool TakeRest(const pb::ForwardedWriteReply& from, ForwardedWriteReply* to) {
  to->shown =
      ShownOf(from.shown_kind(), from.has_shown() ? std::optional(from.shown()) : std::nullopt);
  return true;
}
bool TakeRest(const pb::TreeReply::Hash& from, TreeReply::Hash* to) {
  to->known = !from.unknown();
  return true;
}
bool TakeRest(const pb::SweepRequest& from, SweepRequest* to) {
  const bool fold = from.aim() == static_cast<uint32_t>(SweepStep::kFold);
  to->aim = fold ? SweepStep::kFold : SweepStep::kPurge;  // purging asks for more
  return true;
}

// The types of members, each in both directions. False: the message is not valid.
template <typename T>
constexpr bool kIsNumber = std::is_arithmetic_v<T> || std::is_enum_v<T>;

template <typename T>
auto NumberOf(T value) {
  if constexpr (std::is_enum_v<T>) {
    return static_cast<uint32_t>(value);
  } else {
    return value;
  }
}
template <typename Number, typename T>
bool TakeNumber(Number from, T* to) {
  static_assert(std::is_arithmetic_v<T>, "an enum says what becomes of a later value");
  *to = static_cast<T>(from);
  return true;
}
template <typename Enum>
bool TakeKnown(uint32_t from, Enum last, Enum* to) {
  if (from > static_cast<uint32_t>(last)) return false;
  *to = static_cast<Enum>(from);
  return true;
}
bool TakeNumber(uint32_t from, PushKind* to) { return TakeKnown(from, PushKind::kHint, to); }
bool TakeNumber(uint32_t from, ScanForm* to) { return TakeKnown(from, ScanForm::kObjects, to); }
bool TakeNumber(uint32_t from, SweepStep* to) { return TakeKnown(from, SweepStep::kFold, to); }
// What is not known yet counts as what is none of the others.
bool TakeNumber(uint32_t from, RunPhase* to) {
  if (!TakeKnown(from, RunPhase::kAside, to)) *to = RunPhase::kStarting;
  return true;
}
// What a later version may say is no promise that this one knows.
bool TakeNumber(uint32_t from, causal::Standing* to) {
  if (!TakeKnown(from, causal::Standing::kUnsure, to)) *to = causal::Standing::kUnsure;
  return true;
}

// Empty bytes and lists are not sent, so nothing is allocated for them.
template <typename T>
bool IsAnything(const T& value) {
  if constexpr (requires { value.empty(); }) {
    return !value.empty();
  } else {
    return true;
  }
}

// One specialization of each per row that begins a message or a piece.
template <typename T>
struct Putter;
template <typename T>
struct Taker;

template <typename T, typename Pb>
void PutValue(T&& from, Pb* to) {
  Putter<T>::Put(std::move(from), to);
}
template <typename Pb, typename T>
bool TakeValue(Pb* from, T* to) {
  return Taker<T>::Take(from, to);
}

void PutValue(std::string&& from, std::string* to) { *to = std::move(from); }
bool TakeValue(std::string* from, std::string* to) {
  *to = std::move(*from);
  return true;
}

using Versions = std::map<std::string, uint64_t>;
template <typename Map>
void PutValue(Versions&& from, Map* to) {
  for (const auto& [node, events] : from) (*to)[node] = events;
}
template <typename Map>
bool TakeValue(Map* from, Versions* to) {
  for (const auto& [node, events] : *from) (*to)[node] = events;
  return true;
}

void PutValue(std::vector<SweepState>&& from, std::string* to) {
  for (const SweepState state : from) to->push_back(static_cast<char>(state));
}
bool TakeValue(std::string* from, std::vector<SweepState>* to) {
  if (from->size() > kRecordsMax) return false;
  to->resize(from->size());
  for (size_t i = 0; i < from->size(); ++i) {
    if (!TakeKnown(static_cast<uint8_t>((*from)[i]), SweepState::kBusy, &(*to)[i])) return false;
  }
  return true;
}

template <typename T>
constexpr size_t kListMax = kRecordsMax;
template <>
constexpr size_t kListMax<TokenSpan> = kSpansMax;
template <>
constexpr size_t kListMax<TreeReply::Hash> = kSpansMax;
template <>
constexpr size_t kListMax<RangePage::Entry> = SIZE_MAX;  // as many as a message can hold
template <>
constexpr size_t kListMax<ScanReply::Entry> = SIZE_MAX;

template <typename T, typename List>
void PutValue(std::vector<T>&& from, List* to) {
  to->Reserve(static_cast<int>(from.size()));
  for (T& value : from) PutValue(std::move(value), to->Add());
}
template <typename List, typename T>
bool TakeValue(List* from, std::vector<T>* to) {
  if (static_cast<size_t>(from->size()) > kListMax<T>) return false;
  to->reserve(static_cast<size_t>(from->size()));
  for (auto& value : *from) {
    if (!TakeValue(&value, &to->emplace_back())) return false;
  }
  return true;
}

// Encoding: moved out of the value.
#define LARIAT_PIECE(Struct)              \
  template <>                             \
  struct Putter<Struct> {                 \
    template <typename From, typename Pb> \
    static void Put(From&& from, Pb* to) {
#define LARIAT_MESSAGE(Struct, body)                                   \
  template <>                                                          \
  struct Putter<Struct> {                                              \
    static auto* In(pb::Envelope* to) { return to->mutable_##body(); } \
    template <typename From, typename Pb>                              \
    static void Put(From&& from, Pb* to) {
#define LARIAT_PART_AS(member, name)                        \
  if constexpr (kIsNumber<decltype(from.member)>) {         \
    to->set_##name(NumberOf(from.member));                  \
  } else if (IsAnything(from.member)) {                     \
    PutValue(std::move(from.member), to->mutable_##name()); \
  }
#define LARIAT_PART(name) LARIAT_PART_AS(name, name)
#define LARIAT_MAYBE_AS(member, name) \
  if (from.member) to->set_##name(std::move(*from.member));
#define LARIAT_END() \
  PutRest(from, to); \
  }                  \
  }                  \
  ;
#include "wire/messages.def"
#undef LARIAT_PIECE
#undef LARIAT_MESSAGE
#undef LARIAT_PART_AS
#undef LARIAT_MAYBE_AS
#undef LARIAT_END

// Decoding: moved out of the message, into a value as it begins.
#define LARIAT_PIECE(Struct)            \
  template <>                           \
  struct Taker<Struct> {                \
    template <typename Pb, typename To> \
    static bool Take(Pb* from, To* to) {
#define LARIAT_MESSAGE(Struct, body) LARIAT_PIECE(Struct)
#define LARIAT_PART_AS(member, name)                                   \
  if constexpr (kIsNumber<decltype(to->member)>) {                     \
    if (!TakeNumber(from->name(), &to->member)) return false;          \
  } else if (IsAnything(from->name())) {                               \
    if (!TakeValue(from->mutable_##name(), &to->member)) return false; \
  }
#define LARIAT_MAYBE_AS(member, name)                     \
  if (from->has_##name()) {                               \
    if constexpr (requires { from->mutable_##name(); }) { \
      to->member = std::move(*from->mutable_##name());    \
    } else {                                              \
      to->member = from->name();                          \
    }                                                     \
  }
#define LARIAT_END()          \
  return TakeRest(*from, to); \
  }                           \
  }                           \
  ;
#include "wire/messages.def"
#undef LARIAT_PIECE
#undef LARIAT_MESSAGE
#undef LARIAT_PART_AS
#undef LARIAT_MAYBE_AS
#undef LARIAT_PART
#undef LARIAT_END

void PutBody(std::monostate&&, pb::Envelope*) {}
template <typename Message>
void PutBody(Message&& from, pb::Envelope* envelope) {
  auto* to = Putter<Message>::In(envelope);
  if constexpr (requires { from.outcome; }) {
    if (!from.outcome.ok()) PutOutcome(std::move(from.outcome), to->mutable_outcome());
  }
  Putter<Message>::Put(std::move(from), to);
}

template <typename Pb, typename Message>
bool TakeMessage(Pb* from, Message* to) {
  if constexpr (requires { to->outcome; }) {
    if (from->has_outcome() && !TakeOutcome(from->outcome(), &to->outcome)) return false;
  }
  return Taker<Message>::Take(from, to);
}
bool TakeBody(pb::Envelope* m, Body* body) {
#define LARIAT_PIECE(Struct)
#define LARIAT_MESSAGE(Struct, name) \
  if (m->has_##name()) return TakeMessage(m->mutable_##name(), &body->emplace<Struct>());
#define LARIAT_PART(name)
#define LARIAT_PART_AS(member, name)
#define LARIAT_MAYBE_AS(member, name)
#define LARIAT_END()
#include "wire/messages.def"
#undef LARIAT_PIECE
#undef LARIAT_MESSAGE
#undef LARIAT_PART
#undef LARIAT_PART_AS
#undef LARIAT_MAYBE_AS
#undef LARIAT_END
  return false;
}

// For messages with maps, which otherwise come in an order that hangs on addresses: equal messages
// have equal bytes, so answers that are stored can be compared and simulated runs repeated.
void AppendWithSortedMaps(const google::protobuf::MessageLite& message, std::string* out) {
  const size_t start = out->size();
  const size_t size = message.ByteSizeLong();
  out->resize(start + size);
  google::protobuf::io::ArrayOutputStream array(out->data() + start, static_cast<int>(size));
  google::protobuf::io::CodedOutputStream coded(&array);
  coded.SetSerializationDeterministic(true);
  message.SerializeWithCachedSizes(&coded);
}

void AppendBySchema(Envelope&& envelope, std::string* out) {
  pb::Envelope m;
  m.set_id(envelope.id);
  m.set_epoch(envelope.epoch);
  std::visit([&m](auto&& body) { PutBody(std::move(body), &m); }, std::move(envelope.body));
  if (m.has_forwarded_write_reply()) return AppendWithSortedMaps(m, out);
  m.AppendToString(out);
}

}  // namespace

void AppendEnvelope(Envelope&& envelope, std::string* out) {
  if (!AppendHot(envelope, out)) AppendBySchema(std::move(envelope), out);
}

std::string EncodeBySchema(Envelope envelope) {
  std::string out;
  AppendBySchema(std::move(envelope), &out);
  return out;
}
std::string EncodeEnvelope(Envelope envelope) {
  std::string out;
  AppendEnvelope(std::move(envelope), &out);
  return out;
}

std::optional<Envelope> DecodeEnvelope(std::string_view bytes) {
  auto envelope = DecodeHot(bytes);
  if (!envelope) envelope = DecodeBySchema(bytes);
  return envelope;
}

std::optional<Envelope> DecodeBySchema(std::string_view bytes) {
  pb::Envelope m;
  if (!m.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  Envelope envelope{m.id(), m.epoch(), {}};
  if (!TakeBody(&m, &envelope.body)) return std::nullopt;
  return envelope;
}

Envelope RefusalInPlaceOf(Envelope reply, const base::Error& why) {
  const auto refuse = [&why](auto& body) {
    using Reply = std::remove_reference_t<decltype(body)>;
    if constexpr (std::is_same_v<Reply, RangePage>) {
      body.entries.clear();
      body.checksum = PageChecksum(body.entries);
      body.outcome = Outcome::From(why);
      // As records that cannot be read: what stands behind them is asked for.
      if (why.code == base::Code::kTooLarge) body.outcome.code = base::Code::kCorruption;
    } else if constexpr (requires { body.outcome; }) {
      body = Reply{};
      body.outcome = Outcome::From(why);
    }
  };
  std::visit(refuse, reply.body);
  return reply;
}

uint64_t PageChecksum(const std::vector<RangePage::Entry>& entries) {
  std::string hashes;
  base::ByteWriter w(&hashes);
  for (const RangePage::Entry& entry : entries) {
    w.U64(base::Hash64(entry.key));
    w.U64(base::Hash64(entry.object));
  }
  return base::Hash64(hashes);
}

std::string EncodeWriteAnswer(const WriteAnswer& answer) {
  pb::WriteAnswer m;
  m.set_context(answer.context);
  for (const auto& [node, events] : answer.version) (*m.mutable_version())[node] = events;
  m.set_written_ms(answer.written_ms);
  m.set_shown_kind(NumberOfShown(answer.shown));
  if (answer.shown.bytes) m.set_shown(*answer.shown.bytes);
  std::string bytes;
  AppendWithSortedMaps(m, &bytes);
  return bytes;
}

std::optional<WriteAnswer> DecodeWriteAnswer(std::string_view bytes) {
  pb::WriteAnswer m;
  if (!m.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  WriteAnswer answer{std::move(*m.mutable_context()), {}, m.written_ms()};
  for (const auto& [node, events] : m.version()) answer.version[node] = events;
  answer.shown = ShownOf(m.shown_kind(), m.has_shown() ? std::optional(m.shown()) : std::nullopt);
  return answer;
}

}  // namespace lariat::wire

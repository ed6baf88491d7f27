// SPDX-License-Identifier: Apache-2.0
#include "causal/serial/serial.h"

namespace lariat::causal {
namespace {

using base::Code;
using base::Fail;

constexpr size_t kObjectHeadBytes = 2;  // version and kind (object.h)
constexpr uint8_t kSerialObjectVersion = 1;
constexpr size_t kAnswersDecodedMax = 4096;

void EncodeSerialBody(const SerialState& state, base::ByteWriter* out) {
  out->Varint(state.version);
  EncodeValue(state.value, out);
  out->Varint(state.answers.size());
  for (const SerialState::Answer& answer : state.answers) {
    out->U64(answer.id.high);
    out->U64(answer.id.low);
    out->Varint(static_cast<uint64_t>(answer.written_ms));
    out->U8(answer.lost ? 1 : 0);
    out->Varint(answer.version);
  }
}

SerialState DecodeSerialBody(base::ByteReader* in) {
  SerialState state;
  state.version = in->Varint();
  state.value = DecodeValue(in);
  const uint64_t answers = in->Varint();
  if (answers > kAnswersDecodedMax) in->MarkBad();
  for (uint64_t i = 0; i < answers && in->ok(); ++i) {
    SerialState::Answer& answer = state.answers.emplace_back();
    answer.id.high = in->U64();
    answer.id.low = in->U64();
    answer.written_ms = static_cast<int64_t>(in->Varint());
    const uint8_t lost = in->U8();
    if (lost > 1) in->MarkBad();
    answer.lost = lost == 1;
    answer.version = in->Varint();
  }
  return state;
}

}  // namespace

base::Result<Applied> SerialState::Apply(Change&& /*change*/, const Author& /*author*/) {
  return Fail(Code::kInvalidArgument, "the bucket is serial: its keys take no plain writes");
}

size_t SerialState::BytesExpected() const {
  return consensus::Ballot::kBytes + value.BytesExpected() + answers.size() * 40;
}

void SerialState::Encode(base::ByteWriter* out) const {
  accepted.Encode(out);
  EncodeSerialBody(*this, out);
}

std::optional<SerialState> SerialState::Decode(base::ByteReader* in) {
  const consensus::Ballot accepted = consensus::Ballot::Decode(in);
  SerialState state = DecodeSerialBody(in);
  state.accepted = accepted;
  if (!in->ok()) return std::nullopt;
  if (state.Empty() && state != SerialState{}) return std::nullopt;
  return state;
}

std::string SerialState::Body() const {
  std::string body;
  base::ByteWriter out(&body);
  EncodeSerialBody(*this, &out);
  return body;
}

base::Result<SerialState> SerialState::OfBody(std::string_view body) {
  base::ByteReader in(body);
  SerialState state = DecodeSerialBody(&in);
  if (!in.AtEnd()) return Fail(Code::kCorruption, "malformed state of a serial key");
  return state;
}

std::optional<SerialParts> SerialPartsOf(std::string_view object) {
  base::ByteReader in(object);
  const bool known = in.U8() == kSerialObjectVersion;
  const bool serial = in.U8() == static_cast<uint8_t>(Kind::kSerial);
  SerialParts parts;
  parts.accepted = consensus::Ballot::Decode(&in);
  if (!in.ok() || !known || !serial) return std::nullopt;
  parts.body = object.substr(kObjectHeadBytes + consensus::Ballot::kBytes);
  return parts;
}

std::string SerialObject(const consensus::Ballot& accepted, std::string_view body) {
  std::string object;
  object.reserve(kObjectHeadBytes + consensus::Ballot::kBytes + body.size());
  base::ByteWriter out(&object);
  out.U8(kSerialObjectVersion);
  out.U8(static_cast<uint8_t>(Kind::kSerial));
  accepted.Encode(&out);
  out.Raw(body);
  return object;
}

}  // namespace lariat::causal

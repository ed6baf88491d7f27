// SPDX-License-Identifier: Apache-2.0
// Envelopes to bytes and back, through Protocol Buffers. Decoding never trusts the bytes: whatever
// does not parse, or names an unknown code, gives nothing. Thread-safe (no state).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "wire/messages.h"

namespace lariat::wire {

inline constexpr uint32_t kProtocolVersion = 1;

// Large fields may be moved out of the envelope into the encoder.
void AppendEnvelope(Envelope&& envelope, std::string* out);
std::string EncodeEnvelope(Envelope envelope);
std::optional<Envelope> DecodeEnvelope(std::string_view bytes);
// The same through the library alone: what hot_codec.h has to agree with.
std::string EncodeBySchema(Envelope envelope);
std::optional<Envelope> DecodeBySchema(std::string_view bytes);

// A reply of the same kind that says no. A page of moving records still says where to go on, so
// that what cannot be sent holds up nothing behind it.
Envelope RefusalInPlaceOf(Envelope reply, const base::Error& why);

// The answer recorded for a write with an Idempotency-Key.
struct WriteAnswer {
  std::string context;                   // as given to the client
  std::map<uint64_t, uint64_t> version;  // node number -> events
  int64_t written_ms = 0;
  causal::Shown shown;  // by an operation on a value that merges
};
std::string EncodeWriteAnswer(const WriteAnswer& answer);
std::optional<WriteAnswer> DecodeWriteAnswer(std::string_view bytes);

}  // namespace lariat::wire

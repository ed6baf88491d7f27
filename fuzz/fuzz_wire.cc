// SPDX-License-Identifier: Apache-2.0
// What a peer may send: frames, also of many messages, parts, envelopes, topology documents,
// recorded answers. What decodes has to survive another round trip, and what is read by hand has to
// be what the library reads.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "membership/topology.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/hot_codec.h"
#include "wire/parts.h"

namespace {

// The bytes as payloads of parts, each behind its length.
void ReadParts(std::string_view bytes) {
  lariat::wire::PartsBudget budget(4096);
  lariat::wire::PartsReader reader(budget);
  while (!bytes.empty()) {
    const auto size = static_cast<unsigned char>(bytes[0]);
    const auto took = reader.Take(bytes.substr(1, size));
    bytes.remove_prefix(std::min<size_t>(bytes.size(), size + size_t{1}));
    if (budget.used() > budget.max()) std::abort();
    if (took == lariat::wire::PartsReader::Took::kBad) return;
    if (took == lariat::wire::PartsReader::Took::kMessage) (void)reader.TakeMessage();
  }
}

// The bytes as the payload of a frame of many.
void ReadMessages(std::string_view bytes) {
  for (std::string_view rest = bytes; !rest.empty();) {
    const size_t before = rest.size();
    const auto message = lariat::wire::TakeMessage(&rest);
    if (!message) return;
    if (rest.size() + message->size() + lariat::wire::kMessageLengthBytes != before) std::abort();
    (void)lariat::wire::DecodeEnvelope(*message);
  }
}

void CompareWays(std::string_view bytes) {
  auto by_hand = lariat::wire::DecodeHot(bytes);
  if (!by_hand) return;
  const auto by_schema = lariat::wire::DecodeBySchema(bytes);
  if (!by_schema) std::abort();
  const std::string again = lariat::wire::EncodeBySchema(*by_schema);
  if (lariat::wire::EncodeEnvelope(std::move(*by_hand)) != again) std::abort();
}

}  // namespace

// Guards M41.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace wire = lariat::wire;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const wire::ParsedFrame frame = wire::ParseFrame(bytes, 1 << 20);
  if (frame.status == wire::FrameStatus::kFrame && frame.size > size) std::abort();
  ReadParts(bytes);
  ReadMessages(bytes);
  CompareWays(bytes);
  if (auto envelope = wire::DecodeEnvelope(bytes)) {
    if (!wire::DecodeEnvelope(wire::EncodeEnvelope(std::move(*envelope)))) std::abort();
  }
  if (auto answer = wire::DecodeWriteAnswer(bytes)) (void)wire::EncodeWriteAnswer(*answer);
  if (auto topology = lariat::membership::DecodeTopology(bytes)) {
    if (!lariat::membership::DecodeTopology(lariat::membership::EncodeTopology(*topology))) {
      std::abort();
    }
  }
  return 0;
}

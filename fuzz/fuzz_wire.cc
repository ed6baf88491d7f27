// SPDX-License-Identifier: Apache-2.0
// What a peer may send: frames, parts, envelopes, topology documents, recorded answers. What
// decodes has to survive another round trip.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "membership/topology.h"
#include "wire/codec.h"
#include "wire/frame.h"
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

}  // namespace

// Guards M41.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace wire = lariat::wire;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const wire::ParsedFrame frame = wire::ParseFrame(bytes, 1 << 20);
  if (frame.status == wire::FrameStatus::kFrame && frame.size > size) std::abort();
  ReadParts(bytes);
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

// SPDX-License-Identifier: Apache-2.0
// What a peer may send: frames, envelopes, topology documents, recorded answers. What decodes has
// to survive another round trip.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "membership/topology.h"
#include "wire/codec.h"
#include "wire/frame.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace wire = lariat::wire;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const wire::ParsedFrame frame = wire::ParseFrame(bytes, 1 << 20);
  if (frame.status == wire::FrameStatus::kFrame && frame.size > size) std::abort();
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

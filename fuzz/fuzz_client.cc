// SPDX-License-Identifier: Apache-2.0
// What a node, or whoever answers in its place, may send to the C++ client. The first byte says
// which protocol and in pieces of which size: the replies may not depend on how they were cut.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "client/topology.h"
#include "client/wire/wire.h"

namespace {

using lariat::client::Wire;

struct Outcome {
  std::vector<std::string> replies;
  bool broken = false;
};

std::string TextOf(const lariat::client::Reply& reply) {
  std::string out(lariat::NameOf(reply.code));
  out += reply.message + '|' + reply.context + '|' + reply.version;
  for (const lariat::Sibling& value : reply.values) out += '|' + value.bytes + value.content_type;
  return out;
}

Outcome Feed(Wire& wire, std::string_view text, size_t step) {
  Outcome out;
  std::string in;
  for (size_t at = 0; at < text.size(); at += step) {
    in += text.substr(at, step);
    for (;;) {
      const Wire::Decoded decoded = wire.Decode(in);
      if (decoded.used > in.size()) abort();
      if (decoded.state == Wire::State::kBroken) {
        out.broken = true;
        return out;
      }
      in.erase(0, decoded.used);
      if (decoded.state == Wire::State::kMore && (decoded.used == 0 || in.empty())) break;
      if (decoded.state == Wire::State::kMore) continue;
      out.replies.push_back(TextOf(decoded.reply));
      if (decoded.state == Wire::State::kLast) return out;
    }
  }
  return out;
}

}  // namespace

// Guards M41.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool http = data[0] % 2 == 0;
  const auto make = [http] {
    return http ? lariat::client::MakeHttpWire("h:1") : lariat::client::MakeRespWire();
  };
  const Outcome whole = Feed(*make(), text, text.size() + 1);
  const Outcome cut = Feed(*make(), text, 1 + data[0] / 2);
  // A piece may show that it is broken earlier, never other replies.
  if (!whole.broken && !cut.broken && whole.replies != cut.replies) abort();
  lariat::client::Topology topology;
  lariat::client::ParseStatus(text, topology);
  lariat::client::RingView ring;
  lariat::client::ParseRing(text, topology.members, ring);
  lariat::client::BucketView bucket;
  lariat::client::ParseBucket(text, bucket);
  return 0;
}

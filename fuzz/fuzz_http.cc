// SPDX-License-Identifier: Apache-2.0
// Bytes to an HTTP connection, cut and delayed as the first bytes of the input say. Whatever comes:
// no crash, bounded memory, and only well-formed replies of which none blames the server.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "frontend/http/test_client.h"

namespace testing = lariat::frontend::http::testing;

namespace {

constexpr size_t kControlBytes = 3;

void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

// Guards M41.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < kControlBytes) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + kControlBytes,
                               size - kControlBytes);
  testing::FakeNode node;
  node.settings.http_pipeline_max = 1 + data[0] % 8;
  node.settings.http_header_bytes_max = 1024;
  node.kv.value_bytes_max = 256;
  node.kv.defer = (data[1] & 1) != 0;
  const size_t piece = data[2] == 0 ? input.size() + 1 : data[2];

  testing::FakeClient client(node.Frontend());
  for (size_t at = 0; at < input.size(); at += piece) {
    client.Send(input.substr(at, piece));
    Require(node.kv.deferred.size() <= 8);
    if ((data[1] & 2) != 0 && !node.kv.deferred.empty()) node.kv.Complete(0);
    client.Deliver();
  }
  if ((data[1] & 4) != 0) client.CloseSending();
  if ((data[1] & 8) != 0) client.Disconnect();
  if ((data[1] & 16) != 0) node.world.Advance(lariat::base::Seconds(60));
  while (!node.kv.deferred.empty()) {
    node.kv.Complete(data[0] % node.kv.deferred.size());
    client.Deliver();
  }
  Require(client.stream.Ended() || client.left_over() <= 8192);
  // Replies to HEAD have a length and no body, which their reader would have to know.
  if (input.find("HEAD") != std::string_view::npos) return 0;
  const auto replies = testing::ParseReplies(client.stream.out);
  Require(replies.has_value());
  for (const auto& reply : *replies) Require(reply.status != 500);
  return 0;
}

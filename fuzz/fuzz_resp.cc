// SPDX-License-Identifier: Apache-2.0
// Bytes to a connection of the Redis protocol, cut and delayed as the first bytes of the input say:
// the parser and every command. Whatever comes: no crash, bounded memory, well-formed replies only.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "frontend/resp/test_fakes.h"

namespace testing = lariat::frontend::resp::testing;

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
  node.settings.resp_pipeline_max = 1 + data[0] % 8;
  node.settings.resp_request_bytes_max = 65536;
  node.settings.resp_arguments_max = 64;
  node.settings.resp_slowlog_us = 0;
  node.kv.value_bytes_max = 256;
  node.kv.defer = (data[1] & 1) != 0;
  const size_t piece = data[2] == 0 ? input.size() + 1 : data[2];

  testing::FakeClient client(node.Frontend());
  for (size_t at = 0; at < input.size(); at += piece) {
    client.Send(input.substr(at, piece));
    Require(node.kv.deferred.size() <= 8 * 64);
    if ((data[1] & 2) != 0 && !node.kv.deferred.empty()) node.kv.Complete(0);
    node.world.RunTasks();
    client.Deliver();
  }
  if ((data[1] & 4) != 0) client.CloseSending();
  if ((data[1] & 8) != 0) client.Disconnect();
  if ((data[1] & 16) != 0) node.world.Advance(lariat::base::Seconds(60));
  while (!node.kv.deferred.empty()) {
    node.kv.Complete(data[0] % node.kv.deferred.size());
    node.world.RunTasks();
    client.Deliver();
  }
  Require(client.stream.Ended() || client.left_over() <= 2 * 65536);
  Require(testing::CountReplies(client.stream.out).has_value());
  return 0;
}

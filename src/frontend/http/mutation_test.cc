// SPDX-License-Identifier: Apache-2.0
// Valid requests, damaged at random: whatever comes, the frontend answers well-formed replies,
// waits for more, or closes. The fuzz harness does the same for longer.
#include <gtest/gtest.h>

#include "base/prng.h"
#include "frontend/http/test_client.h"

namespace lariat::frontend::http {
namespace {

using testing::FakeClient;
using testing::FakeNode;
using testing::MakeRequest;
using testing::ParseReplies;

std::vector<std::string> ValidRequests() {
  return {
      MakeRequest("GET /kv/key?r=2&timeout_ms=50", "Consistency: QUORUM\r\n"),
      MakeRequest("PUT /kv/k%00y", "X-TTL: 5\r\nIf-Match: \"c\"\r\nContent-Type: a/b\r\n", "value"),
      MakeRequest("DELETE /buckets/b/kv/key", "Accept: application/json\r\n"),
      MakeRequest("PUT /v1/kv/key", "Idempotency-Key: 0f8fad5b-d9cb-469f-a165-70867728950e\r\n",
                  R"({"value":"aGVsbG8=","ttl":60,"context":"c"})"),
      MakeRequest("PUT /v1/buckets/b", "", R"({"n":3,"r":"quorum","conflict":"lww"})"),
      "PUT /kv/c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
      "5;a=\"b\"\r\nvalue\r\n0\r\nT: 1\r\n\r\n",
      MakeRequest("GET /v1/debug/explain?bucket=b&key=k"),
  };
}

std::string Damaged(std::string text, base::Prng& prng) {
  for (uint64_t edits = 1 + prng.Below(4); edits > 0 && !text.empty(); --edits) {
    const size_t at = prng.Below(text.size());
    constexpr std::string_view kLikely("\r\n \t:;,%\"0\0\xff{}", 14);
    switch (prng.Below(6)) {
      case 0:
        text[at] = static_cast<char>(prng.Next());
        break;
      case 1:
        text[at] = kLikely[prng.Below(kLikely.size())];
        break;
      case 2:
        text.erase(at, 1 + prng.Below(8));
        break;
      case 3:
        text.insert(at, 1, kLikely[prng.Below(kLikely.size())]);
        break;
      case 4:
        text.insert(at, text.substr(prng.Below(text.size()), prng.Below(30)));
        break;
      default:
        text.resize(at);
        break;
    }
  }
  return text;
}

// Guards M41: 10,000 damaged requests.
TEST(Mutations, AlwaysWellFormedRepliesOrTheEnd) {
  base::Prng prng(20240601);
  const std::vector<std::string> valid = ValidRequests();
  FakeNode node;
  for (int round = 0; round < 10000; ++round) {
    std::string bytes;
    for (uint64_t n = 1 + prng.Below(3); n > 0; --n) bytes += valid[prng.Below(valid.size())];
    bytes = Damaged(bytes, prng);
    node.kv.defer = prng.Chance(0.3);
    FakeClient client(node.Frontend());
    while (!bytes.empty()) {
      const size_t piece = prng.Chance(0.5) ? bytes.size() : 1 + prng.Below(bytes.size());
      client.Send(bytes.substr(0, piece));
      bytes.erase(0, piece);
    }
    while (!node.kv.deferred.empty()) node.kv.Complete(prng.Below(node.kv.deferred.size()));
    EXPECT_LE(client.left_over(), 1000u);
    const auto replies = ParseReplies(client.stream.out);
    ASSERT_TRUE(replies.has_value()) << client.stream.out;
    for (const auto& reply : *replies) EXPECT_NE(reply.status, 500);
  }
}

}  // namespace
}  // namespace lariat::frontend::http

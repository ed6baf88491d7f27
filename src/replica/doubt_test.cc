// SPDX-License-Identifier: Apache-2.0
// Reads of a store that has lost records are refused; everything else goes on.
#include "replica/doubt.h"

#include <gtest/gtest.h>

#include "replica/replica_test_util.h"

namespace lariat::replica {
namespace {

using base::Code;
using Texts = std::vector<std::string>;

class DoubtTest : public testing::Test, public World {
 protected:
  void SetDoubt(std::set<storage::BucketId> settled) {
    replica().SetDoubt(std::make_shared<const Doubt>(Doubt{1, "a test", std::move(settled)}));
  }
};

// Guards M39.
TEST_F(DoubtTest, ReadsOfItsBucketsAreRefusedAndWritesAreNot) {
  Write("k", PeerObject("v"));
  loop.RunAll();
  SetDoubt({});
  for (const char* key : {"k", "absent"}) {
    const auto answer = Read(key);
    loop.RunAll();
    ASSERT_EQ(answer->code(), Code::kUnavailable);
    EXPECT_NE(answer->value->error().message.find("this replica is being repaired"),
              std::string::npos);
  }
  const auto written = Write("k", PeerObject("w", 3));
  const auto updated = Update({.key = "other"});
  loop.RunAll();
  EXPECT_TRUE(written->ok());
  EXPECT_TRUE(updated->ok());
  replica().SetDoubt(nullptr);
  EXPECT_EQ(Values(), (Texts{"v", "w"}));
}

TEST_F(DoubtTest, SettledBucketsAndReadsForRepairAreServed) {
  Write("k", PeerObject("v"));
  loop.RunAll();
  SetDoubt({1});
  EXPECT_EQ(Values(), Texts{"v"});
  SetDoubt({2});
  std::optional<base::Result<ReadResult>> result;
  replica().Read(Ref("k"), {.even_in_doubt = true},
                 [&](base::Result<ReadResult> read) { result = std::move(read); });
  loop.RunAll();
  ASSERT_TRUE(result && result->has_value());
  EXPECT_TRUE((*result)->found);
}

TEST(DoubtCodecTest, GoesThroughBytes) {
  const Doubt doubt = {5, "why", {1, 0xffffffff}};
  EXPECT_EQ(DecodeDoubt(EncodeDoubt(doubt)), doubt);
  EXPECT_FALSE(DecodeDoubt(""));
  EXPECT_FALSE(DecodeDoubt(EncodeDoubt(doubt) + "x"));
}

}  // namespace
}  // namespace lariat::replica

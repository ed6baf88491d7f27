// SPDX-License-Identifier: Apache-2.0
// Reads that bring a context answer with nothing older.
#include <gtest/gtest.h>

#include "coordinator/coordinator_test_util.h"

namespace lariat::coordinator {
namespace {

using base::Code;

// Writes at W ONE whose value does not leave the node that coordinates them.
class Covering : public ::testing::TestWithParam<causal::Kind> {
 protected:
  Covering() : cluster_({.r = 1, .w = 1, .kind = GetParam()}) {
    cluster_.fate = [](size_t, size_t, Message message) {
      return message == Message::kWrite ? Fate::kLoseRequest : Fate::kDeliver;
    };
  }
  std::string PutAt(size_t node, const std::string& value) {
    const auto put = cluster_.node(node).Put("k", value);
    cluster_.RunAll();
    EXPECT_TRUE(put->ok());
    return (*put)->context;
  }
  GotPtr Get(size_t node, std::optional<std::string> context) {
    auto got = std::make_shared<Answer<GetReply>>();
    GetRequest request{"default", "k", {.timeout_ms = 500}};
    request.context = std::move(context);
    cluster_.node(node).coordinator.Get(std::move(request), [got](base::Result<GetReply> reply) {
      ++got->times;
      got->value = std::move(reply);
    });
    cluster_.RunAll();
    return got;
  }

  TestCluster cluster_;
};

TEST_P(Covering, AsksFurtherReplicasUntilOneKnowsWhatWasSeen) {
  const std::string seen = PutAt(0, "v");
  EXPECT_TRUE((*Get(1, std::nullopt))->values.empty());
  EXPECT_TRUE((*Get(1, ""))->values.empty());
  cluster_.fate = nullptr;
  const auto got = Get(1, seen);
  ASSERT_TRUE(got->ok());
  EXPECT_EQ((*got)->values.at(0).bytes, "v");
  EXPECT_EQ(cluster_.node(1).metrics.reads_asked_further.value(), 1U);
  EXPECT_TRUE(Get(0, seen)->ok());  // it has it itself
  EXPECT_EQ(cluster_.node(0).metrics.reads_asked_further.value(), 0U);
}

TEST_P(Covering, SaysThatNobodyKnowsItWhenTheTimeIsUp) {
  const std::string seen = PutAt(0, "v");
  cluster_.fate = nullptr;
  cluster_.alive[0] = false;
  const auto got = Get(1, seen);
  cluster_.Advance(400);
  EXPECT_EQ(got->times, 0);
  cluster_.Advance(200);
  EXPECT_EQ(got->times, 1);
  EXPECT_EQ(got->code(), Code::kNotCovered);
  EXPECT_EQ(cluster_.node(1).metrics.reads_not_covered.value(), 1U);
  // It is found as soon as the one that has it is back.
  const auto late = Get(1, seen);
  cluster_.Advance(100);
  EXPECT_EQ(late->times, 0);
  cluster_.alive[0] = true;
  cluster_.Advance(100);
  ASSERT_TRUE(late->ok());
  EXPECT_EQ((*late)->values.at(0).bytes, "v");
  EXPECT_EQ(cluster_.node(1).coordinator.InFlight(), 0U);
}

TEST_P(Covering, ADeleteIsCoveredToo) {
  cluster_.fate = nullptr;
  const std::string first = PutAt(0, "v");
  const auto gone = cluster_.node(0).Delete({"default", "k", {}});
  cluster_.RunAll();
  ASSERT_TRUE(gone->ok());
  const auto got = Get(1, (*gone)->context);
  ASSERT_TRUE(got->ok());
  EXPECT_TRUE((*got)->values.empty());
  EXPECT_TRUE(Get(2, first)->ok());
}

TEST_P(Covering, ABrokenOrForeignContextIsRefused) {
  const std::string seen = PutAt(0, "v");
  EXPECT_EQ(Get(0, "rubbish")->code(), Code::kInvalidArgument);
  const auto other = cluster_.node(0).Put("other", "v");
  cluster_.RunAll();
  EXPECT_EQ(Get(0, (*other)->context)->code(), Code::kInvalidArgument);
  TestCluster of_other_kind(
      {.kind = GetParam() == causal::Kind::kLww ? causal::Kind::kSiblings : causal::Kind::kLww});
  const auto put = of_other_kind.node(0).Put("k", "v");
  of_other_kind.RunAll();
  EXPECT_EQ(Get(0, (*put)->context)->code(), Code::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Covering,
                         ::testing::Values(causal::Kind::kSiblings, causal::Kind::kLww));

}  // namespace
}  // namespace lariat::coordinator

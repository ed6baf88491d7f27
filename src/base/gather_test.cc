// SPDX-License-Identifier: Apache-2.0
#include "base/gather.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <vector>

namespace lariat::base {
namespace {

using Numbers = std::vector<int>;

class GatherTest : public testing::Test {
 protected:
  Gather<Numbers> Make() {
    return {Numbers(), [this](Numbers numbers) {
              ++ended_;
              numbers_ = std::move(numbers);
            }};
  }
  int ended_ = 0;
  Numbers numbers_;
};

TEST_F(GatherTest, EndsOnceWithWhatAllHaveBrought) {
  const auto gather = Make();
  std::vector<std::function<void()>> answers;
  for (int i = 1; i <= 3; ++i) {
    gather.Expect();
    answers.emplace_back([gather, i] {
      gather->push_back(i);
      gather.Arrive();
    });
  }
  gather.Arrive();
  for (const size_t i : {2, 0}) answers[i]();
  EXPECT_EQ(ended_, 0);
  answers[1]();
  EXPECT_EQ(ended_, 1);
  EXPECT_EQ(numbers_, Numbers({3, 1, 2}));
}

TEST_F(GatherTest, AnswersThatComeAtOnceDoNotEndItEarly) {
  const auto gather = Make();
  for (int i = 1; i <= 2; ++i) {
    gather.Expect();
    (*gather).push_back(i);
    gather.Arrive();
    EXPECT_EQ(ended_, 0);
  }
  gather.Arrive();
  EXPECT_EQ(numbers_, Numbers({1, 2}));
}

TEST_F(GatherTest, WithNobodyToAskItEndsAtOnce) {
  Make().Arrive();
  EXPECT_EQ(ended_, 1);
}

TEST_F(GatherTest, SeveralAreExpectedTogether) {
  const auto gather = Make();
  gather.Expect(2);
  gather.Arrive();
  gather.Arrive();
  EXPECT_EQ(ended_, 0);
  gather.Arrive();
  EXPECT_EQ(ended_, 1);
}

TEST_F(GatherTest, WhatIsDroppedNeverEndsIt) {
  {
    const auto gather = Make();
    gather.Expect();
    gather.Arrive();
  }
  EXPECT_EQ(ended_, 0);
}

TEST(Gather, TheEndMayBeginAnotherAndLetsGoOfItsOwn) {
  int ended = 0;
  auto held = std::make_shared<int>();
  std::optional<Gather<int>> gather;
  gather.emplace(7, [&, held](int number) {
    ended += number;
    gather.emplace(1, [&](int other) { ended += other; });
  });
  Gather<int>(*gather).Arrive();
  gather->Arrive();
  EXPECT_EQ(ended, 8);
  EXPECT_EQ(held.use_count(), 1);
}

TEST(GatherDeathTest, OneArrivalTooManyIsAMistake) {
  const Gather<int> gather(0, [](int) {});
  gather.Arrive();
  EXPECT_DEATH(gather.Arrive(), "more has arrived");
}

}  // namespace
}  // namespace lariat::base

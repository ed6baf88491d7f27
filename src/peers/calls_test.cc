// SPDX-License-Identifier: Apache-2.0
#include "peers/calls.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace lariat::peers {
namespace {

using base::Code;

base::Instant At(int64_t ms) { return base::Instant() + base::Millis(ms); }

struct Outcomes {
  std::vector<std::string> seen;
  Calls::Done Take(std::string name) {
    return [this, name](base::Result<wire::Body> body) {
      seen.push_back(name + (body ? " ok" : " " + std::string(base::CodeName(body.error().code))));
    };
  }
};

const std::string kTimeoutText = " " + std::string(base::CodeName(Code::kTimeout));

TEST(Calls, AReplyFindsItsCallOnce) {
  Calls calls(100);
  Outcomes outcomes;
  const uint64_t a = calls.Add(1, At(10), outcomes.Take("a"));
  const uint64_t b = calls.Add(1, At(10), outcomes.Take("b"));
  EXPECT_EQ(a, 100U);
  EXPECT_NE(a, b);
  EXPECT_TRUE(calls.Resolve(b, wire::WriteReply{}));
  EXPECT_FALSE(calls.Resolve(b, wire::WriteReply{}));
  EXPECT_FALSE(calls.Resolve(7, wire::WriteReply{}));
  EXPECT_EQ(calls.Waiting(), 1U);
  calls.Expire(At(10));
  EXPECT_FALSE(calls.Resolve(a, wire::WriteReply{}));
  EXPECT_EQ(outcomes.seen, (std::vector<std::string>{"b ok", "a" + kTimeoutText}));
}

TEST(Calls, ExpireInTheOrderOfTheirDeadlines) {
  Calls calls(0);
  Outcomes outcomes;
  calls.Add(1, At(30), outcomes.Take("late"));
  calls.Add(2, At(10), outcomes.Take("early"));
  calls.Expire(At(9));
  EXPECT_TRUE(outcomes.seen.empty());
  calls.Expire(At(10));
  calls.Expire(At(29));
  EXPECT_EQ(outcomes.seen.size(), 1U);
  calls.Expire(At(30));
  EXPECT_EQ(outcomes.seen,
            (std::vector<std::string>{"early" + kTimeoutText, "late" + kTimeoutText}));
}

TEST(Calls, WithdrawnCallsAreNotAnswered) {
  Calls calls(0);
  Outcomes outcomes;
  const uint64_t id = calls.Add(1, At(10), outcomes.Take("a"));
  auto back = calls.Withdraw(id);
  EXPECT_TRUE(back);
  EXPECT_FALSE(calls.Withdraw(id));
  calls.Expire(At(10));
  EXPECT_TRUE(outcomes.seen.empty());
}

TEST(CallsMustHold, M17_ALostConnectionLeavesItsCallsUnknown) {
  Calls calls(0);
  Outcomes outcomes;
  calls.Add(1, At(10), outcomes.Take("a"));
  calls.Add(2, At(10), outcomes.Take("b"));
  calls.Add(1, At(10), outcomes.Take("c"));
  calls.OnPeerDown(1, {Code::kUnavailable, "reset"});
  EXPECT_EQ(outcomes.seen, (std::vector<std::string>{"a" + kTimeoutText, "c" + kTimeoutText}));
  EXPECT_EQ(calls.Waiting(), 1U);
}

// A callback may end other calls, make new ones, or find the same peer gone again.
TEST(Calls, CallbacksMayChangeTheTable) {
  Calls calls(0);
  int answered = 0;
  uint64_t second = 0;
  calls.Add(1, At(10), [&](const base::Result<wire::Body>&) {
    ++answered;
    calls.OnPeerDown(1, {Code::kUnavailable, "again"});
    calls.Add(1, At(20), [&](const base::Result<wire::Body>&) { ++answered; });
  });
  second = calls.Add(1, At(10), [&](const base::Result<wire::Body>&) { ++answered; });
  calls.OnPeerDown(1, {Code::kUnavailable, "reset"});
  EXPECT_EQ(answered, 2);
  EXPECT_FALSE(calls.Resolve(second, {}));
  calls.Expire(At(20));
  EXPECT_EQ(answered, 3);
}

TEST(CallsMustHold, M17_EveryCallIsAnsweredExactlyOnce) {
  base::Prng prng(1);
  Calls calls(prng.Next());
  std::vector<int> answers;
  std::vector<uint64_t> ids;
  for (int64_t step = 0; step < 20000; ++step) {
    const uint64_t what = prng.Below(10);
    if (what < 5) {
      const size_t place = answers.size();
      answers.push_back(0);
      ids.push_back(calls.Add(static_cast<PeerHandle>(prng.Below(4)),
                              At(step + prng.Between(0, 50)),
                              [&answers, place](const auto&) { ++answers[place]; }));
    } else if (what < 8 && !ids.empty()) {
      calls.Resolve(ids[prng.Below(ids.size())], {});
    } else if (what == 8 && prng.Chance(0.1)) {
      calls.OnPeerDown(static_cast<PeerHandle>(prng.Below(4)), {});
    }
    calls.Expire(At(step));
  }
  calls.Expire(At(30000));
  EXPECT_EQ(calls.Waiting(), 0U);
  for (const int times : answers) ASSERT_EQ(times, 1);
}

}  // namespace
}  // namespace lariat::peers

// SPDX-License-Identifier: Apache-2.0
#include "coordinator/deadlines.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/prng.h"

namespace lariat::coordinator {
namespace {

base::Instant At(int64_t ms) { return base::Instant(base::Millis(ms)); }

std::vector<int> ExpireAll(Deadlines<int>* deadlines, int64_t ms) {
  std::vector<int> out;
  deadlines->Expire(At(ms), [&](int what) { out.push_back(what); });
  return out;
}

TEST(DeadlinesTest, ComeInTheOrderInWhichTheyAreDue) {
  Deadlines<int> deadlines;
  deadlines.Add(At(20), 1);
  deadlines.Add(At(30), 2);
  deadlines.Add(At(10), 3);
  deadlines.Add(At(20), 4);
  deadlines.Add(At(30), 5);
  EXPECT_EQ(ExpireAll(&deadlines, 9), std::vector<int>{});
  EXPECT_EQ(ExpireAll(&deadlines, 20), (std::vector<int>{3, 1, 4}));
  EXPECT_EQ(deadlines.size(), 2u);
  EXPECT_EQ(ExpireAll(&deadlines, 30), (std::vector<int>{2, 5}));
  EXPECT_EQ(deadlines.size(), 0u);
}

TEST(DeadlinesTest, EqualToASortedListWhateverTheOrder) {
  base::Prng prng(7);
  Deadlines<int> deadlines;
  std::vector<std::pair<int64_t, int>> model;
  for (int i = 0; i < 1000; ++i) {
    const auto due = static_cast<int64_t>(prng.Below(100));
    deadlines.Add(At(due), i);
    model.emplace_back(due, i);
  }
  std::sort(model.begin(), model.end());
  std::vector<int> expected;
  for (const auto& [due, what] : model) expected.push_back(what);
  EXPECT_EQ(ExpireAll(&deadlines, 100), expected);
}

TEST(DeadlinesTest, MayGrowWhileTheyExpire) {
  Deadlines<int> deadlines;
  deadlines.Add(At(1), 1);
  std::vector<int> seen;
  deadlines.Expire(At(5), [&](int what) {
    seen.push_back(what);
    if (what < 3) deadlines.Add(At(2), what + 1);
  });
  EXPECT_EQ(seen, (std::vector<int>{1, 2, 3}));
}

}  // namespace
}  // namespace lariat::coordinator

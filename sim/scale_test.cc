// SPDX-License-Identifier: Apache-2.0
// The quick clusters of the page on scale, and what they must show.
#include <gtest/gtest.h>

#include "sim/scale/measure.h"
#include "sim/scale/page.h"
#include "sim/scale/world.h"

namespace lariat::sim::scale {
namespace {

std::vector<Row> QuickRows(uint64_t seed) {
  std::vector<Row> rows;
  for (const Setup& setup : Setups(true)) rows.push_back(Measure(setup, seed, nullptr));
  return rows;
}

TEST(Scale, LossAndJitterConvictNobodyAndTheDeadAreFound) {
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    for (const Row& row : QuickRows(seed)) {
      SCOPED_TRACE(testing::Message() << row.setup.nodes << " nodes, hierarchical "
                                      << row.setup.hierarchical << ", seed " << seed);
      EXPECT_EQ(row.convictions, 0U);
      EXPECT_GT(row.rounds_all, 0);
      EXPECT_LE(row.rounds_all, 12);
      EXPECT_GT(row.first_s, 2);
      EXPECT_LT(row.first_s, 9);
      EXPECT_GT(row.all_s, 0);
      EXPECT_LT(row.all_s, 25);
      EXPECT_LT(row.bytes_mean, 20'000);
    }
  }
}

TEST(Scale, OneSeedOneTable) { EXPECT_EQ(Tables(QuickRows(7)), Tables(QuickRows(7))); }

TEST(Scale, ThePageNamesItsPlotAndTheSeed) {
  const std::vector<Row> rows = QuickRows(1);
  const std::string page = Page(rows, 12345);
  EXPECT_NE(page.find("scale.svg"), std::string::npos);
  EXPECT_NE(page.find("12345"), std::string::npos);
  const std::string plot = Plot(rows);
  EXPECT_EQ(plot.rfind("<svg", 0), 0U);
  EXPECT_NE(plot.find("</svg>"), std::string::npos);
}

// Everybody convicts everybody, and takes everybody back.
TEST(Scale, AClusterIsWholeAgainAfterEveryFrameWasLost) {
  WorldOptions options;
  options.members = MakeMembers(20, 2, 1, base::Prng(5));
  World world(options);
  for (int i = 0; i < 30; ++i) world.Round();
  world.SetLoss(1);
  for (int i = 0; i < 30; ++i) world.Round();
  uint64_t dead = 0, usable = 0;
  const auto count = [&] {
    dead = usable = 0;
    for (uint32_t i = 0; i < world.size(); ++i) {
      for (uint32_t j = 0; j < world.size(); ++j) {
        if (i == j) continue;
        ++(world.Watch(i)->IsUsable(world.members().Id(j).high) ? usable : dead);
      }
    }
  };
  count();
  EXPECT_EQ(usable, 0U);
  world.SetLoss(0.05);
  for (int i = 0; i < 30; ++i) world.Round();
  count();
  EXPECT_EQ(dead, 0U);
}

}  // namespace
}  // namespace lariat::sim::scale

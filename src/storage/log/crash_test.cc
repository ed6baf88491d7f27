// SPDX-License-Identifier: Apache-2.0
// Random lives of a log: batches, syncs, cuts, kills, power cuts at any change of the disk, failed
// writes. What comes back is a prefix with all that was told durable, batch by batch; and mistakes
// that are planted are found.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "storage/log/internal/log_world.h"

namespace lariat::storage::log {
namespace {

class Life {
 public:
  Life(uint64_t seed, Bug bug) : world_(seed, bug) {}

  // What went wrong, or nothing.
  std::string Run(const std::vector<uint8_t>& steps) {
    std::string wrong = world_.Open();
    for (size_t i = 0; i < steps.size() && wrong.empty(); ++i) {
      if (world_.log == nullptr) {
        world_.PowerCut();
        wrong = world_.Open();
        continue;
      }
      wrong = Step(steps[i] % 24);
      if (world_.told_after_failure) wrong = "something was told durable after a failure";
      if (wrong.empty() && world_.disk != nullptr && world_.disk->dead()) {
        world_.PowerCut();
        wrong = world_.Open();
      }
    }
    if (!wrong.empty() || world_.log == nullptr) return wrong;
    world_.PowerCut();
    wrong = world_.Open();
    if (!wrong.empty()) return wrong;
    return Step(kReopen);
  }
  const LogWorld& world() const { return world_; }

 private:
  static constexpr int kReopen = 16;

  std::string Step(int step) {
    base::Prng& prng = world_.prng;
    if (step < 6) {
      world_.Append(prng.Below(prng.Chance(0.1) ? 9000 : 700));
      return "";
    }
    switch (step) {
      case 6:
      case 7:
        (void)world_.WriteBehind();
        return "";
      case 8:
      case 9:
        world_.Sync();
        return "";
      case 10:
        world_.Sync();
        world_.Settle();
        return "";
      case 11:
        world_.writer->holds = prng.Chance(0.5);
        world_.Settle();
        return "";
      case 12:
        world_.clock.now += base::Seconds(1);
        if (world_.log->Tick()) world_.NoteBehind(world_.log->end());
        return "";
      case 13:
      case 14:
        return CutAnywhere();
      case 15:
        (void)world_.log->Grow();
        return "";
      case kReopen:
        if (prng.Chance(0.3)) world_.power_in_open = 1 + prng.Below(6);
        world_.PowerCut();
        return world_.Open();
      case 17:
        world_.Kill();
        return world_.Open();
      case 18:
        return CloseAndOpen();
      case 19:
      case 20:
        world_.disk->CutPowerAfter(1 + prng.Below(8));
        return "";
      case 21:
        return FailOnce();
      default:
        world_.clock.now += base::Millis(1);
        world_.queue.Run();
        return "";
    }
  }
  std::string CutAnywhere() {
    const CutPoint point = world_.log->TakeCutPoint();
    if (world_.prng.Chance(0.5)) world_.Append(100);
    if (world_.prng.Chance(0.8)) {
      world_.Sync();
      world_.Settle();
    }
    const bool durable = point.lsn() <= world_.log->durable();
    const auto cut = world_.log->Cut(point);
    if (cut && !durable) return "a cut was made that is not durable";
    if (cut) {
      world_.cuts = {std::max(world_.cuts.back(), point.lsn())};
    } else if (durable) {
      world_.cuts.push_back(std::max(world_.cuts.back(), point.lsn()));
    }
    return "";
  }
  std::string CloseAndOpen() {
    world_.writer->holds = false;
    world_.Settle();
    const bool closed = world_.log->Close().has_value();
    const Lsn end = world_.log->end();
    if (closed) world_.told = end;
    if (closed) world_.NoteBehind(end);
    world_.queue.Run();
    world_.PowerCut();
    auto wrong = world_.Open();
    if (!wrong.empty() || !closed || world_.log == nullptr) return wrong;
    return world_.log->recovered().stopped_cleanly ? "" : "a clean stop is forgotten";
  }
  std::string FailOnce() {
    world_.queue.Run();
    world_.disk->FailAfter(1 + world_.prng.Below(4));
    for (int i = 0; i < 2; ++i) {
      world_.Append(300);
      if (world_.prng.Chance(0.5)) (void)world_.WriteBehind();
      world_.Sync();
      if (world_.prng.Chance(0.8)) world_.Settle();
    }
    const bool failed = world_.disk->failed();
    world_.disk->FailAfter(0);
    if (!failed) return "";
    world_.Sync();
    world_.Settle();
    if (world_.log->Append({})) return "an append goes on after a failure";
    if (world_.prng.Chance(0.5)) {
      world_.PowerCut();
    } else {
      world_.Kill();
    }
    return world_.Open();
  }

  LogWorld world_;
};

std::vector<uint8_t> RandomSteps(uint64_t seed, size_t most) {
  base::Prng prng(seed);
  std::vector<uint8_t> steps(prng.Below(most));
  for (uint8_t& step : steps) step = static_cast<uint8_t>(prng.Next());
  return steps;
}

void Live(uint64_t first_seed, uint64_t last_seed) {
  uint64_t stalled = 0;
  for (uint64_t seed = first_seed; seed < last_seed; ++seed) {
    Life life(seed, Bug::kNone);
    ASSERT_EQ(life.Run(RandomSteps(seed, 150)), "") << "seed " << seed;
    stalled += life.world().stalled;
  }
  EXPECT_GT(stalled, 0U) << "no log was ever full";
}

TEST(LogCrashTest, APrefixWithAllThatWasToldComesBack) {
  EXPECT_TRUE(rc::check([](uint64_t seed, const std::vector<uint8_t>& steps) {
    RC_ASSERT(Life(seed, Bug::kNone).Run(steps) == "");
  }));
  Live(0, 300);
}

TEST(LogCrashTest, SlowAPrefixWithAllThatWasToldComesBack) { Live(300, 5000); }

struct Plant {
  Bug bug;
  const char* name;
};

class LogPlantTest : public testing::TestWithParam<Plant> {};

// A test that finds nothing may look at nothing.
TEST_P(LogPlantTest, IsFound) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    const std::string wrong = Life(seed, GetParam().bug).Run(RandomSteps(seed, 150));
    if (wrong.empty()) continue;
    RecordProperty("found", wrong + " at seed " + std::to_string(seed));
    SUCCEED() << wrong << " at seed " << seed;
    return;
  }
  FAIL() << "3000 seeds do not find it";
}

INSTANTIATE_TEST_SUITE_P(Bugs, LogPlantTest,
                         testing::Values(Plant{Bug::kToldBeforeWritten, "ToldBeforeWritten"},
                                         Plant{Bug::kSyncForgotten, "SyncForgotten"},
                                         Plant{Bug::kHeaderNotDurable, "HeaderNotDurable"},
                                         Plant{Bug::kCutTooHigh, "CutTooHigh"},
                                         Plant{Bug::kLsnNotChecked, "LsnNotChecked"},
                                         Plant{Bug::kSumNotChecked, "SumNotChecked"},
                                         Plant{Bug::kLateWriteForgotten, "LateWriteForgotten"}),
                         [](const auto& plant) { return plant.param.name; });

}  // namespace
}  // namespace lariat::storage::log

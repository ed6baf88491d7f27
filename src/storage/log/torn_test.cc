// SPDX-License-Identifier: Apache-2.0
// One short life of a log, with the power gone at each change of the disk in turn, at each change
// of the start after that, and with its last group cut off at each byte.
#include <gtest/gtest.h>

#include "storage/log/internal/log_world.h"

namespace lariat::storage::log {
namespace {

// Everything that writes to the disk, once.
void Live(LogWorld* world) {
  const auto alive = [&] { return world->log != nullptr && !world->disk->dead(); };
  for (int i = 0; i < 3 && alive(); ++i) {
    world->Append(500);
    world->Append(4000);
    (void)world->WriteBehind();
    world->Append(700);
    world->Sync();
    world->Settle();
    world->clock.now += base::Seconds(1);
    if (alive()) (void)world->log->Tick();
    const CutPoint point = world->log->TakeCutPoint();
    world->Append(300);
    world->Sync();
    world->Settle();
    world->Append(200);
    if (i != 1 || point.lsn() > world->log->durable()) continue;
    world->cuts.push_back(point.lsn());
    (void)world->log->Grow();
    if (world->log->Cut(point)) world->cuts = {point.lsn()};
  }
  if (alive()) (void)world->log->Close();
  world->queue.Run();
}

TEST(LogTornTest, PowerGoesAtEachChange) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    for (uint64_t change = 1;; ++change) {
      LogWorld world(seed);
      ASSERT_EQ(world.Open(), "");
      world.disk->CutPowerAfter(change);
      Live(&world);
      if (!world.disk->dead()) {
        EXPECT_GT(change, 20U);
        break;
      }
      world.PowerCut();
      // And again while it starts, and once more right after it.
      world.power_in_open = 1 + seed;
      ASSERT_EQ(world.Open(), "") << "change " << change << " seed " << seed;
      world.PowerCut();
      ASSERT_EQ(world.Open(), "") << "change " << change << " seed " << seed;
      world.Append(100);
      world.PowerCut();
      ASSERT_EQ(world.Open(), "") << "change " << change << " seed " << seed;
    }
  }
}

// As after a cut of the power within the last group, which held several batches.
TEST(LogTornTest, TheLastGroupEndsAtEachByte) {
  LogWorld world(1);
  ASSERT_EQ(world.Open(), "");
  world.Append(100);
  world.Sync();
  world.Settle();
  const Lsn told = world.told;
  std::vector<Lsn> ends{told};
  for (const size_t size : {40, 1, 300, 0, 90}) {
    world.Append(size);
    ends.push_back(world.log->end());
  }
  const auto appended = world.appended;
  const Lsn begin = BlockUp(told);
  const Lsn end = world.log->end();
  world.Sync();
  world.Settle();
  world.Kill();
  const auto files = world.files.files;
  for (Lsn cut = begin; cut <= end; ++cut) {
    world.files.files = files;
    const Shape shape = SmallShape();
    std::string& bytes = world.files.files[FileOfSlot(1)].now;
    const auto from = bytes.begin() + static_cast<ptrdiff_t>(cut % shape.segment_bytes);
    std::fill(from, bytes.end(), '\0');
    world.files.files[FileOfSlot(1)].durable = bytes;
    world.appended = appended;
    world.told = told;
    ASSERT_EQ(world.Open(), "") << "at " << cut;
    // Padding at a frame's end may be missing: it is zeros in any case.
    const Lsn read = world.log->recovered().end;
    EXPECT_TRUE(std::find(ends.begin(), ends.end(), read) != ends.end());
    EXPECT_LT(read, cut + kFrameAlign);
    EXPECT_EQ(world.log->recovered().ending == Ending::kDamaged, false);
    world.PowerCut();
  }
}

}  // namespace
}  // namespace lariat::storage::log

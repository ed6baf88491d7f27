// SPDX-License-Identifier: Apache-2.0
// Bytes of a stopped log are flipped, zeroed or cut off. What comes back is a prefix; if something
// that was told durable is missing, the log says that it is damaged as soon as anything whole
// behind the place knows better, and goes on saying so until it was written to.
#include <gtest/gtest.h>

#include "storage/log/internal/log_world.h"

namespace lariat::storage::log {
namespace {

struct Hole {
  FileNumber file;
  uint64_t from;
  uint64_t to;  // UINT64_MAX: to the end of the file, and everything behind
};

class DamageWorld {
 public:
  explicit DamageWorld(uint64_t seed, Bug bug = Bug::kNone) : world_(seed, bug) {}

  std::string Run() {
    if (auto wrong = world_.Open(); !wrong.empty()) return wrong;
    const uint64_t steps = 5 + world_.prng.Below(80);
    for (uint64_t i = 0; i < steps; ++i) Step();
    world_.Settle();
    const Lsn told = world_.log->durable();
    world_.Kill();
    const auto before = world_.appended;
    const Hole hole = Strike();
    world_.may_be_damaged = true;
    if (auto wrong = world_.Open(); !wrong.empty()) return wrong;
    if (auto wrong = Judge(before, told, hole); !wrong.empty()) return wrong;
    return GoOn();
  }
  bool was_damaged() const { return was_damaged_; }
  bool was_torn() const { return was_torn_; }

 private:
  void Step() {
    const uint64_t step = world_.prng.Below(12);
    if (step < 5) world_.Append(world_.prng.Below(world_.prng.Chance(0.1) ? 6000 : 700));
    if (step == 5 || step == 6) (void)world_.WriteBehind();
    if (step == 7 || step == 8) world_.Sync();
    if (step == 7 || step == 8) world_.Settle();
    if (step == 9) Tick();
    if (step == 10) {
      const CutPoint point = world_.log->TakeCutPoint();
      if (world_.prng.Chance(0.4) && world_.log->Cut(point)) world_.cuts.push_back(point.lsn());
    }
    if (step == 11) (void)world_.log->Grow();
  }
  void Tick() {
    const Lsn end = world_.log->end();
    const Lsn claimed = world_.log->durable();
    world_.clock.now += base::Seconds(1);
    if (!world_.log->Tick() || world_.log->end() == end) return;
    world_.NoteBehind(world_.log->end());
    marks_.push_back({world_.log->end() - FrameBytes(9), world_.log->end(), claimed});
  }

  struct Range {
    Lsn from, to, claimed;
  };
  static Range RangeOf(const LogWorld::Appended& entry) {
    WriteBatch batch;
    batch.Put(Space::kData, "key", entry.value);
    std::string body;
    EncodeBatch(batch, &body);
    return {entry.end - FrameBytes(body.size()), entry.end, entry.claimed};
  }
  static bool Hit(const Range& range, const Hole& hole) {
    const Shape shape = SmallShape();
    const uint64_t segment = range.from / shape.segment_bytes;
    const uint64_t from = range.from % shape.segment_bytes;
    const uint64_t to = from + (range.to - range.from);
    return FileOfSlot(segment % shape.slots_max) == hole.file && from < hole.to && hole.from < to;
  }
  static bool HeaderHit(const Range& range, const Hole& hole) {
    const Shape shape = SmallShape();
    return hole.file == FileOfSlot(range.from / shape.segment_bytes % shape.slots_max) &&
           hole.from < kBlock;
  }

  // Mostly where something lies.
  Hole Strike() {
    base::Prng& prng = world_.prng;
    const Shape shape = SmallShape();
    Hole hole{static_cast<FileNumber>(prng.Below(3)), prng.Below(shape.segment_bytes), 0};
    if (!world_.appended.empty() && prng.Chance(0.8)) {
      const Range range = RangeOf(world_.appended[prng.Below(world_.appended.size())]);
      const Lsn at = range.from + prng.Below(range.to - range.from);
      hole.file = FileOfSlot(at / shape.segment_bytes % shape.slots_max);
      hole.from = prng.Chance(0.1) ? prng.Below(100) : at % shape.segment_bytes;
    }
    FakeFiles::File& file = world_.files.files[hole.file];
    std::string& bytes = file.now;
    if (bytes.size() <= hole.from) hole.from = 0;
    const uint64_t kind = prng.Below(3);
    hole.to =
        kind == 2 ? UINT64_MAX : std::min<uint64_t>(bytes.size(), hole.from + 1 + prng.Below(2000));
    if (kind == 0) hole.to = hole.from + 1;
    if (kind == 0) bytes[hole.from] = static_cast<char>(bytes[hole.from] ^ (1 << prng.Below(8)));
    if (kind == 1)
      std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(hole.from), hole.to - hole.from, '\0');
    if (kind == 2) bytes.resize(hole.from);
    file.durable = bytes;
    file.unsynced.clear();
    return hole;
  }

  std::string Judge(const std::vector<LogWorld::Appended>& before, Lsn told, const Hole& hole) {
    const Recovered& recovered = world_.log->recovered();
    const Lsn cut = recovered.cut;
    was_damaged_ = recovered.ending == Ending::kDamaged;
    was_torn_ = recovered.ending == Ending::kTorn;
    std::vector<Range> ranges = marks_;
    for (const auto& entry : before) {
      if (entry.behind) ranges.push_back(RangeOf(entry));
    }
    bool told_is_lost = false;
    bool witness = false;
    // No crash makes a file shorter.
    bool told_is_hit = hole.file == kControlFile || hole.to == UINT64_MAX;
    // The header of the segment in which the log begins has to be there, come what may.
    if (cut > 0 && HeaderHit({cut - 1, cut, 0}, hole)) told_is_hit = true;
    Lsn first_hit = UINT64_MAX;
    for (const Range& range : ranges) {
      if (range.to <= cut) continue;
      const bool hit = Hit(range, hole);
      if (hit || HeaderHit(range, hole)) first_hit = std::min(first_hit, range.from);
      if ((hit && range.to <= told) || HeaderHit(range, hole)) told_is_hit = true;
      if (range.to > recovered.end && range.to <= told) told_is_lost = true;
      if (!hit && range.claimed > recovered.end) witness = true;
    }
    for (const Range& range : ranges) {
      if (range.to > cut && range.to <= first_hit && range.to > recovered.end) {
        return "something before the first place that was hit is lost";
      }
    }
    if (told_is_lost && witness && !was_damaged_) return "damage is not said";
    if (!told_is_lost && !told_is_hit && was_damaged_)
      return "a torn tail is called damaged: " + recovered.why;
    if (was_damaged_ && recovered.why.empty()) return "damage without a reason";
    return "";
  }

  // Two crashes at once, then a life as if nothing had been.
  std::string GoOn() {
    const bool writes = world_.prng.Chance(0.5);
    if (writes) {
      world_.Append(500);
      world_.Sync();
      world_.Settle();
    }
    const bool wrote =
        writes && !world_.appended.empty() && world_.told > world_.log->recovered().end;
    world_.PowerCut();
    if (auto wrong = world_.Open(); !wrong.empty()) return wrong;
    const bool damaged = world_.log->recovered().ending == Ending::kDamaged;
    if (was_damaged_ && !wrote && !damaged) return "damage is forgotten at the second start";
    if (wrote && damaged) return "damage is said although the log went on";
    return "";
  }

  LogWorld world_;
  std::vector<Range> marks_;
  bool was_damaged_ = false;
  bool was_torn_ = false;
};

void Strike(uint64_t first_seed, uint64_t last_seed) {
  uint64_t damaged = 0;
  uint64_t torn = 0;
  for (uint64_t seed = first_seed; seed < last_seed; ++seed) {
    DamageWorld world(seed);
    ASSERT_EQ(world.Run(), "") << "seed " << seed;
    damaged += world.was_damaged() ? 1 : 0;
    torn += world.was_torn() ? 1 : 0;
  }
  EXPECT_GT(damaged * 5, last_seed - first_seed);
  EXPECT_GT(torn * 50, last_seed - first_seed);
}

TEST(LogDamageTest, WhatIsLostIsSaid) { Strike(0, 500); }

TEST(LogDamageTest, SlowWhatIsLostIsSaid) { Strike(500, 8000); }

TEST(LogDamageTest, AReaderThatIgnoresWitnessesIsFound) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    if (!DamageWorld(seed, Bug::kWitnessIgnored).Run().empty()) return;
  }
  FAIL() << "3000 seeds do not find it";
}

}  // namespace
}  // namespace lariat::storage::log

// SPDX-License-Identifier: Apache-2.0
// The receiving side under random schedules: pages are lost, repeated and damaged on the way,
// sources restart, clients write on, and the receiver is killed and goes on from what it had
// stored. In the end it holds at least what every source held at the start.
#include <gtest/gtest.h>

#include "base/prng.h"
#include "repair/repair_test_util.h"
#include "repair/transfer_core.h"

namespace lariat::repair {
namespace {

constexpr ring::TokenRange kAll = {{UINT64_MAX}, {UINT64_MAX}};

struct Faults {
  bool writes_answer_early = false;  // planted: a record counts as written before it is durable
  bool any = true;                   // whether the network and the disk misbehave
};

class Schedule {
 public:
  Schedule(uint64_t seed, Faults faults) : random_(seed), faults_(faults) {
    plan_.change = 5;
    for (uint64_t source = 1; source <= 3; ++source) {
      for (const ring::TokenRange& range :
           {ring::TokenRange{{UINT64_MAX}, {40}}, ring::TokenRange{{40}, {70}},
            ring::TokenRange{{90}, {20}}}) {
        plan_.streams.push_back({1, range, source});
      }
      plan_.streams.push_back({2, kAll, source});
      for (uint32_t bucket = 1; bucket <= 2; ++bucket) {
        for (uint64_t i = 0; i < 20; ++i) {
          sources_[source][KeyAt(bucket, random_.Below(100))] = "1";
        }
      }
      for (const auto& [key, version] : sources_[source]) {
        if (Wanted(key)) must_have_.insert(key);
        if (random_.Chance(0.03)) damaged_[source].insert(key);
      }
    }
    Boot();
  }

  // True when finished. Fails the test if it is finished too early.
  bool Step() {
    now_ += base::Millis(static_cast<int64_t>(random_.Below(50)));
    auto actions = core_->Next(now_);
    for (auto& ask : actions.asks) asks_.push_back(std::move(ask));
    for (auto& write : actions.writes) writes_.push_back(std::move(write));
    if (!actions.saves.empty()) saves_ = std::move(actions.saves);
    const size_t choices = asks_.size() + writes_.size() + (saves_.empty() ? 0 : 1) + 2;
    const uint64_t choice = random_.Below(choices);
    if (choice < asks_.size()) {
      AnswerAsk(choice);
    } else if (choice < asks_.size() + writes_.size()) {
      AnswerWrite(choice - asks_.size());
    } else if (!saves_.empty() && choice == choices - 3) {
      AnswerSaves();
    } else {
      Other();
    }
    return core_->Finished();
  }
  // kill -9 and start again.
  void Kill() {
    volatile_.clear();
    asks_.clear();
    writes_.clear();
    saves_.clear();
    late_.clear();
    Boot();
  }
  // The records that are missing although the transfer says it has finished.
  std::vector<std::string> Missing() const {
    std::vector<std::string> missing;
    for (const std::string& key : must_have_) {
      if (!durable_.contains(key)) missing.push_back(key);
    }
    return missing;
  }
  bool Run(int steps_max) {
    for (int i = 0; i < steps_max; ++i) {
      if (Step()) return true;
    }
    return false;
  }
  base::Prng& random() { return random_; }

 private:
  bool Wanted(const std::string& key) const {
    const auto parts = storage::ParseDataKey(key);
    return std::any_of(plan_.streams.begin(), plan_.streams.end(), [&](const Stream& stream) {
      return stream.bucket == parts->bucket && stream.range.Contains({parts->token});
    });
  }
  void Boot() {
    TransferOptions options;
    options.parallel = 1 + random_.Below(6);
    options.writes_max = 1 + random_.Below(8);
    options.damage_backoff = base::Millis(500);
    core_.emplace(plan_, options, now_);
    for (const auto& [name, cursor] : cursors_) EXPECT_TRUE(core_->Restore(name, cursor));
  }
  void AnswerAsk(size_t at) {
    const TransferCore::Ask ask = std::move(asks_[at]);
    asks_.erase(asks_.begin() + static_cast<std::ptrdiff_t>(at));
    const auto& damaged = damaged_[ask.source];
    auto page = MakePage(sources_[ask.source], ask.request, 1 + random_.Below(4), damaged);
    if (faults_.any && random_.Chance(0.1)) {
      late_.push_back({ask, page});  // comes when nobody waits for it any more
      core_->OnPage(ask.stream, ask.ticket, base::Fail(base::Code::kTimeout, "lost"), now_);
      return;
    }
    if (faults_.any && random_.Chance(0.05) && !page.entries.empty()) {
      page.entries[random_.Below(page.entries.size())].object += "?";
    }
    if (faults_.any && random_.Chance(0.05)) {
      page = {};
      page.outcome = {random_.Chance(0.5) ? base::Code::kOverloaded : base::Code::kIo, "not now"};
    }
    core_->OnPage(ask.stream, ask.ticket, page, now_);
    if (faults_.any && random_.Chance(0.2)) core_->OnPage(ask.stream, ask.ticket, page, now_);
  }
  void AnswerWrite(size_t at) {
    const TransferCore::Write write = std::move(writes_[at]);
    writes_.erase(writes_.begin() + static_cast<std::ptrdiff_t>(at));
    if (faults_.any && random_.Chance(0.03)) {
      const auto why = base::Fail(base::Code::kOverloaded, "full");
      return core_->OnWritten(write.stream, write.ticket, why, now_);
    }
    EXPECT_EQ(write.object, "1");
    (faults_.writes_answer_early ? volatile_ : durable_).insert(write.key);
    core_->OnWritten(write.stream, write.ticket, {}, now_);
  }
  void AnswerSaves() {
    const bool good = !faults_.any || !random_.Chance(0.1);
    // Not being told does not mean that it was not done.
    if (good || random_.Chance(0.5)) {
      for (const auto& save : saves_) cursors_[save.name] = save.cursor;
    }
    saves_.clear();
    core_->OnSaved(good ? base::Status() : base::Fail(base::Code::kIo, "unsure"), now_);
  }
  void Other() {
    if (random_.Chance(0.1)) {
      durable_.merge(volatile_);
      volatile_.clear();
    }
    if (!late_.empty()) {
      const auto [ask, page] = std::move(late_.back());
      late_.pop_back();
      core_->OnPage(ask.stream, ask.ticket, page, now_);
    }
    // A client's new record on all members; it reaches the receiver by itself.
    if (random_.Chance(0.2)) sources_[1 + random_.Below(3)][KeyAt(2, random_.Below(100))] = "1";
    // Somebody repairs the disk.
    if (random_.Chance(0.02)) damaged_.clear();
  }

  base::Prng random_;
  Faults faults_;
  TransferPlan plan_;
  base::Instant now_{};
  std::optional<TransferCore> core_;
  std::map<uint64_t, Records> sources_;
  std::map<uint64_t, std::set<std::string>> damaged_;
  std::set<std::string> must_have_;
  // Of the receiver.
  std::set<std::string> durable_, volatile_;
  std::map<std::string, std::string> cursors_;
  std::vector<TransferCore::Ask> asks_;
  std::vector<TransferCore::Write> writes_;
  std::vector<TransferCore::Save> saves_;
  std::vector<std::pair<TransferCore::Ask, wire::RangePage>> late_;
};

TEST(TransferSchedule, EndsWithEverything) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Schedule schedule(seed, {});
    bool finished = false;
    for (int round = 0; round < 20 && !finished; ++round) {
      finished = schedule.Run(static_cast<int>(schedule.random().Below(800)));
      if (!finished) schedule.Kill();
    }
    finished = finished || schedule.Run(100000);
    ASSERT_TRUE(finished) << "seed " << seed;
    ASSERT_TRUE(schedule.Missing().empty()) << "seed " << seed;
    schedule.Kill();
    EXPECT_TRUE(schedule.Run(1)) << "the end is remembered";
  }
}

// Guards M22: a kill at each of 500 steps, 3 seeds.
TEST(TransferSchedule, AKillAtAnyStepLosesNothing) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    for (int step = 0; step < 500; ++step) {
      Schedule schedule(seed, {.any = false});
      schedule.Run(step);
      schedule.Kill();
      ASSERT_TRUE(schedule.Run(100000)) << seed << ' ' << step;
      ASSERT_TRUE(schedule.Missing().empty()) << seed << ' ' << step;
    }
  }
}

// Guards M45.
TEST(TransferSchedule, ACursorBeforeItsRecordsIsFound) {
  int found = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    Schedule schedule(seed, {.writes_answer_early = true});
    for (int round = 0; round < 10; ++round) {
      schedule.Run(static_cast<int>(schedule.random().Below(300)));
      schedule.Kill();
    }
    if (schedule.Run(100000) && !schedule.Missing().empty()) ++found;
  }
  EXPECT_GT(found, 10) << "the schedules do not test what they should";
}

}  // namespace
}  // namespace lariat::repair

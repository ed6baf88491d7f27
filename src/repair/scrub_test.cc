// SPDX-License-Identifier: Apache-2.0
// Damaged records: found, refilled from the other replicas, kept if nobody can help.
#include "repair/scrub/scrub.h"

#include <gtest/gtest.h>

#include <memory>

#include "merkle/grid.h"
#include "repair/repair_test_util.h"

namespace lariat::repair {
namespace {

using base::Code;
using base::Fail;
using replica::PeerObject;
using storage::Space;
using Kind = ScrubCore::Kind;
using Objects = std::optional<std::string>;

constexpr uint32_t kBucket = 7;

// --- the walk ------------------------------------------------------------------------------------

class ScrubCoreTest : public testing::Test {
 protected:
  std::vector<bool> OnlyLeaf(uint32_t first, uint32_t last, uint32_t leaf) {
    std::vector<bool> worth(last - first + 1);
    if (first <= leaf && leaf <= last) worth[leaf - first] = true;
    return worth;
  }
  // Walks until the core rests; gives what was checked, as bucket and leaf.
  std::vector<std::pair<uint32_t, uint32_t>> Walk(ScrubCore* core, std::vector<uint32_t> buckets,
                                                  bool readable = true, size_t checks_max = 100) {
    std::vector<std::pair<uint32_t, uint32_t>> checked;
    for (ScrubCore::Step step = core->Next(now_); step.kind != Kind::kRest;
         step = core->Next(now_)) {
      if (step.kind == Kind::kBuckets) core->OnBuckets(buckets, now_, wall_);
      if (step.kind == Kind::kLeaves) {
        core->OnLeaves(OnlyLeaf(step.first, step.last, 5000 + step.bucket), now_, wall_);
      }
      if (step.kind != Kind::kCheck) continue;
      if (checked.size() == checks_max) break;
      checked.emplace_back(step.bucket, step.first);
      core->OnChecked(readable, now_, wall_);
    }
    return checked;
  }

  base::Instant now_{base::Seconds(100)};
  base::WallTime wall_{777};
};

TEST_F(ScrubCoreTest, WalksAllBucketsAndBeginsAgain) {
  ScrubCore core;
  const std::vector<std::pair<uint32_t, uint32_t>> all = {{3, 5003}, {8, 5008}};
  EXPECT_EQ(Walk(&core, {8, 3}), all);
  EXPECT_EQ(core.position().last_ms, 777);
  EXPECT_EQ(core.Fraction(), 0);
  now_ += ScrubCore::kRest;
  EXPECT_EQ(Walk(&core, {8, 3}), all);
}

TEST_F(ScrubCoreTest, PausesBetweenPasses) {
  ScrubCore core;
  core.SetPause(base::Seconds(3600));
  EXPECT_EQ(Walk(&core, {3}).size(), 1U);
  now_ += base::Seconds(3599);
  EXPECT_TRUE(Walk(&core, {3}).empty());
  core.SetPause(base::Seconds(1800));  // while it pauses
  EXPECT_EQ(Walk(&core, {3}, false).size(), 1U);
  now_ += ScrubCore::kRest;
  EXPECT_EQ(Walk(&core, {3}).size(), 1U) << "the last one could not read all";
}

TEST_F(ScrubCoreTest, NothingStoredIsSoonRead) {
  ScrubCore core;
  EXPECT_TRUE(Walk(&core, {}).empty());
  EXPECT_EQ(core.position().last_ms, 777);
}

TEST_F(ScrubCoreTest, APassGoesOnInTheNextProcess) {
  ScrubCore first;
  EXPECT_EQ(Walk(&first, {3, 8}, true, 1).size(), 1U);
  EXPECT_NEAR(first.Fraction(), 0.538, 0.001);
  ScrubCore second;
  second.Restore(DecodeScrubPosition(EncodeScrubPosition(first.position())).value());
  const std::vector<std::pair<uint32_t, uint32_t>> rest = {{8, 5008}};
  EXPECT_EQ(Walk(&second, {3, 8}), rest);
  EXPECT_EQ(second.position().last_ms, 777);
  EXPECT_FALSE(DecodeScrubPosition("damaged"));
}

TEST_F(ScrubCoreTest, ALeafThatCannotBeReadIsPassedButThePassIsNotComplete) {
  ScrubCore core;
  EXPECT_EQ(Walk(&core, {3, 8}, false).size(), 2U);
  EXPECT_EQ(core.position().last_ms, 0);
  now_ += ScrubCore::kRest;
  EXPECT_EQ(Walk(&core, {3, 8}).size(), 2U);
  EXPECT_EQ(core.position().last_ms, 777);
}

TEST_F(ScrubCoreTest, TheBucketOfThePositionMayBeGone) {
  ScrubCore core;
  core.Restore({.resting = false, .bucket = 5, .leaf = 60000});
  const std::vector<std::pair<uint32_t, uint32_t>> rest = {{8, 5008}};
  EXPECT_EQ(Walk(&core, {3, 8}), rest);
}

// --- verdicts ------------------------------------------------------------------------------------

TEST(JudgeRefillTest, JoinsWhatAllOthersHold) {
  const std::string a = PeerObject("a", 2), b = PeerObject("b", 3);
  auto joined = causal::Object::Decode(a).value();
  ASSERT_TRUE(joined.Join(causal::Object::Decode(b).value()).has_value());
  const RefillVerdict verdict = JudgeRefill({{"n2", Objects(a)}, {"n3", Objects(b)}});
  EXPECT_EQ(verdict.kind, RefillVerdict::Kind::kRefill);
  EXPECT_EQ(verdict.object, joined.Encode());
  EXPECT_EQ(JudgeRefill({{"n2", Objects(a)}, {"n3", Objects()}}).object, a);
}

TEST(JudgeRefillTest, WaitsForEverybody) {
  const std::string a = PeerObject("a", 2);
  const RefillVerdict down =
      JudgeRefill({{"n2", Objects(a)}, {"n3", Fail(Code::kUnavailable, "it is down")}});
  EXPECT_EQ(down.kind, RefillVerdict::Kind::kLater);
  EXPECT_EQ(down.why, "n3: it is down");
  EXPECT_EQ(JudgeRefill({{"n2", Objects(a)}, {"n3", Objects("garbage")}}).kind,
            RefillVerdict::Kind::kLater);
}

TEST(JudgeRefillTest, WhatNobodyHasStaysDamaged) {
  EXPECT_EQ(JudgeRefill({{"n2", Objects()}, {"n3", Objects()}}).kind, RefillVerdict::Kind::kKeep);
  EXPECT_EQ(JudgeRefill({}).kind, RefillVerdict::Kind::kKeep);
}

// --- a node --------------------------------------------------------------------------------------

class ScrubTest : public testing::Test, public ScrubPort {
 protected:
  void SetUp() override { MakeScrub(); }
  void MakeScrub() {
    scrub_ =
        std::make_unique<Scrub>(env_.env(), *this, meta_, world_.metrics, telemetry::NullLog());
    scrub_->SetRate(1 << 30);
    scrub_->Start();
  }
  void Pass(base::Duration time) {
    env_.Advance(time, [this] {
      world_.Tick();
      world_.loop.RunAll();
    });
  }
  std::string Put(uint64_t token, const std::string& value) {
    PutRecord(world_, kBucket, token, value);
    others_["n2"][KeyAt(kBucket, token)] = PeerObject(value);
    others_["n3"][KeyAt(kBucket, token)] = PeerObject(value);
    return KeyAt(kBucket, token);
  }
  void Damage(const std::string& data_key) {
    std::string bytes = world_.engine.GetBlocking(Space::kData, data_key).value();
    bytes[bytes.size() / 2] ^= 0x10;
    storage::WriteBatch batch;
    batch.Put(Space::kData, data_key, bytes);
    ASSERT_TRUE(world_.engine.Write(batch).has_value());
  }
  std::string Stored(const std::string& data_key, Space space = Space::kData) {
    return world_.engine.GetBlocking(space, data_key).value_or("");
  }
  bool IsWhole(const std::string& data_key, const std::string& value) {
    const std::string bytes = Stored(data_key);
    const auto record = storage::ParseRecord(bytes);
    return record && record->object == PeerObject(value);
  }

  // ScrubPort
  void FindBuckets(BucketsDone done) override {
    if (!knows_buckets_) return done(Fail(Code::kUnavailable, "no view yet"));
    done(world_.replica().Buckets());
  }
  void FindLeaves(uint32_t bucket, uint32_t first, uint32_t last, LeavesDone done) override {
    std::vector<bool> worth(last - first + 1);
    for (const uint64_t token : DurableTokens(world_, bucket)) {
      const uint32_t leaf = merkle::LeafOf(token);
      if (first <= leaf && leaf <= last) worth[leaf - first] = true;
    }
    done(std::move(worth));
  }
  void Check(uint32_t bucket, uint32_t leaf, CheckDone done) override {
    world_.replica().CheckLeaf(
        bucket, leaf, [done = std::move(done)](base::Result<replica::LeafCheck> check) mutable {
          if (!check) return done(Fail(check.error()));
          ScrubbedLeaf result;
          result.bytes = check->bytes;
          for (auto& record : check->damaged) {
            result.damaged.push_back({record.data_key, record.bytes, "checksum"});
          }
          done(std::move(result));
        });
  }
  void AskOthers(std::string data_key, AnswersDone done) override {
    ++asked_;
    std::vector<RefillAnswer> answers;
    for (const auto& [node, records] : others_) {
      if (down_.contains(node)) {
        answers.push_back({node, Fail(Code::kUnavailable, "it is down")});
      } else {
        const auto found = records.find(data_key);
        answers.push_back({node, found == records.end() ? Objects() : Objects(found->second)});
      }
    }
    done(std::move(answers));
  }
  void Replace(std::string data_key, std::string damaged, std::string object,
               StatusDone done) override {
    world_.replica().Replace(std::move(data_key), std::move(damaged), std::move(object),
                             [done = std::move(done)](auto state) mutable {
                               if (!state) return done(Fail(state.error()));
                               if (*state == replica::RecordState::kDone) return done({});
                               done(Fail(Code::kConflict, "another record"));
                             });
  }
  std::string NameOf(const std::string& data_key) const override { return data_key; }
  std::string BucketName(uint32_t) const override { return "b"; }

  replica::World world_;
  TestEnv env_{&world_.loop};
  replica::MetaStore meta_{world_.engine, world_.loop};
  std::map<std::string, Records> others_;
  std::set<std::string> down_;
  int asked_ = 0;
  bool knows_buckets_ = true;
  std::unique_ptr<Scrub> scrub_;
};

// Guards M39.
TEST_F(ScrubTest, ADamagedRecordIsRefilledAndItsBytesAreKept) {
  const std::string whole = Put(1, "one");
  const std::string key = Put(uint64_t{9} << 60, "nine");
  Damage(key);
  const std::string damaged = Stored(key);
  Pass(ScrubCore::kRest + base::Seconds(1));
  EXPECT_TRUE(IsWhole(key, "nine"));
  EXPECT_TRUE(IsWhole(whole, "one"));
  EXPECT_EQ(Stored(key, Space::kQuarantine), damaged);
  EXPECT_EQ(scrub_->Status().damaged, 1U);
  EXPECT_EQ(scrub_->Status().refilled, 1U);
  EXPECT_EQ(scrub_->Status().trouble, "");
  EXPECT_EQ(scrub_->Status().last_ms, 1'000'000);
  EXPECT_EQ(world_.metrics.scrub_refilled.value(), 1U);
  EXPECT_EQ(asked_, 1);
}

TEST_F(ScrubTest, WaitsForTheReplicaThatIsDown) {
  const std::string key = Put(5, "five");
  Damage(key);
  down_.insert("n3");
  Pass(base::Seconds(100));
  EXPECT_FALSE(IsWhole(key, "five"));
  EXPECT_NE(scrub_->Status().trouble.find("n3: it is down"), std::string::npos);
  EXPECT_EQ(scrub_->Status().damaged, 1U) << "counted once, however often it is found";
  down_.clear();
  Pass(base::Seconds(31));
  EXPECT_TRUE(IsWhole(key, "five"));
  EXPECT_EQ(scrub_->Status().trouble, "");
}

// Guards M6.
TEST_F(ScrubTest, WhatNobodyElseHasStaysDamagedAndIsNeverAbsent) {
  const std::string key = Put(5, "five");
  Damage(key);
  const std::string damaged = Stored(key);
  others_ = {{"n2", {}}, {"n3", {}}};
  Pass(base::Seconds(200));
  EXPECT_EQ(Stored(key), damaged);
  EXPECT_EQ(scrub_->Status().refilled, 0U);
  EXPECT_NE(scrub_->Status().trouble.find("no other replica has it"), std::string::npos);
  EXPECT_EQ(Stored(key, Space::kQuarantine), "");
}

TEST_F(ScrubTest, ARecordThatWasWrittenMeanwhileIsLeftAlone) {
  const std::string key = Put(5, "five");
  Damage(key);
  down_.insert("n2");
  Pass(ScrubCore::kRest + base::Seconds(1));
  EXPECT_EQ(scrub_->Status().damaged, 1U);
  storage::WriteBatch batch;
  batch.Put(Space::kData, key, storage::EncodeRecord(std::nullopt, PeerObject("new", 9)));
  ASSERT_TRUE(world_.engine.Write(batch).has_value());
  down_.clear();
  Pass(base::Seconds(40));
  EXPECT_TRUE(storage::ParseRecord(Stored(key)).has_value());
  EXPECT_EQ(scrub_->Status().refilled, 0U);
  EXPECT_EQ(scrub_->Status().trouble, "");
}

TEST_F(ScrubTest, KeepsToItsRateAndCanBeSwitchedOff) {
  scrub_->SetRate(0);
  const std::string key = Put(5, "five");
  Damage(key);
  Pass(base::Seconds(20));
  EXPECT_FALSE(IsWhole(key, "five"));
  for (uint64_t i = 1; i < 100; ++i) Put(i << 56, "v");
  // Each of the hundred leaves costs at least kLeafBytes.
  scrub_->SetRate(10 * Scrub::kLeafBytes);
  Pass(base::Seconds(6));
  EXPECT_EQ(scrub_->Status().last_ms, 0);
  EXPECT_GT(scrub_->Status().fraction, 0.2);
  Pass(base::Seconds(6));
  EXPECT_NE(scrub_->Status().last_ms, 0);
}

TEST_F(ScrubTest, APassBeginsOnlyWhenItIsKnownWhatThereIs) {
  const std::string key = Put(5, "five");
  Damage(key);
  knows_buckets_ = false;
  MakeScrub();
  const uint64_t passes = world_.metrics.scrub_passes.value();
  Pass(base::Seconds(5));
  EXPECT_EQ(world_.metrics.scrub_passes.value(), passes) << "a pass over nothing is no pass";
  knows_buckets_ = true;
  Pass(base::Seconds(2));
  EXPECT_TRUE(IsWhole(key, "five"));
}

TEST_F(ScrubTest, TheLastPassIsKnownAfterARestart) {
  Put(5, "five");
  Pass(base::Seconds(2));
  scrub_->SetRate(0);
  MakeScrub();
  scrub_->SetRate(0);
  Pass(base::Seconds(1));
  EXPECT_EQ(scrub_->Status().last_ms, 1'000'000);
}

}  // namespace
}  // namespace lariat::repair

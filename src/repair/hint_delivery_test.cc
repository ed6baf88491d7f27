// SPDX-License-Identifier: Apache-2.0
// Hints from the store to the members they are for, in virtual time.
#include "repair/hint_delivery.h"

#include <gtest/gtest.h>

#include "membership/topology.h"
#include "repair/repair_test_util.h"
#include "replica/hint.h"

namespace lariat::repair {
namespace {

using base::Code;
using base::Millis;
using base::Seconds;

// --- the core -----------------------------------------------------------------------------------

TEST(HintStep, EveryCaseOfTheTable) {
  const HintCase good = {10, 10, 100, true, true, true};
  EXPECT_EQ(StepFor(good), HintStep::kSend);
  HintCase hint = good;
  hint.usable = false;
  EXPECT_EQ(StepFor(hint), HintStep::kKeep);
  HintCase last_call = hint;
  last_call.age_ms = 90;
  EXPECT_EQ(StepFor(last_call), HintStep::kReroute);
  last_call = hint;
  last_call.leaving = true;
  EXPECT_EQ(StepFor(last_call), HintStep::kReroute);
  last_call.has_object = false;
  EXPECT_EQ(StepFor(last_call), HintStep::kKeep) << "the record is with its replicas";
  hint.is_replica = false;
  EXPECT_EQ(StepFor(hint), HintStep::kReroute);
  hint.has_object = false;
  EXPECT_EQ(StepFor(hint), HintStep::kDrop);
  hint.usable = true;
  EXPECT_EQ(StepFor(hint), HintStep::kDrop);
  for (int bits = 0; bits < 8; ++bits) {
    HintCase old = {100, 100, 100, (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
    EXPECT_EQ(StepFor(old), HintStep::kExpire) << "too old is too old: " << bits;
    old.steady_age_ms = 99;
    EXPECT_EQ(StepFor(old), HintStep::kKeep) << "neither sent nor dropped: " << bits;
  }
}

class HintCoreTest : public testing::Test {
 protected:
  void Targets(std::map<uint64_t, HintTarget> targets) { core.OnTargets(targets, now, {wall_ms}); }
  std::optional<uint64_t> Next() {
    const auto page = core.Next(now);
    if (!page) return std::nullopt;
    return page->target;
  }
  void Pass(base::Duration time) {
    now += time;
    wall_ms += time / Millis(1);
  }
  static HintTarget Target(bool usable, int64_t oldest_ms = 1'000'000) {
    return {5, oldest_ms, true, usable};
  }
  HintDeliveryCore::PageEnd Done() {
    HintDeliveryCore::PageEnd end;
    end.done = true;
    return end;
  }
  HintDeliveryCore core;
  base::Instant now{Seconds(100)};
  int64_t wall_ms = 1'000'000;
};

TEST_F(HintCoreTest, OnePageForEachTargetAndTargetsTakeTurns) {
  core.SetAgeLimit(3'600'000);
  Targets({{1, Target(true)}, {2, Target(true)}});
  EXPECT_EQ(Next(), 1U);
  EXPECT_EQ(Next(), 2U);
  EXPECT_EQ(Next(), std::nullopt);
  HintDeliveryCore::PageEnd end;
  end.last_key = "k";
  core.OnPage(1, end, now);
  const auto page = core.Next(now);
  ASSERT_TRUE(page);
  EXPECT_EQ(page->target, 1U);
  EXPECT_EQ(page->after, "k");
  core.OnPage(1, Done(), now);
  EXPECT_EQ(Next(), std::nullopt) << "a walk that is over pauses";
  Pass(Seconds(1));
  EXPECT_EQ(Next(), 1U);
}

TEST_F(HintCoreTest, ATargetThatTakesNothingIsAskedMoreAndMoreSeldomUntilItComesBack) {
  core.SetAgeLimit(3'600'000);
  Targets({{1, Target(true)}});
  HintDeliveryCore::PageEnd end;
  end.stopped = true;
  base::Duration last{};
  for (int i = 0; i < 8; ++i) {
    base::Duration waited{};
    while (!Next()) {
      Pass(Millis(500));
      waited += Millis(500);
    }
    EXPECT_GE(waited, last);
    EXPECT_LE(waited, Seconds(60));
    last = waited;
    core.OnPage(1, end, now);
  }
  EXPECT_GE(last, Seconds(59));
  Targets({{1, Target(false)}});
  EXPECT_EQ(Next(), std::nullopt);
  Targets({{1, Target(true)}});
  EXPECT_EQ(Next(), 1U) << "at once";
}

TEST_F(HintCoreTest, WhatIsTooOldIsLookedForThoughTheTargetTakesNothing) {
  core.SetAgeLimit(160'000);
  HintDeliveryCore::PageEnd refuses;
  refuses.stopped = true;
  const int64_t stored_ms = wall_ms;
  base::Duration since_look{}, longest{};
  int looks = 0, tries = 0;
  for (int second = 0; second < 400; ++second) {
    Targets({{1, Target(true, stored_ms)}});
    while (const auto page = core.Next(now)) {
      core.OnPage(1, page->usable ? refuses : Done(), now);
      if (page->usable) {
        ++tries;
      } else {
        ++looks;
        since_look = {};
      }
    }
    if (second > 160) longest = std::max(longest, since_look);
    Pass(Seconds(1));
    since_look += Seconds(1);
  }
  EXPECT_LE(longest, Seconds(20)) << "a sixteenth of the limit, and what a walk takes";
  EXPECT_GT(looks, 10);
  EXPECT_LT(tries, 20) << "it is spared as before";
}

TEST_F(HintCoreTest, AnAbsentTargetIsWalkedOnlyForAViewAndForOldHints) {
  core.SetAgeLimit(16'000);
  Targets({{1, Target(false)}});
  EXPECT_EQ(Next(), 1U) << "nobody has looked at them yet";
  core.OnPage(1, Done(), now);
  Pass(Seconds(10));
  Targets({{1, Target(false)}});
  EXPECT_EQ(Next(), std::nullopt);
  core.OnView(now);
  EXPECT_EQ(Next(), 1U);
  core.OnPage(1, Done(), now);
  Pass(Seconds(6));
  Targets({{1, Target(false)}});
  EXPECT_EQ(Next(), 1U) << "the oldest is too old now";
  auto end = Done();
  end.oldest_ms = wall_ms - 1000;
  core.OnPage(1, end, now);
  EXPECT_EQ(core.TakeOldest(1), wall_ms - 1000);
  Targets({{1, Target(false, wall_ms - 1000)}});
  Pass(Seconds(10));
  Targets({{1, Target(false, wall_ms - 11000)}});
  EXPECT_EQ(Next(), std::nullopt);
}

TEST_F(HintCoreTest, ARefusedWalkBeginsAnewWithTheNextView) {
  core.SetAgeLimit(3'600'000);
  Targets({{1, Target(true)}});
  EXPECT_EQ(Next(), 1U);
  HintDeliveryCore::PageEnd end;
  end.last_key = "k";
  end.refused = true;
  core.OnPage(1, end, now);
  EXPECT_EQ(Next(), std::nullopt);
  core.OnView(now);
  const auto page = core.Next(now);
  ASSERT_TRUE(page);
  EXPECT_EQ(page->after, "") << "what was passed may have other replicas now";
}

TEST_F(HintCoreTest, AViewDuringAWalkMeansOneMoreWalk) {
  core.SetAgeLimit(3'600'000);
  Targets({{1, Target(false)}});
  EXPECT_EQ(Next(), 1U);
  core.OnView(now);
  core.OnPage(1, Done(), now);
  EXPECT_EQ(Next(), 1U);
}

// --- the shell ----------------------------------------------------------------------------------

// Member i has the number i + 1 and one token for itself; this node is the first.
std::shared_ptr<const membership::View> ViewOf(const std::vector<uint64_t>& numbers, uint64_t fence,
                                               uint32_t n, uint64_t gc_grace_s) {
  membership::Topology topology;
  topology.cluster = {1, 1};
  topology.epoch = topology.fence = fence;
  topology.sealed = true;
  for (const uint64_t number : numbers) {
    membership::Member member;
    member.id = {number, 0};
    member.name = "node" + std::to_string(number);
    member.tokens = member.next_tokens = {{number << 32}};
    topology.members.push_back(member);
  }
  topology.founder = topology.members[0].id;
  membership::BucketProperties bucket;
  bucket.name = "b";
  bucket.id = 1;
  bucket.n = n;
  bucket.gc_grace_s = gc_grace_s;
  topology.buckets["b"] = bucket;
  const base::Uuid self = topology.members[0].id;
  return membership::MakeView(std::move(topology), self);
}

class HintDeliveryTest : public testing::Test, public HintPort {
 protected:
  HintDeliveryTest() {
    settings_.hints_window_s = 10800;
    Boot();
    marks_.Load();
    world_.loop.RunAll();
  }
  void Boot() {
    delivery_ = std::make_unique<HintDelivery>(env_.env(),
                                               HintDelivery::Parts{*this, reader_, *world_.hints},
                                               world_.metrics, telemetry::NullLog(), settings_);
    delivery_->Start();
  }
  void View(const std::vector<uint64_t>& members, uint64_t gc_grace_s = 86400, uint32_t n = 3) {
    fence_ += 1;
    taken_fence_ = fence_;
    delivery_->OnView(ViewOf(members, fence_, n, gc_grace_s));
  }
  void Go(base::Duration time) {
    env_.Advance(time, [this] { world_.loop.RunAll(); });
  }
  void Keep(uint64_t token, uint64_t target, const std::string& value, uint64_t peer = 2) {
    const replica::KeyRef key = {1, {token}, "k" + std::to_string(token), target};
    world_.replica().Write(key, replica::PeerObject(value, peer), {.now = env_.Wall()},
                           [](const base::Status& status) { EXPECT_TRUE(status.has_value()); });
    world_.loop.RunAll();
  }
  void Owe(uint64_t token, uint64_t target) {
    world_.replica().Owe({1, {token}, "k" + std::to_string(token), target}, env_.Wall(),
                         [](const base::Status& status) { EXPECT_TRUE(status.has_value()); });
    world_.loop.RunAll();
  }
  int64_t Pending() const { return world_.hints->hints(); }

  // HintPort
  bool IsAlive(uint64_t member) const override { return !away_.contains(member); }
  void ReadRecord(std::string data_key, ReadDone done) override {
    const auto key = storage::ParseDataKey(data_key);
    world_.replica().Read({key->bucket, {key->token}, std::string(key->key)}, {},
                          [done = std::move(done)](base::Result<replica::ReadResult> r) mutable {
                            if (!r) return done(base::Fail(r.error()));
                            done(r->found ? std::optional(r->object) : std::nullopt);
                          });
  }
  void Push(uint64_t member, uint64_t fence, Entries entries, StatusDone done) override {
    ++pushes_;
    size_t bytes = 0;
    for (const auto& entry : entries) bytes += entry.key.size() + entry.object.size();
    largest_ = std::max(largest_, bytes);
    if (on_push_) on_push_();
    if (fence != taken_fence_) return done(base::Fail(Code::kStaleEpoch, "another topology"));
    if (away_.contains(member) || !refuse_.empty()) {
      const auto bad = [&](const auto& entry) { return entry.key == refuse_; };
      if (away_.contains(member)) return done(base::Fail(Code::kTimeout, "no answer"));
      if (std::any_of(entries.begin(), entries.end(), bad)) {
        return done(base::Fail(Code::kCorruption, "it is damaged there"));
      }
    }
    for (auto& entry : entries) {
      if (!got_[member].contains(entry.key)) order_.push_back(entry.key);
      got_[member][entry.key] = world_.ValuesIn(entry.object);
    }
    done({});
  }
  void RemoveHints(std::vector<replica::HintMark> hints, StatusDone done) override {
    world_.replica().RemoveHints(std::move(hints),
                                 [done = std::move(done)](base::Result<size_t> r) mutable {
                                   done(r ? base::Status() : base::Status(base::Fail(r.error())));
                                 });
  }
  void MarkDirty(std::vector<replica::DirtyMark> marks, StatusDone done) override {
    marks_.Mark(marks, env_.Wall(), std::move(done));
  }
  std::optional<base::Duration> ForegroundLatency() override { return latency_; }

  using Texts = std::vector<std::string>;
  config::Settings settings_;
  replica::World world_;
  replica::HintReader reader_{world_.engine, world_.loop, world_.metrics};
  replica::DirtyMarks marks_{world_.engine, world_.loop};
  TestEnv env_{&world_.loop};
  std::unique_ptr<HintDelivery> delivery_;
  uint64_t fence_ = 0, taken_fence_ = 0;
  std::set<uint64_t> away_;
  std::map<uint64_t, std::map<std::string, Texts>> got_;  // by member and key
  std::vector<std::string> order_;
  std::string refuse_;
  std::function<void()> on_push_;
  int pushes_ = 0;
  size_t largest_ = 0;
  std::optional<base::Duration> latency_;
};

TEST_F(HintDeliveryTest, WhatWasKeptArrivesInKeyOrderWhenTheMemberIsBack) {
  View({1, 2, 3});
  away_ = {2};
  for (const uint64_t token : {30, 10, 20}) Keep(token, 2, "v" + std::to_string(token));
  Keep(40, 3, "other");
  Go(Seconds(5));
  EXPECT_TRUE(got_[2].empty());
  EXPECT_EQ(got_[3].size(), 1U);
  order_.clear();
  away_.clear();
  delivery_->OnLiveness();
  Go(Millis(100));
  EXPECT_EQ(order_, (Texts{KeyAt(1, 10), KeyAt(1, 20), KeyAt(1, 30)}));
  EXPECT_EQ(got_[2][KeyAt(1, 10)], Texts{"v10"});
  EXPECT_EQ(Pending(), 0);
  EXPECT_EQ(world_.metrics.hints_delivered.value(), 4U);
  EXPECT_EQ(marks_.size(), 0U);
}

TEST_F(HintDeliveryTest, AReferenceBringsTheRecordAsItIsThen) {
  View({1, 2, 3});
  away_ = {2};
  PutRecord(world_, 1, 10, "old");
  Owe(10, 2);
  Owe(20, 2);  // of a record that is gone by then
  world_.replica().Write({1, {10}, "k10"}, replica::PeerObject("new", 3), {.now = world_.now},
                         [](base::Status) {});
  Go(Seconds(2));
  away_.clear();
  delivery_->OnLiveness();
  Go(Seconds(1));
  EXPECT_EQ(got_[2][KeyAt(1, 10)], (Texts{"old", "new"}));
  EXPECT_FALSE(got_[2].contains(KeyAt(1, 20)));
  EXPECT_EQ(Pending(), 0);
}

TEST_F(HintDeliveryTest, WhatIsAddedDuringTheDeliveryIsDeliveredToo) {
  View({1, 2, 3});
  PutRecord(world_, 1, 20, "a");
  bool once = true;
  on_push_ = [&] {
    if (!std::exchange(once, false)) return;
    Keep(10, 2, "late", 3);
    Owe(20, 2);
  };
  Keep(10, 2, "early");
  Owe(20, 2);
  Go(Seconds(1));
  EXPECT_EQ(Pending(), 2) << "another version than the one that was delivered";
  Go(Seconds(5));
  EXPECT_EQ(Pending(), 0);
  EXPECT_EQ(got_[2][KeyAt(1, 10)], (Texts{"early", "late"}));
}

TEST_F(HintDeliveryTest, BatchesAreBoundedAndTheRateToo) {
  View({1, 2, 3});
  settings_.hints_replay_bytes_per_s = 1 << 20;
  delivery_->ApplySettings(settings_);
  away_ = {2};
  const std::string big(40'000, 'x');
  for (uint64_t token = 1; token <= 100; ++token) {
    PutRecord(world_, 1, token, big);
    Owe(token, 2);
  }
  Go(Seconds(2));
  away_.clear();
  delivery_->OnLiveness();
  Go(Seconds(1));
  EXPECT_LT(got_[2].size(), 60U);
  EXPECT_GT(got_[2].size(), 15U);
  EXPECT_GT(delivery_->BytesPerSecond(2), 100'000);
  Go(Seconds(6));
  EXPECT_EQ(got_[2].size(), 100U);
  EXPECT_LE(largest_, (256U << 10) + 41'000);
  EXPECT_EQ(Pending(), 0);
}

TEST_F(HintDeliveryTest, SlowClientsSlowItDown) {
  View({1, 2, 3});
  settings_.hints_replay_bytes_per_s = 64 << 20;
  delivery_->ApplySettings(settings_);
  latency_ = Millis(500);
  away_ = {2};
  const std::string big(100'000, 'x');
  for (uint64_t token = 1; token <= 400; ++token) {
    Keep(token, 2, big);
  }
  Go(Seconds(2));
  away_.clear();
  delivery_->OnLiveness();
  Go(Seconds(8));
  EXPECT_GT(Pending(), 0) << "40 MB in a second, were it not for the clients";
  latency_ = Millis(1);
  Go(Seconds(60));
  EXPECT_EQ(Pending(), 0);
}

TEST_F(HintDeliveryTest, AMemberThatRefusesOneRecordGetsAllOthers) {
  View({1, 2, 3});
  refuse_ = KeyAt(1, 20);
  for (uint64_t token = 10; token <= 40; token += 10) Keep(token, 2, "v");
  Go(Seconds(10));
  EXPECT_EQ(got_[2].size(), 3U);
  EXPECT_EQ(Pending(), 1);
  EXPECT_EQ(delivery_->NotAccepted(2), "it is damaged there");
  EXPECT_EQ(delivery_->NotAccepted(3), "");
  EXPECT_GE(world_.metrics.hints_not_accepted.value(), 1U);
  refuse_.clear();
  Go(Seconds(61));
  EXPECT_EQ(Pending(), 0);
}

// --- age ----------------------------------------------------------------------------------------

// Guards M18, M19.
TEST_F(HintDeliveryTest, PastTheWindowAHintIsDroppedAndItsRangeMarked) {
  settings_.hints_window_s = 60;
  delivery_->ApplySettings(settings_);
  View({1, 2, 3});
  away_ = {2};
  Keep(10, 2, "v");
  env_.Pass(Seconds(30));
  Keep(uint64_t{0xab} << 56, 2, "younger");
  env_.Pass(Seconds(31));
  Go(Seconds(10));
  EXPECT_EQ(Pending(), 1);
  ASSERT_EQ(marks_.List().size(), 1U);
  EXPECT_EQ(marks_.List()[0].mark, replica::DirtyMark::Of(2, 1, 10));
  EXPECT_EQ(world_.metrics.hints_expired.value(), 1U);
  away_.clear();
  delivery_->OnLiveness();
  Go(Seconds(1));
  EXPECT_EQ(got_[2].size(), 1U) << "only the younger one";
  EXPECT_EQ(Pending(), 0);
}

TEST_F(HintDeliveryTest, AClockThatJumpsDropsNothingAndNothingIsDeliveredByIt) {
  View({1, 2, 3});
  away_ = {2};
  Keep(10, 2, "the only copy");
  Go(Seconds(2));
  env_.PassWall(Seconds(1'000'000));
  Go(Seconds(700));
  EXPECT_EQ(Pending(), 1);
  EXPECT_EQ(marks_.size(), 0U);
  away_.clear();
  delivery_->OnLiveness();
  Go(Seconds(70));
  EXPECT_EQ(Pending(), 1) << "by the clock it is too old to be delivered";
  env_.PassWall(Seconds(-1'000'000));
  Go(Seconds(70));
  EXPECT_EQ(got_[2].size(), 1U);
  EXPECT_EQ(Pending(), 0);
}

TEST_F(HintDeliveryTest, AGraceWithoutEndIsNoReasonToDropHints) {
  View({1, 2, 3}, /*gc_grace_s=*/UINT64_MAX >> 1);
  away_ = {2};
  Keep(10, 2, "v");
  Go(Seconds(100));
  EXPECT_EQ(Pending(), 1);
  View({1, 2, 3}, /*gc_grace_s=*/UINT64_MAX);
  Go(Seconds(100));
  EXPECT_EQ(Pending(), 1);
}

TEST_F(HintDeliveryTest, BeforeItIsDroppedAStandInsStateGoesToTheReplicasThatAreThere) {
  View({1, 2, 3, 4}, /*gc_grace_s=*/160);
  away_ = {2, 3, 4};
  Keep(uint64_t{1} << 32 | 1, 2, "the only copy");  // of 2, 3 and 4
  Go(Seconds(1));
  away_ = {2};
  env_.Pass(Seconds(145));
  Go(Seconds(12));
  const std::string key = KeyAt(1, uint64_t{1} << 32 | 1);
  EXPECT_EQ(got_[3][key], Texts{"the only copy"});
  EXPECT_EQ(got_[4][key], Texts{"the only copy"});
  EXPECT_EQ(Pending(), 1) << "its member may come back yet";
  env_.Pass(Seconds(20));
  Go(Seconds(60));
  EXPECT_EQ(Pending(), 0);
  EXPECT_EQ(marks_.size(), 1U);
  EXPECT_TRUE(got_[2].empty());
}

// The story of scylladb#23712: a hint is kept for B, holding a value. B comes back by other means,
// the key is deleted, the delete is older than the grace and could have been purged everywhere.
// Only then this node, which was away itself, can deliver. The old value must not get through.
// Guards M13, M19.
TEST_F(HintDeliveryTest, AHintOlderThanTheGraceOfDeletesIsNeverDelivered) {
  View({1, 2, 3}, /*gc_grace_s=*/100);
  away_ = {2};
  Keep(10, 2, "deleted long ago");
  PutRecord(world_, 1, 20, "x");
  Owe(20, 2);
  Go(Seconds(1));
  env_.Pass(Seconds(101));  // away for longer than the grace, and nothing was dropped meanwhile
  away_.clear();
  delivery_->OnLiveness();
  Go(Seconds(20));
  EXPECT_TRUE(got_.empty()) << "not to anybody";
  EXPECT_EQ(Pending(), 0);
  EXPECT_EQ(marks_.size(), 1U) << "repair will look there: a comparison honours deletes";
  world_.Crash();
  marks_.Load();
  world_.loop.RunAll();
  EXPECT_EQ(marks_.size(), 1U);
}

// Guards M19.
TEST_F(HintDeliveryTest, NothingIsDroppedBeforeItsMarkIsDurable) {
  settings_.hints_window_s = 60;
  delivery_->ApplySettings(settings_);
  View({1, 2, 3});
  away_ = {2};
  Keep(10, 2, "v");
  env_.Pass(Seconds(61));
  world_.plan.hold_syncs = true;
  Go(Seconds(10));
  EXPECT_EQ(Pending(), 1);
  world_.plan.Release();
  Go(Seconds(10));
  EXPECT_EQ(Pending(), 0);
}

// --- topology -----------------------------------------------------------------------------------

// Guards M18.
TEST_F(HintDeliveryTest, WhatWasKeptForALeaverGoesToAllPresentReplicas) {
  View({1, 2, 3, 4, 5});
  away_ = {4, 5};
  // Token 10 is with 1, 2 and 3; that of member 4 with 4, 5 and 1.
  Keep(10, 2, "kept");
  Owe(10, 5);
  Keep((uint64_t{4} << 32) - 1, 4, "also kept");
  Go(Seconds(1));
  EXPECT_EQ(got_[2].size(), 1U);
  EXPECT_EQ(Pending(), 1) << "nobody owes 5 what it does not hold";
  View({1, 2, 3, 5});
  Go(Seconds(1));
  EXPECT_TRUE(got_[1].contains(KeyAt(1, (uint64_t{4} << 32) - 1)));
  EXPECT_TRUE(got_[2].contains(KeyAt(1, (uint64_t{4} << 32) - 1)));
  EXPECT_EQ(Pending(), 1) << "5 has not got it yet";
  away_.clear();
  Go(Seconds(61));
  EXPECT_EQ(got_[5][KeyAt(1, (uint64_t{4} << 32) - 1)], Texts{"also kept"});
  EXPECT_EQ(Pending(), 0);
  EXPECT_GE(world_.metrics.hints_rerouted.value(), 1U);
}

TEST_F(HintDeliveryTest, AStaleRequestWaitsForTheNewView) {
  View({1, 2, 3});
  taken_fence_ = 77;
  Keep(10, 2, "v");
  Go(Seconds(3));
  EXPECT_EQ(Pending(), 1);
  EXPECT_TRUE(got_.empty());
  fence_ = 76;
  View({1, 2, 3});
  Go(Millis(100));
  EXPECT_EQ(Pending(), 0);
}

TEST_F(HintDeliveryTest, ARestartGoesOn) {
  View({1, 2, 3});
  away_ = {2};
  Keep(10, 2, "v");
  delivery_.reset();
  world_.hints = std::make_shared<replica::HintBudget>();
  world_.Crash();
  world_.replica().RecountHints({0}, {UINT64_MAX});
  world_.loop.RunAll();
  Boot();
  View({1, 2, 3});
  Go(Seconds(1));
  EXPECT_EQ(Pending(), 1);
  away_.clear();
  Go(Seconds(2));
  EXPECT_EQ(got_[2][KeyAt(1, 10)], Texts{"v"});
  EXPECT_EQ(Pending(), 0);
}

TEST_F(HintDeliveryTest, OutOfTheClusterNothingIsSent) {
  View({1, 2, 3});
  away_ = {2};
  Keep(10, 2, "v");
  Go(Seconds(1));
  delivery_->Stop();
  away_.clear();
  delivery_->OnLiveness();
  Go(Seconds(100));
  EXPECT_EQ(pushes_, 0);
}

}  // namespace
}  // namespace lariat::repair

// SPDX-License-Identifier: Apache-2.0
#include "replica/registers/register_watch.h"

#include <gtest/gtest.h>

#include "replica/replica_test_util.h"

namespace lariat::replica {
namespace {

using base::Code;
using causal::RegisterId;
using causal::Standing;

constexpr base::WallTime kNow{5'000'000};
constexpr uint64_t kKey = 77;

RegisterId Id(int64_t ms, uint64_t node = 1) {
  return {causal::HlcStamp::FromWallMs(kNow.ms + ms), node};
}

TEST(RegisterWatch, KnowsWhatItHeldFromWhatItNeverHeld) {
  RegisterWatch watch({});
  watch.OnReplaced(kKey, Id(2), kNow);
  watch.OnReplaced(kKey + 1, Id(3), kNow);
  watch.OnReplaced(kKey, Id(5), kNow);
  EXPECT_EQ(watch.StandingOf(kKey, Id(2), kNow), Standing::kHeld);
  EXPECT_EQ(watch.StandingOf(kKey, Id(5), kNow), Standing::kHeld);
  EXPECT_EQ(watch.StandingOf(kKey, Id(3), kNow), Standing::kNeverHeld);
  EXPECT_EQ(watch.StandingOf(kKey, Id(5, 2), kNow), Standing::kNeverHeld) << "of another node";
  EXPECT_EQ(watch.StandingOf(kKey, Id(1), kNow), Standing::kNeverHeld);
  watch.Withdraw(kKey, Id(5));
  EXPECT_EQ(watch.StandingOf(kKey, Id(5), kNow), Standing::kNeverHeld);
}

TEST(RegisterWatch, WhatItMayHaveForgottenItDoesNotJudge) {
  RegisterWatch watch(Id(1).stamp, 2);
  EXPECT_EQ(watch.StandingOf(kKey, Id(1), kNow), Standing::kUnsure) << "an earlier run";
  EXPECT_EQ(watch.StandingOf(kKey, Id(2), kNow), Standing::kNeverHeld);
  for (int64_t ms = 10; ms < 14; ++ms) watch.OnReplaced(kKey + 1, Id(ms), kNow);
  EXPECT_EQ(watch.StandingOf(kKey, Id(11), kNow), Standing::kUnsure) << "the ring is full";
  EXPECT_EQ(watch.StandingOf(kKey, Id(12), kNow), Standing::kNeverHeld);
  EXPECT_EQ(watch.StandingOf(kKey + 1, Id(13), kNow), Standing::kHeld);
  // Values from long ago push nothing out, and are not judged.
  watch.OnReplaced(kKey + 1, Id(-3'000'000), kNow);
  EXPECT_EQ(watch.StandingOf(kKey + 1, Id(13), kNow), Standing::kHeld);
  EXPECT_EQ(watch.StandingOf(kKey, Id(-3'000'000), kNow), Standing::kUnsure);
}

TEST(RegisterWatch, NotesWhatIsShown) {
  RegisterWatch watch({});
  EXPECT_TRUE(watch.MayHaveBeenShown(kKey, Id(1))) << "not known";
  watch.OnMade(kKey, Id(1));
  watch.OnShown(kKey, Id(2));
  watch.OnShown(kKey + 1, Id(1));
  EXPECT_FALSE(watch.MayHaveBeenShown(kKey, Id(1)));
  watch.OnShown(kKey, Id(1));
  EXPECT_TRUE(watch.MayHaveBeenShown(kKey, Id(1)));
  watch.OnMade(kKey, Id(3));
  EXPECT_TRUE(watch.MayHaveBeenShown(kKey, Id(1))) << "forgotten";
  EXPECT_FALSE(watch.MayHaveBeenShown(kKey, Id(3)));
}

// --- in a replica --------------------------------------------------------------------------------

std::string Encoded(const RegisterId& id, const std::string& value) {
  causal::Object object(causal::Kind::kLww);
  object.lww()->stamp = id.stamp;
  object.lww()->node = id.node;
  object.lww()->value.bytes = value;
  return object.Encode();
}

class RegisterReplica : public ::testing::Test {
 protected:
  RegisterReplica() { world.now = kNow; }

  std::shared_ptr<RegisterAnswer> Give(const RegisterId& id, const std::string& value) {
    auto answer = std::make_shared<RegisterAnswer>();
    bool ok = false;
    world.replica().Write(World::Ref("k"), Encoded(id, value), {.now = world.now, .answer = answer},
                          [&ok](const base::Status& status) { ok = status.has_value(); });
    world.loop.RunAll();
    EXPECT_TRUE(ok);
    return answer;
  }
  UpdateRequest Request(const std::string& value) const {
    UpdateRequest request;
    request.key = World::Ref("k");
    request.change.kind = causal::Kind::kLww;
    request.change.value.bytes = value;
    request.change.now = world.now;
    return request;
  }
  base::Result<RegisterId> Make(UpdateRequest request) {
    base::Result<RegisterId> made = base::Fail(Code::kInternal, "no answer");
    world.replica().Update(
        std::move(request),
        [&made](base::Result<UpdateResult> result) {
          if (!result) {
            made = base::Fail(result.error());
          } else {
            made = RegisterId{result->context.lww_stamp, result->context.lww_node};
          }
        },
        [](const base::Status&) {});
    world.loop.RunAll();
    return made;
  }

  World world;
};

TEST_F(RegisterReplica, SaysHowARegisterStands) {
  EXPECT_EQ(Give(Id(2), "b")->standing, Standing::kHeld);
  EXPECT_EQ(Give(Id(2), "b")->standing, Standing::kHeld) << "it comes twice";
  EXPECT_EQ(Give(Id(5), "e")->standing, Standing::kHeld);
  const auto late = Give(Id(4), "d");
  EXPECT_EQ(late->standing, Standing::kNeverHeld);
  EXPECT_EQ(late->greater, Id(5).stamp);
  const auto again = Give(Id(2), "b");
  EXPECT_EQ(again->standing, Standing::kHeld) << "before the greater one came";
  EXPECT_EQ(again->greater, Id(5).stamp);
  EXPECT_EQ(world.Values(), std::vector<std::string>{"e"});
  EXPECT_EQ(world.metrics.registers_overtaken.value(), 2U);
}

TEST_F(RegisterReplica, AnEventIsMadeAgainUnlessItWasShown) {
  const auto first = Make(Request("a"));
  ASSERT_TRUE(first);
  auto again = Request("a");
  again.change.above = Id(300).stamp;
  again.change.instead_of = *first;
  again.change.unless_shown = true;
  const auto second = Make(std::move(again));
  ASSERT_TRUE(second);
  EXPECT_GT(second->stamp, Id(300).stamp);
  EXPECT_NE(Give(*first, "a")->standing, Standing::kHeld) << "as if it had never been here";
  EXPECT_EQ(world.Values(), std::vector<std::string>{"a"});  // shown
  auto third = Request("a");
  third.change.instead_of = *second;
  third.change.unless_shown = true;
  EXPECT_EQ(Make(std::move(third)).error().code, Code::kPreconditionFailed);
  third = Request("a");
  third.change.instead_of = *second;
  EXPECT_TRUE(Make(std::move(third)));
}

TEST_F(RegisterReplica, AWriteBackThatFindsItHereCountsAsShown) {
  const auto first = Make(Request("a"));
  ASSERT_TRUE(first);
  EXPECT_EQ(Give(*first, "a")->standing, Standing::kHeld);
  auto again = Request("a");
  again.change.instead_of = *first;
  again.change.unless_shown = true;
  EXPECT_EQ(Make(std::move(again)).error().code, Code::kPreconditionFailed);
}

// A stamp a day ahead is stored: it can be written above, and drags no clock along.
TEST_F(RegisterReplica, AStampFromTheFutureStaysWithItsKey) {
  constexpr int64_t kDayMs = 86'400'000;
  world.now.ms += kDayMs;
  Give(Id(kDayMs), "future");
  world.Start();
  world.now = kNow;
  const auto above = Make(Request("now"));
  ASSERT_TRUE(above);
  EXPECT_GT(above->stamp, Id(kDayMs).stamp);
  EXPECT_EQ(world.Values(), std::vector<std::string>{"now"});
  EXPECT_EQ(Give({{above->stamp.packed + 1}, 2}, "peer")->standing, Standing::kHeld)
      << "a peer that found it writes just above";
  auto other = Request("x");
  other.key = World::Ref("other");
  const auto elsewhere = Make(std::move(other));
  ASSERT_TRUE(elsewhere);
  EXPECT_LT(elsewhere->stamp, Id(1000).stamp);
  bool refused = false;
  world.replica().Write(World::Ref("k"), Encoded(Id(kDayMs + 5), "further"), {.now = world.now},
                        [&refused](const base::Status& status) { refused = !status; });
  world.loop.RunAll();
  EXPECT_TRUE(refused);
}

}  // namespace
}  // namespace lariat::replica

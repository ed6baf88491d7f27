// SPDX-License-Identifier: Apache-2.0
#include "membership/upgrade/feature_level.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "membership/change_core.h"
#include "membership/formation_core.h"
#include "membership/membership_test_util.h"
#include "messages.pb.h"

namespace lariat::membership {
namespace {

using base::Code;
using testing::HasSubstr;
using testing::Not;

// Members whose number is missing have not been heard of.
Asked Told(std::map<uint64_t, uint32_t> levels) {
  Asked asked;
  asked.now = {5000};
  asked.alive = [](const base::Uuid&) { return true; };
  asked.level = [levels = std::move(levels)](const base::Uuid& id) -> std::optional<uint32_t> {
    for (const auto& [number, level] : levels) {
      if (IdOf(number) == id) return level;
    }
    return std::nullopt;
  };
  return asked;
}

const Asked kAllNew = Told({{1, 1}, {2, 1}, {3, 1}});

Topology Sealed(uint32_t level) {
  Topology document = MakeDocument(3, 4, true);
  document.fence = 2;
  document.feature_level = level;
  document.buckets.emplace("carts", MakeBucket("carts"));
  return document;
}

TEST(FeatureLevel, NamesTheNodesToUpgradeAndThenTheCommand) {
  const auto old = RequireLevel(Sealed(0), 1, "deleting a bucket", Told({{1, 1}, {3, 0}}).level);
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().code, Code::kConflict);
  EXPECT_THAT(old.error().message, HasSubstr("'node2' (not heard of), 'node3' (level 0)"));
  EXPECT_THAT(old.error().message, Not(HasSubstr("node1")));
  const auto all = RequireLevel(Sealed(0), 1, "deleting a bucket", kAllNew.level);
  ASSERT_FALSE(all);
  EXPECT_THAT(all.error().message, HasSubstr("lariat cluster finalize-upgrade"));
  EXPECT_TRUE(RequireLevel(Sealed(1), 1, "deleting a bucket", Told({}).level));
  EXPECT_TRUE(RequireLevel(Sealed(0), 0, "anything", Told({}).level));
}

TEST(FeatureLevel, KindsThatOlderBuildsWouldMisreadNeedIt) {
  for (const causal::KindRow& row : causal::kKinds) {
    BucketProperties bucket = MakeBucket("b");
    bucket.conflict = row.kind;
    const bool old = row.kind == causal::Kind::kSiblings || row.kind == causal::Kind::kLww;
    EXPECT_EQ(LevelOf(bucket), old ? 0U : 1U) << row.name;
  }
}

TEST(FeatureLevel, IsFinalizedWhenEveryMemberHasIt) {
  const auto early = FinalizeUpgrade(Sealed(0), Told({{1, 1}, {2, 0}, {3, 1}}).level);
  ASSERT_FALSE(early);
  EXPECT_THAT(early.error().message, HasSubstr("'node2' (level 0)"));
  EXPECT_THAT(WhyNotFinalized(Sealed(0), Told({{1, 1}, {2, 0}, {3, 1}}).level),
              HasSubstr("'node2'"));
  EXPECT_THAT(WhyNotFinalized(Sealed(0), kAllNew.level), HasSubstr("finalize-upgrade"));

  const auto next = FinalizeUpgrade(Sealed(0), kAllNew.level);
  ASSERT_TRUE(next && *next);
  EXPECT_EQ((*next)->feature_level, kFeatureLevel);
  EXPECT_EQ((*next)->epoch, 5U);
  EXPECT_EQ((*next)->fence, 5U) << "whoever cannot read it is refused by all others";
  EXPECT_EQ(WhyNotFinalized(**next, Told({}).level), "");
  const auto again = FinalizeUpgrade(**next, Told({}).level);
  EXPECT_TRUE(again && !*again) << "nothing to do";

  Topology gone = Sealed(0);
  gone.members[1].given_up = true;
  EXPECT_TRUE(FinalizeUpgrade(gone, Told({{1, 1}, {3, 1}}).level)) << "nobody waits for it";
  Topology busy = Sealed(0);
  busy.queue.push_back({.number = 3, .node = IdOf(2), .name = "node2"});
  EXPECT_EQ(FinalizeUpgrade(busy, kAllNew.level).error().code, Code::kConflict);
}

// As a build reads a document that knows of no levels: the fields it knows, and its rules.
bool AnOlderBuildTakes(const std::string& bytes) {
  wire::pb::Topology m;
  if (!m.ParseFromString(bytes)) return false;
  return m.fence() <= m.epoch();
}

TEST(FeatureLevel, OlderBuildsReadLevel0AndRefuseAllOthers) {
  const std::string before = EncodeTopology(Sealed(0));
  EXPECT_TRUE(AnOlderBuildTakes(before));
  wire::pb::Topology m;
  ASSERT_TRUE(m.ParseFromString(before));
  EXPECT_EQ(m.fence(), 2U);
  EXPECT_EQ(m.feature_level(), 0U);
  const std::string after = EncodeTopology(Sealed(1));
  EXPECT_FALSE(AnOlderBuildTakes(after));
  const auto decoded = DecodeTopology(after);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->fence, 2U);
  EXPECT_EQ(decoded->feature_level, 1U);
  EXPECT_EQ(EncodeTopology(*decoded), after);
}

TEST(FeatureLevel, ADocumentOfALaterLevelIsRefusedInWords) {
  const std::string later = EncodeTopology(Sealed(kFeatureLevel + 1));
  EXPECT_FALSE(DecodeTopology(later));
  EXPECT_THAT(WhyUnreadable(later), HasSubstr("feature level 2"));
  EXPECT_THAT(WhyUnreadable(later), HasSubstr("start a newer build"));
  EXPECT_THAT(WhyUnreadable("xxx"), HasSubstr("malformed"));
}

TEST(FeatureLevel, WhatALaterBuildMayWriteIsRefusedAndNotMisread) {
  const std::vector<std::pair<const char*, std::function<void(wire::pb::Topology*)>>> unknown = {
      {"a kind of bucket", [](auto* t) { t->mutable_buckets(0)->set_conflict(99); }},
      {"a durability", [](auto* t) { t->mutable_buckets(0)->set_durability(99); }},
      {"a state of a member", [](auto* t) { t->mutable_members(0)->set_state(99); }},
      {"a kind of change", [](auto* t) { t->add_queue()->set_kind(99); }},
      {"a deleted bucket without a level", [](auto* t) { t->add_deleted()->set_id(7); }},
      {"a fence without a level", [](auto* t) { t->set_fence_of_level(1); }},
  };
  for (const auto& [what, change] : unknown) {
    wire::pb::Topology m;
    ASSERT_TRUE(m.ParseFromString(EncodeTopology(Sealed(0))));
    ASSERT_TRUE(DecodeTopology(m.SerializeAsString()));
    change(&m);
    EXPECT_FALSE(DecodeTopology(m.SerializeAsString())) << what;
  }
}

TEST(FeatureLevel, ANewClusterHasThatOfItsOldestFirstMember) {
  const auto founded = [](uint32_t other) {
    FormationCore::Options options;
    options.self = MakeMember(1);
    options.join = {"b:1"};
    FormationCore founder(options, std::nullopt);
    options.self = MakeMember(2);
    options.join = {"a:1"};
    options.feature_level = other;
    FormationCore second(options, std::nullopt);
    founder.OnPlace("b:1", {{IdOf(2)}, true});
    second.OnPlace("a:1", {{IdOf(1)}, true});
    founder.OnJoinRequest(second.MakeJoinRequest(), {});
    EXPECT_TRUE(founder.TryFound({9, 9}));
    return founder.topology()->feature_level;
  };
  EXPECT_EQ(founded(kFeatureLevel), kFeatureLevel);
  EXPECT_EQ(founded(0), 0U);
}

TEST(FeatureLevel, AnOlderBuildDoesNotJoinAClusterInUse) {
  FormationCore::Options options;
  options.self = MakeMember(1);
  FormationCore founder(options, std::nullopt);
  ASSERT_TRUE(founder.TryFound({9, 9}));
  options.self = MakeMember(2);
  options.feature_level = 0;
  const auto request = FormationCore(options, std::nullopt).MakeJoinRequest();
  FormationCore open = founder;
  EXPECT_TRUE(open.OnJoinRequest(request, {}).topology_changed);
  EXPECT_EQ(open.topology()->feature_level, 0U) << "nothing is stored yet";
  founder.Seal();
  const auto refused = founder.OnJoinRequest(request, {});
  EXPECT_FALSE(refused.newcomer);
  EXPECT_EQ(refused.reply.outcome.code, Code::kConflict);
  EXPECT_THAT(refused.reply.outcome.error, HasSubstr("older than the cluster"));
}

// --- deleted buckets -----------------------------------------------------------------------------

TEST(DeletedBucket, IsGoneAndItsIdNeverReturns) {
  Topology now = Sealed(1);
  std::set<uint32_t> ids = {now.buckets.at("default").id};
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(ids.insert(now.buckets.at("carts").id).second);
    const uint32_t id = now.buckets.at("carts").id;
    const Next deleted = DeleteBucket(now, "carts", kAllNew);
    ASSERT_TRUE(deleted && *deleted);
    now = **deleted;
    EXPECT_FALSE(now.buckets.contains("carts"));
    EXPECT_EQ(now.deleted.back(), (DeletedBucket{now.epoch, id, "carts", 5000}));
    EXPECT_EQ(now.fence, now.epoch) << "requests planned before it are refused";
    EXPECT_EQ(DeleteBucket(now, "carts", kAllNew).error().code, Code::kNotFound);
    const Next created = SetBucket(now, MakeBucket("carts"), kAllNew);
    ASSERT_TRUE(created && *created);
    now = **created;
    const auto decoded = DecodeTopology(EncodeTopology(now));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->deleted, now.deleted);
    EXPECT_EQ(decoded->buckets, now.buckets);
  }
  const auto view = MakeView(now, IdOf(1));
  EXPECT_TRUE(view->WasDeleted(now.deleted.front().id));
  EXPECT_EQ(view->FindBucket(now.deleted.front().id), nullptr);
  EXPECT_FALSE(view->WasDeleted(now.buckets.at("carts").id));
  EXPECT_EQ(view->FindBucket(now.buckets.at("carts").id)->name, "carts");
  // An id twice is no document.
  now.buckets.at("carts").id = now.deleted.front().id;
  EXPECT_FALSE(DecodeTopology(EncodeTopology(now)));
}

TEST(DeletedBucket, KeepsItsIdWhenItIsChanged) {
  Topology now = **DeleteBucket(Sealed(1), "carts", kAllNew);
  now = **SetBucket(now, MakeBucket("carts"), kAllNew);
  const uint32_t id = now.buckets.at("carts").id;
  BucketProperties changed = now.buckets.at("carts");
  changed.ttl_s = 77;
  now = **SetBucket(now, changed, kAllNew);
  EXPECT_EQ(now.buckets.at("carts").id, id);
  EXPECT_EQ(now.buckets.at("carts").ttl_s, 77U);
}

TEST(DeletedBucket, RefusesWhatCannotBe) {
  EXPECT_EQ(DeleteBucket(Sealed(1), "default", kAllNew).error().code, Code::kConflict);
  EXPECT_EQ(DeleteBucket(Sealed(1), "none", kAllNew).error().code, Code::kNotFound);
  const auto old = DeleteBucket(Sealed(0), "carts", Told({{1, 1}, {2, 0}, {3, 1}}));
  EXPECT_EQ(old.error().code, Code::kConflict);
  EXPECT_THAT(old.error().message, HasSubstr("'node2' (level 0)"));
  Topology moving = Sealed(1);
  const Change n = {.number = 3,
                    .kind = ChangeKind::kReplication,
                    .name = "carts",
                    .bucket = "carts",
                    .n = 2,
                    .r = 2,
                    .w = 2};
  moving.operation = {n, Phase::kStream, 7};
  EXPECT_THAT(DeleteBucket(moving, "carts", kAllNew).error().message, HasSubstr("task 3"));
  moving.operation.reset();
  moving.queue.push_back(n);
  const Next dropped = DeleteBucket(moving, "carts", kAllNew);
  ASSERT_TRUE(dropped && *dropped);
  EXPECT_TRUE((*dropped)->queue.empty());
  EXPECT_EQ((*dropped)->finished.back().change.number, 3U);
  EXPECT_FALSE((*dropped)->finished.back().done);
}

}  // namespace
}  // namespace lariat::membership

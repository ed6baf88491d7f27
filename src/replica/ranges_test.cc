// SPDX-License-Identifier: Apache-2.0
// Pages of token ranges, the barrier, and small notes.
#include <gtest/gtest.h>

#include "replica/meta_store.h"
#include "replica/range_reader.h"
#include "replica/replica_test_util.h"

namespace lariat::replica {
namespace {

using base::Code;
using storage::Space;
using Texts = std::vector<std::string>;

constexpr uint64_t kMax = UINT64_MAX;

std::string KeyOf(uint32_t bucket, uint64_t token) {
  return storage::DataKey(bucket, token, "k" + std::to_string(token));
}

class RangeReaderTest : public testing::Test {
 protected:
  void Put(uint32_t bucket, uint64_t token, const std::string& record) {
    storage::WriteBatch batch;
    batch.Put(Space::kData, KeyOf(bucket, token), record);
    ASSERT_TRUE(world_.engine.Write(batch).has_value());
  }
  void PutGood(uint32_t bucket, uint64_t token, size_t size = 10) {
    Put(bucket, token, storage::EncodeRecord({}, std::string(size, 'x')));
  }
  base::Result<RecordPage> Page(uint32_t bucket, ring::TokenRange range, std::string after = "",
                                PageOptions options = {}) {
    std::optional<base::Result<RecordPage>> answer;
    reader_.Next({bucket, range}, std::move(after), options,
                 [&](base::Result<RecordPage> page) { answer = std::move(page); });
    EXPECT_FALSE(answer) << "never on the caller's stack";
    world_.loop.RunAll();
    EXPECT_TRUE(answer);
    return std::move(*answer);
  }
  // All tokens of the range, by as many pages as it takes.
  std::vector<uint64_t> Tokens(uint32_t bucket, ring::TokenRange range, PageOptions options = {}) {
    std::vector<uint64_t> tokens;
    std::string after;
    for (int pages = 0; pages < 100; ++pages) {
      const auto page = Page(bucket, range, after, options);
      EXPECT_TRUE(page.has_value());
      if (!page) return tokens;
      for (const auto& record : page->records) {
        tokens.push_back(storage::ParseDataKey(record.key)->token);
      }
      if (page->done) return tokens;
      EXPECT_GT(page->last_key, after) << "every page gets further";
      after = page->last_key;
    }
    ADD_FAILURE() << "the pages have no end";
    return tokens;
  }

  World world_;
  RangeReader reader_{world_.engine, world_.loop, world_.metrics};
};

TEST_F(RangeReaderTest, ReadsExactlyTheRange) {
  for (const uint32_t bucket : {1U, 2U, 3U, UINT32_MAX}) {
    for (const uint64_t token : {uint64_t{0}, uint64_t{10}, uint64_t{20}, uint64_t{30}, kMax}) {
      PutGood(bucket, token);
    }
  }
  using T = std::vector<uint64_t>;
  for (const uint32_t bucket : {2U, UINT32_MAX}) {
    for (const size_t entries : {size_t{1}, size_t{2}, size_t{3}, size_t{100}}) {
      const PageOptions options = {.entries_max = entries};
      EXPECT_EQ(Tokens(bucket, {{10}, {30}}, options), (T{20, 30}));
      EXPECT_EQ(Tokens(bucket, {{10}, {29}}, options), (T{20}));
      EXPECT_EQ(Tokens(bucket, {{11}, {19}}, options), (T{}));
      EXPECT_EQ(Tokens(bucket, {{20}, {10}}, options), (T{0, 10, 30, kMax})) << "over zero";
      EXPECT_EQ(Tokens(bucket, {{kMax}, {10}}, options), (T{0, 10}));
      EXPECT_EQ(Tokens(bucket, {{30}, {kMax}}, options), (T{kMax}));
      EXPECT_EQ(Tokens(bucket, {{kMax}, {kMax}}, options), (T{0, 10, 20, 30, kMax}));
      EXPECT_EQ(Tokens(bucket, {{15}, {15}}, options), (T{0, 10, 20, 30, kMax}));
    }
  }
  EXPECT_EQ(Tokens(7, {{15}, {15}}), (T{}));
}

TEST_F(RangeReaderTest, KeepsItsLimitsAndGetsFurther) {
  for (uint64_t token = 1; token <= 6; ++token) PutGood(1, token, 1000);
  PutGood(1, 7, 100000);
  const auto page = Page(1, {{0}, {0}}, "", {.bytes_max = 3500});
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->records.size(), 3U);
  EXPECT_FALSE(page->done);
  EXPECT_EQ(Tokens(1, {{0}, {0}}, {.bytes_max = 3500}).size(), 7U) << "a large record goes alone";
  EXPECT_EQ(Tokens(1, {{0}, {0}}, {.bytes_max = 1}).size(), 7U);
  const auto rest = Page(1, {{0}, {0}}, KeyOf(1, 7));
  EXPECT_TRUE(rest->done);
  EXPECT_TRUE(rest->records.empty());
  EXPECT_EQ(rest->last_key, KeyOf(1, 7));
}

TEST_F(RangeReaderTest, DamageIsToldNotSkipped) {
  PutGood(1, 1);
  Put(1, 2, "this is no record");
  PutGood(1, 3);
  const auto page = Page(1, {{0}, {0}});
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->records.size(), 2U);
  EXPECT_EQ(page->damaged, 1U);
  EXPECT_FALSE(page->damage.empty());
  EXPECT_EQ(page->last_key, KeyOf(1, 3));
  EXPECT_EQ(world_.metrics.replica_read_errors.value(), 1U);
  const auto last = Page(1, {{0}, {2}});
  EXPECT_EQ(last->last_key, KeyOf(1, 2)) << "a damaged record was looked at too";
  const auto keys = Page(1, {{0}, {0}}, "", {.keys_only = true});
  EXPECT_EQ(keys->records.size(), 3U);
  EXPECT_EQ(keys->damaged, 0U);
}

TEST_F(RangeReaderTest, AnUnreadableOrDeadDiskIsAnError) {
  PutGood(1, 1);
  world_.plan.fail_read = true;
  EXPECT_EQ(Page(1, {{0}, {0}}).error().code, Code::kCorruption);
  world_.plan.fail_read = false;
  world_.plan.fail_sync = true;
  const auto update = world_.Update({});
  world_.loop.RunAll();
  EXPECT_EQ(Page(1, {{0}, {0}}).error().code, Code::kIo);
}

// World::Ref: bucket 1, token 42.
std::string DataKeyOf(const std::string& key) { return storage::DataKey(1, 42, key); }

bool InEngine(World& world, const std::string& key) {
  return world.engine.GetBlocking(Space::kData, DataKeyOf(key)).has_value();
}

TEST(WhenSettled, AnIdleReplicaSettlesSoon) {
  World world;
  bool settled = false;
  world.replica().WhenSettled([&] { settled = true; });
  EXPECT_FALSE(settled);
  world.loop.RunAll();
  EXPECT_TRUE(settled);
  EXPECT_EQ(world.Waiting(), 0U);
}

TEST(WhenSettled, WaitsForStagedWritesAndForThoseThatWaitForTheDisk) {
  World world;
  world.plan.hold_gets = true;
  world.plan.miss_memory = true;
  const auto loading = world.Write("loading", PeerObject("v"));
  const auto first = world.Update({.key = "turn", .value = "1", .idempotency_key = "i"});
  const auto second = world.Update({.key = "turn", .value = "2", .idempotency_key = "i"});
  world.plan.miss_memory = false;
  const auto staged = world.Write("staged", PeerObject("v"));
  bool settled = false;
  world.replica().WhenSettled([&] {
    settled = true;
    for (const char* key : {"loading", "turn", "staged"}) EXPECT_TRUE(InEngine(world, key)) << key;
  });
  world.loop.RunAll();
  EXPECT_FALSE(settled);
  world.plan.Release();
  world.loop.RunAll();
  EXPECT_TRUE(settled);
  EXPECT_TRUE(loading->ok());
  EXPECT_TRUE(first->ok());
  EXPECT_TRUE((*second->result)->replayed);
  EXPECT_EQ(world.Waiting(), 0U);
}

TEST(WhenSettled, DoesNotWaitForSyncsOrForLaterWrites) {
  World world;
  world.plan.hold_syncs = true;
  const auto before = world.Write("before", PeerObject("v"));
  bool settled = false;
  world.replica().WhenSettled([&] { settled = true; });
  world.loop.RunAll();
  EXPECT_TRUE(settled);
  EXPECT_EQ(before->times, 0);
  world.plan.hold_gets = true;
  world.plan.miss_memory = true;
  settled = false;
  world.replica().WhenSettled([&] { settled = true; });
  const auto after = world.Write("after", PeerObject("v"));
  world.loop.RunAll();
  EXPECT_TRUE(settled);
  EXPECT_EQ(after->times, 0);
}

TEST(WhenSettled, AStalledEngineHasNotSettledARefusingOneHas) {
  World world;
  world.plan.fail_write = base::Fail(Code::kStalled, "wait");
  world.Write("a", PeerObject("v"));
  bool settled = false;
  world.replica().WhenSettled([&] { settled = true; });
  world.loop.RunAll();
  EXPECT_FALSE(settled);
  world.plan.fail_write = base::Fail(Code::kDiskFull, "full");
  world.Tick();
  world.loop.RunAll();
  EXPECT_TRUE(settled);
}

TEST(MetaStore, KeepsAndListsByPrefix) {
  World world;
  MetaStore store(world.engine, world.loop);
  const auto apply = [&](std::vector<MetaStore::Update> updates) {
    std::optional<base::Status> answer;
    store.Apply(std::move(updates), [&](base::Status status) { answer = std::move(status); });
    EXPECT_FALSE(answer);
    world.loop.RunAll();
    return answer && answer->has_value();
  };
  const auto list = [&](const std::string& prefix) {
    std::string text;
    store.List(prefix, [&](base::Result<MetaStore::Values> values) {
      for (const auto& [name, value] : *values) text += name + '=' + value + ' ';
    });
    world.loop.RunAll();
    return text;
  };
  EXPECT_TRUE(apply({{"s/a", "1"}, {"s/b", "2"}, {"s", "x"}, {"s0", "y"}, {"t", "z"}}));
  EXPECT_EQ(list("s/"), "s/a=1 s/b=2 ");
  EXPECT_TRUE(apply({{"s/a", std::nullopt}, {"s/c", "3"}}));
  world.Crash();
  EXPECT_EQ(list("s/"), "s/b=2 s/c=3 ");
  EXPECT_EQ(list("u"), "");
  std::vector<MetaStore::Update> many;
  for (int i = 0; i < 2500; ++i) many.push_back({"m/" + std::to_string(i), "v"});
  EXPECT_TRUE(apply(std::move(many)));
  size_t found = 0;
  store.List("m/", [&](base::Result<MetaStore::Values> values) { found = values->size(); });
  world.loop.RunAll();
  EXPECT_EQ(found, 2500U) << "more than one scan gives";
  world.plan.fail_write = base::Fail(Code::kStalled, "wait");
  EXPECT_FALSE(apply({{"s/d", "4"}}));
}

}  // namespace
}  // namespace lariat::replica

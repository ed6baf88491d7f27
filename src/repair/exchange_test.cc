// SPDX-License-Identifier: Apache-2.0
// Comparisons between real replicas: the timers, the throttle and the answering side.
#include "repair/exchange/exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/prng.h"
#include "repair/exchange/source.h"
#include "repair/repair_test_util.h"

namespace lariat::repair {
namespace {

using base::Code;
using ::testing::HasSubstr;

constexpr wire::TokenSpan kAll = {UINT64_MAX, UINT64_MAX};

uint64_t TokenOf(uint64_t number) { return number * 0x9E3779B97F4A7C15U; }

// A node of one shard.
class FakeNode final : public SourcePort {
 public:
  explicit FakeNode(TestEnv& env) : source(env.env(), *this, reader, throttle, world.metrics) {
    source.SetHeld({{1, {{{UINT64_MAX}, {UINT64_MAX}}}}});
    Settle();
  }
  void Settle() {
    world.Settle();
    world.loop.RunAll();
  }
  void Put(uint64_t token, const std::string& value, uint64_t actor = 2) {
    const replica::KeyRef key = {1, {token}, "k" + std::to_string(token)};
    world.replica().Write(key, replica::PeerObject(value, actor), {.now = world.now},
                          [](const base::Status& status) { EXPECT_TRUE(status.has_value()); });
    world.loop.RunAll();
  }
  // Data keys and records, as they are on the disk.
  auto Records() const { return world.engine.DurableImage()[0]; }

  void Leaves(uint32_t bucket, uint32_t first, uint32_t last, LeavesDone done) override {
    done(world.replica().tree().LeavesIfAny(bucket, first, last));
  }
  void StateOf(uint32_t bucket, TreeStateDone done) override {
    const replica::TreeUpkeep& tree = world.replica().tree();
    done({tree.VersionOf(bucket), tree.HoldNothing(bucket, 0, merkle::kLeaves - 1)});
  }
  void Read(std::vector<std::string> data_keys, ObjectsDone done) override {
    struct Gather {
      size_t waiting;
      Objects objects;
      ObjectsDone done;
    };
    auto gather = std::make_shared<Gather>();
    gather->waiting = data_keys.size();
    gather->objects.resize(data_keys.size());
    gather->done = std::move(done);
    for (size_t i = 0; i < data_keys.size(); ++i) {
      const auto key = ParseRecordKey(data_keys[i]);
      world.replica().Read({key->bucket, key->token, std::string(key->key)}, {},
                           [gather, i](base::Result<replica::ReadResult> read) {
                             if (!read) {
                               gather->objects[i] = base::Fail(read.error());
                             } else if (read->found) {
                               gather->objects[i] = std::move(read->object);
                             }
                             if (--gather->waiting == 0) gather->done(std::move(gather->objects));
                           });
    }
  }
  void Join(wire::RecordPush push, base::UniqueFunction<void(wire::Body)> done) {
    struct Gather {
      size_t waiting;
      wire::RecordPushReply reply;
      base::UniqueFunction<void(wire::Body)> done;
    };
    auto gather = std::make_shared<Gather>();
    gather->waiting = push.entries.size();
    gather->done = std::move(done);
    for (auto& entry : push.entries) {
      const auto key = ParseRecordKey(entry.key);
      replica::WriteOptions options{.now = world.now};
      options.changed = &world.metrics.repair_keys_received;
      world.replica().Write({key->bucket, key->token, std::string(key->key)}, entry.object,
                            std::move(options), [gather](const base::Status& status) {
                              if (!status)
                                gather->reply.outcome = wire::Outcome::From(status.error());
                              if (--gather->waiting == 0) gather->done(std::move(gather->reply));
                            });
    }
  }

  replica::World world;
  replica::RangeReader reader{world.engine, world.loop, world.metrics};
  Throttle throttle{{}};
  Source source;
};

class ExchangeTest : public testing::Test, public ExchangePort {
 protected:
  void Ask(Side side, uint64_t partner, wire::Body request, BodyDone done) override {
    EXPECT_EQ(partner, 2U);
    if (side == Side::kTheirs && down_) return done(base::Fail(Code::kUnavailable, "it is down"));
    FakeNode& node = side == Side::kOurs ? ours_ : theirs_;
    auto give = [done = std::move(done)](wire::Body body) mutable { done(std::move(body)); };
    if (auto* push = std::get_if<wire::RecordPush>(&request)) {
      return node.Join(std::move(*push), std::move(give));
    }
    if (side == Side::kOurs) return node.source.Answer(std::move(request), std::move(give));
    node.source.Serve(std::move(request), std::move(give));
  }
  void Go(base::Duration time) {
    env_.Advance(time, [this] {
      for (int i = 0; i < 50; ++i) {
        loop_.RunAll();
        ours_.world.loop.RunAll();
        theirs_.world.loop.RunAll();
      }
    });
  }
  void Start() {
    ended_.reset();
    exchange_.Start({1, 2, "node2", {kAll}},
                    [this](Exchange::Ended ended) { ended_ = std::move(ended); });
  }
  // The seconds it took; 0: it has not ended in 1,000.
  double Run() {
    Start();
    const base::Instant start = env_.Now();
    while (!ended_ && env_.Now() - start < base::Seconds(1000)) Go(base::Millis(100));
    return ended_ ? base::ToSeconds(env_.Now() - start) : 0;
  }
  template <typename Reply, typename Request>
  Reply Serve(Request request) {
    std::optional<Reply> reply;
    theirs_.source.Serve(std::move(request),
                         [&](wire::Body body) { reply = std::move(std::get<Reply>(body)); });
    Go(base::Millis(100));
    EXPECT_TRUE(reply.has_value());
    return reply ? std::move(*reply) : Reply{};
  }

  replica::TestLoop loop_;
  TestEnv env_{&loop_};
  FakeNode ours_{env_}, theirs_{env_};
  bool down_ = false;
  Exchange exchange_{env_.env(), *this, ours_.throttle, ours_.world.metrics, telemetry::NullLog()};
  std::optional<Exchange::Ended> ended_;
};

// Guards M28, M29.
TEST_F(ExchangeTest, MakesTwoReplicasEqual) {
  base::Prng random(5);
  for (uint64_t i = 1; i <= 400; ++i) {
    const uint64_t token = TokenOf(i);
    if (!random.Chance(0.05)) ours_.Put(token, "v");
    if (!random.Chance(0.05)) theirs_.Put(token, "v");
    if (random.Chance(0.05)) ours_.Put(token, "ours", 3);
    if (random.Chance(0.05)) theirs_.Put(token, "theirs", 4);
  }
  EXPECT_NE(ours_.Records(), theirs_.Records());
  EXPECT_GT(Run(), 0);
  EXPECT_EQ(ended_->end, ExchangeEnd::kComplete) << ended_->why;
  EXPECT_EQ(ours_.Records(), theirs_.Records());
  EXPECT_EQ(ended_->progress.fraction, 1);
  const auto& figures = ended_->progress.figures;
  EXPECT_EQ(ours_.world.metrics.repair_keys_received.value(), figures.keys_received);
  EXPECT_EQ(theirs_.world.metrics.repair_keys_received.value(), figures.keys_sent);
  EXPECT_EQ(ours_.world.metrics.repair_keys_sent.value(), figures.keys_sent);
  EXPECT_EQ(ours_.world.metrics.repair_bytes_sent.value(), ended_->progress.bytes_sent);
  // Answers to pushes are not the source's.
  EXPECT_NEAR(static_cast<double>(ours_.world.metrics.repair_bytes_received.value()),
              static_cast<double>(theirs_.world.metrics.repair_bytes_sent.value()), 100);
  EXPECT_EQ(env_.timers(), 0U) << "nothing is left running";

  // When nothing differs nothing is written.
  const auto before = ours_.Records();
  const uint64_t sent = ours_.world.metrics.repair_bytes_sent.value();
  EXPECT_GT(Run(), 0);
  EXPECT_EQ(ended_->progress.figures.keys_sent + ended_->progress.figures.keys_received, 0U);
  EXPECT_EQ(ended_->progress.figures.hashes_compared, 1U);
  EXPECT_LT(ours_.world.metrics.repair_bytes_sent.value() - sent, 100U);
  EXPECT_EQ(ours_.Records(), before);
  EXPECT_EQ(ours_.world.metrics.repair_sessions.value(), 2U);
}

// What was hashed once is hashed again when a record of the bucket has changed, and not before.
TEST_F(ExchangeTest, WhatHasNotChangedIsNotHashedAgain) {
  const auto made = [this] { return theirs_.world.metrics.repair_spans_hashed.value(); };
  EXPECT_GT(Run(), 0);
  EXPECT_EQ(made(), 0U) << "there is no record";
  for (uint64_t i = 1; i <= 100; ++i) {
    ours_.Put(TokenOf(i), "v");
    theirs_.Put(TokenOf(i), "v");
  }
  EXPECT_GT(Run(), 0);
  const uint64_t first = made();
  EXPECT_GT(first, 0U);
  for (int i = 0; i < 3; ++i) EXPECT_GT(Run(), 0);
  EXPECT_EQ(made(), first);
  theirs_.Put(TokenOf(7), "changed", 3);
  EXPECT_GT(Run(), 0);
  EXPECT_EQ(ended_->progress.figures.keys_received, 1U);
  EXPECT_GT(made(), first);
  EXPECT_EQ(ours_.Records(), theirs_.Records());
  EXPECT_GT(Run(), 0);
  const uint64_t before = made();
  EXPECT_GT(Run(), 0);
  EXPECT_EQ(made(), before);
  theirs_.source.SetHeld({{1, {{{UINT64_MAX}, {UINT64_MAX}}}}});
  EXPECT_GT(Run(), 0);
  EXPECT_GT(made(), before) << "nothing is remembered of another topology";
}

// Guards M30.
TEST_F(ExchangeTest, ALostDiskIsRefilled) {
  for (uint64_t i = 1; i <= 2000; ++i) theirs_.Put(TokenOf(i), std::string(200, 'v'));
  EXPECT_GT(Run(), 0);
  EXPECT_EQ(ended_->progress.figures.keys_received, 2000U);
  EXPECT_EQ(ours_.Records(), theirs_.Records());
}

TEST_F(ExchangeTest, KeepsToItsRate) {
  for (uint64_t i = 1; i <= 1000; ++i) theirs_.Put(TokenOf(i), std::string(1000, 'v'));
  ours_.throttle.SetOptions({.bytes_per_s = 100'000});
  const double seconds = Run();
  EXPECT_GT(seconds, 8);
  EXPECT_LT(seconds, 60);
}

TEST_F(ExchangeTest, TheAnsweringSideKeepsToItsRateToo) {
  for (uint64_t i = 1; i <= 1000; ++i) theirs_.Put(TokenOf(i), std::string(1000, 'v'));
  theirs_.throttle.SetOptions({.bytes_per_s = 200'000});
  const double seconds = Run();
  EXPECT_EQ(ended_->end, ExchangeEnd::kComplete) << ended_->why;
  EXPECT_GT(seconds, 5);
  EXPECT_LT(seconds, 60);
}

TEST_F(ExchangeTest, TellsWhatIsWrongAndGoesOn) {
  for (uint64_t i = 1; i <= 100; ++i) theirs_.Put(TokenOf(i), "v");
  down_ = true;
  Start();
  Go(base::Seconds(2));
  EXPECT_TRUE(exchange_.Running());
  EXPECT_EQ(exchange_.Progress().trouble, "node2: it is down");
  down_ = false;
  Go(base::Seconds(5));
  ASSERT_TRUE(ended_);
  EXPECT_EQ(ended_->end, ExchangeEnd::kComplete);
  down_ = true;
  Run();
  EXPECT_EQ(ended_->end, ExchangeEnd::kFailed);
  EXPECT_EQ(ours_.world.metrics.repair_sessions_failed.value(), 1U);
}

TEST_F(ExchangeTest, AStoppedOneNeverEnds) {
  for (uint64_t i = 1; i <= 100; ++i) theirs_.Put(TokenOf(i), "v");
  Start();
  env_.Advance({}, [this] { loop_.RunAll(); });
  exchange_.Stop();
  EXPECT_FALSE(exchange_.Running());
  Go(base::Seconds(5));
  EXPECT_FALSE(ended_);
  EXPECT_EQ(env_.timers(), 0U);
  EXPECT_GT(Run(), 0);
  EXPECT_EQ(ended_->end, ExchangeEnd::kComplete);
}

TEST_F(ExchangeTest, WhatIsNotHeldIsRefused) {
  theirs_.source.SetHeld(
      {{1, {{{UINT64_MAX}, {1000}}, {{uint64_t{1} << 60}, {uint64_t{1} << 61}}}}});
  const auto tree = [this](uint32_t bucket, wire::TokenSpan span) {
    return Serve<wire::TreeReply>(wire::TreeRequest{bucket, {span}}).outcome.code;
  };
  EXPECT_EQ(tree(1, {UINT64_MAX, 1000}), Code::kOk);
  EXPECT_EQ(tree(1, {5, 1000}), Code::kOk);
  EXPECT_EQ(tree(1, {5, 1001}), Code::kConflict);
  EXPECT_EQ(tree(2, {5, 10}), Code::kConflict);
  EXPECT_EQ(tree(1, kAll), Code::kConflict);
  EXPECT_EQ(tree(1, {7, 7}), Code::kConflict);
  const auto leaf = [this](wire::TokenSpan span) {
    return Serve<wire::LeafReply>(wire::LeafRequest{1, span, ""}).outcome.code;
  };
  EXPECT_EQ(leaf({UINT64_MAX, 10}), Code::kOk);
  EXPECT_EQ(leaf({999, 1001}), Code::kConflict);
  const auto fetch = [this](const std::string& key) {
    return Serve<wire::FetchReply>(wire::FetchRequest{{key}}).outcome.code;
  };
  EXPECT_EQ(fetch(KeyAt(1, 1000)), Code::kOk);
  EXPECT_EQ(fetch(KeyAt(1, 0)), Code::kOk);
  EXPECT_EQ(fetch(KeyAt(1, 1001)), Code::kConflict);
  EXPECT_EQ(fetch("short"), Code::kInvalidArgument);
  theirs_.source.SetHeld({{1, {{{UINT64_MAX}, {UINT64_MAX}}}}});
  EXPECT_EQ(tree(1, kAll), Code::kOk);
  EXPECT_EQ(tree(1, {5, uint64_t{5} << 50}), Code::kInvalidArgument) << "not cut along leaves";
  EXPECT_EQ(Serve<wire::TreeReply>(wire::TreeRequest{1, {kAll, {5, 10}}}).outcome.code,
            Code::kInvalidArgument)
      << "the same twice";
  EXPECT_EQ(Serve<wire::TreeReply>(wire::TreeRequest{1, {{10, 11}, {5, 10}}}).outcome.code,
            Code::kOk);
  EXPECT_EQ(Serve<wire::FetchReply>(
                wire::FetchRequest{std::vector<std::string>(wire::kRecordsMax + 1, KeyAt(1, 1))})
                .outcome.code,
            Code::kTooLarge);
}

TEST_F(ExchangeTest, TooManyQuestionsAreRefused) {
  theirs_.Put(1, "v");
  theirs_.source.SetOptions({.serving_max = 2, .waiting_max = 5});
  int served = 0;
  int refused = 0;
  for (int i = 0; i < 20; ++i) {
    theirs_.source.Serve(wire::LeafRequest{1, kAll, ""}, [&](wire::Body body) {
      const auto& reply = std::get<wire::LeafReply>(body);
      ++(reply.outcome.ok() ? served : refused);
      EXPECT_TRUE(reply.outcome.ok() || reply.outcome.code == Code::kOverloaded);
    });
  }
  Go(base::Seconds(1));
  EXPECT_EQ(served, 7);
  EXPECT_EQ(refused, 13);
}

TEST_F(ExchangeTest, BigAnswersAreCut) {
  std::vector<std::string> keys;
  for (uint64_t i = 1; i <= 9; ++i) {
    theirs_.Put(i, std::string(1 << 20, 'v'));
    keys.push_back(KeyAt(1, i));
  }
  const auto first = Serve<wire::FetchReply>(wire::FetchRequest{keys});
  EXPECT_FALSE(first.complete);
  EXPECT_EQ(first.entries.size(), 3U);
  EXPECT_GT(Run(), 0);
  EXPECT_EQ(ours_.Records(), theirs_.Records());
}

// Guards M6.
TEST_F(ExchangeTest, ADamagedRecordIsNeverTakenForAbsent) {
  for (uint64_t i = 1; i <= 100; ++i) {
    ours_.Put(TokenOf(i), "v");
    theirs_.Put(TokenOf(i), "v");
  }
  theirs_.Put(TokenOf(7), "newer", 3);
  const std::string key = KeyAt(1, TokenOf(7));
  std::string bad = theirs_.world.engine.GetBlocking(storage::Space::kData, key).value();
  bad.back() = static_cast<char>(bad.back() ^ 1);
  storage::WriteBatch batch;
  batch.Put(storage::Space::kData, key, bad);
  ASSERT_TRUE(theirs_.world.engine.Write(batch).has_value());
  EXPECT_GT(Run(), 0);
  EXPECT_EQ(ended_->end, ExchangeEnd::kIncomplete);
  EXPECT_THAT(ended_->why, HasSubstr("cannot be compared"));
  EXPECT_EQ(theirs_.world.engine.GetBlocking(storage::Space::kData, key).value(), bad);
}

}  // namespace
}  // namespace lariat::repair

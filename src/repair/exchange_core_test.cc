// SPDX-License-Identifier: Apache-2.0
// Comparisons of two replicas that answer from maps.
#include "repair/exchange/exchange_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/prng.h"
#include "repair/exchange_test_util.h"

namespace lariat::repair {
namespace {

using base::Code;
using ::testing::HasSubstr;

const std::vector<wire::TokenSpan> kAll = {{UINT64_MAX, UINT64_MAX}};

std::optional<base::Error> NoFault(const ExchangeCore::Ask&) { return std::nullopt; }

uint64_t TokenOf(uint64_t number) { return number * 0x9E3779B97F4A7C15U; }

// Both hold the same `keys` records.
void Fill(FakeReplica& a, FakeReplica& b, uint64_t keys) {
  for (uint64_t i = 1; i <= keys; ++i) {
    a.Put(TokenOf(i), "ab");
    b.Put(TokenOf(i), "ab");
  }
}

TEST(ExchangeCore, WhatAgreesCostsOneHash) {
  FakeReplica a, b;
  Fill(a, b, 5000);
  const Compared compared = ExchangeRun(a, b, kAll).Run();
  EXPECT_EQ(compared.end, ExchangeEnd::kComplete) << compared.why;
  EXPECT_EQ(compared.figures.hashes_compared, 1U);
  EXPECT_LT(compared.bytes, 200U);
  EXPECT_EQ(a.writes + b.writes + a.pushes + b.pushes, 0U);
}

TEST(ExchangeCore, EmptyReplicasAgree) {
  FakeReplica a, b;
  EXPECT_EQ(ExchangeRun(a, b, kAll).Run().end, ExchangeEnd::kComplete);
  EXPECT_EQ(ExchangeRun(a, b, {}).Run().end, ExchangeEnd::kComplete) << "nothing to compare";
}

TEST(ExchangeCore, EachDirectionAndBothAtOnce) {
  FakeReplica a, b;
  Fill(a, b, 3000);
  a.Put(TokenOf(10), "c");  // only ours changed
  b.Put(TokenOf(20), "d");  // only theirs
  a.Put(TokenOf(30), "e");  // both, differently
  b.Put(TokenOf(30), "f");
  a.Put(TokenOf(9001), "g");  // missing there
  b.Put(TokenOf(9002), "h");  // missing here
  const Compared compared = ExchangeRun(a, b, kAll).Run();
  EXPECT_EQ(compared.end, ExchangeEnd::kComplete) << compared.why;
  EXPECT_EQ(a.records(), b.records());
  EXPECT_EQ(a.records().at(FakeReplica::KeyOf(TokenOf(30))), "abef");
  EXPECT_EQ(compared.figures.keys_received, 3U);
  EXPECT_EQ(compared.figures.keys_sent, 3U);
  EXPECT_EQ(a.writes, 3U);
  EXPECT_EQ(b.writes, 3U);
  const Compared again = ExchangeRun(a, b, kAll).Run();
  EXPECT_EQ(again.figures.hashes_compared, 1U);
  // Joined here: the four that are there. Sent: three.
  EXPECT_EQ(a.pushes + b.pushes, 7U) << "nothing was sent again";
}

// Guards M30: 50,000 keys.
TEST(ExchangeCore, ALostDiskIsRefilled) {
  FakeReplica a, b;
  for (uint64_t i = 1; i <= 50000; ++i) b.Put(TokenOf(i), "ab");
  ExchangeOptions options;
  options.suspects_max = 8000;
  b.fetch_bytes = 10000;
  const Compared compared = ExchangeRun(a, b, kAll, options).Run();
  EXPECT_EQ(compared.end, ExchangeEnd::kComplete) << compared.why;
  EXPECT_EQ(a.records(), b.records());
  EXPECT_EQ(compared.figures.keys_received, 50000U);
  EXPECT_EQ(compared.figures.keys_sent, 0U);
  EXPECT_EQ(b.pushes, 0U);
}

// Whatever the two hold, one comparison makes them equal, its bytes grow with what
// differs, and the next one moves nothing.
// Guards M28, M29: 60 seeds.
TEST(ExchangeCore, RandomDataBecomesEqual) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    base::Prng random(seed);
    FakeReplica a, b;
    const uint64_t keys = random.Below(4000);
    // Of some seeds all tokens lie within few leaves, cut by the borders of the ranges.
    const int shift = random.Chance(0.3) ? 12 : 0;
    uint64_t differing = 0;
    for (uint64_t i = 1; i <= keys; ++i) {
      const uint64_t token = TokenOf(i) >> shift;
      const std::string object(1, static_cast<char>('a' + random.Below(4)));
      a.Put(token, object);
      b.Put(token, object);
      if (random.Chance(0.98)) continue;
      ++differing;
      switch (random.Below(4)) {
        case 0:
          a.Forget(token);
          break;
        case 1:
          b.Forget(token);
          break;
        case 2:
          a.Put(token, "x");
          break;
        default:
          a.Put(token, "y");
          b.Put(token, "z");
      }
    }
    a.page_entries = 1 + random.Below(50);
    b.page_entries = 1 + random.Below(50);
    a.fetch_bytes = 50 + random.Below(1000);
    ExchangeOptions options;
    options.lists_max = 1 + random.Below(8);
    options.suspects_max = 1 + random.Below(200);
    options.batch_keys_max = 1 + random.Below(100);
    const uint64_t x = random.Next(), y = random.Next();
    const std::vector<wire::TokenSpan> cut = {{UINT64_MAX, std::min(x, y)},
                                              {std::min(x, y), std::max(x, y)},
                                              {std::max(x, y), UINT64_MAX}};
    const auto& ranges = random.Chance(0.5) ? kAll : cut;
    const Compared compared = ExchangeRun(a, b, ranges, options).Run();
    ASSERT_EQ(compared.end, ExchangeEnd::kComplete) << "seed " << seed << ": " << compared.why;
    ASSERT_EQ(a.records(), b.records()) << "seed " << seed;
    // 80 hashes of 44 bytes, a list of 64 keys and four messages for each key, at most.
    EXPECT_LE(compared.bytes, 2000 + differing * 12000) << "seed " << seed;
    a.writes = b.writes = a.pushes = b.pushes = 0;
    const Compared again = ExchangeRun(a, b, ranges).Run();
    EXPECT_EQ(again.end, ExchangeEnd::kComplete);
    EXPECT_EQ(a.pushes + b.pushes, 0U) << "seed " << seed;
    EXPECT_LE(again.figures.hashes_compared, 9U) << "two borders cut two leaves";
  }
}

TEST(ExchangeCore, OnlyTheGivenRangesAreTouched) {
  FakeReplica a, b;
  for (uint64_t i = 1; i <= 2000; ++i) b.Put(TokenOf(i), "a");
  const wire::TokenSpan half = {(uint64_t{1} << 62) + 12345, (uint64_t{3} << 62) + 999};
  EXPECT_EQ(ExchangeRun(a, b, {half}).Run().end, ExchangeEnd::kComplete);
  for (const auto& [key, object] : b.records()) {
    EXPECT_EQ(a.records().contains(key), IsWithin(key, 1, half));
  }
}

// --- writes meanwhile --------------------------------------------------------------------------

TEST(ExchangeCore, WritesOnTheirWayAreNoRepairs) {
  FakeReplica a, b;
  Fill(a, b, 2000);
  // Each write reaches one replica at once and the other a few steps later.
  base::Prng random(3);
  std::deque<std::pair<int, uint64_t>> late;
  int step = 0;
  int written = 0;
  const auto traffic = [&] {
    ++step;
    while (!late.empty() && late.front().first <= step) {
      b.Put(late.front().second, "w");
      late.pop_front();
    }
    if (written == 500) return;
    ++written;
    const uint64_t token = TokenOf(1 + random.Below(4000));
    a.Put(token, "w");
    late.emplace_back(step + 2, token);
  };
  a.Put(TokenOf(7), "x");  // what really differs
  const Compared compared = ExchangeRun(a, b, kAll).Run(NoFault, [&] {
    for (int i = 0; i < 3; ++i) traffic();
  });
  EXPECT_EQ(compared.end, ExchangeEnd::kComplete) << compared.why;
  EXPECT_LE(compared.figures.keys_sent + compared.figures.keys_received, 12U)
      << "those on their way at the very moment of the second look";
  while (!late.empty()) traffic();
  ExchangeRun(a, b, kAll).Run();
  EXPECT_EQ(a.records(), b.records());
}

TEST(ExchangeCore, RandomWritesMeanwhileLoseNothing) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    base::Prng random(seed);
    FakeReplica a, b;
    Fill(a, b, 500);
    std::set<std::pair<std::string, char>> written;
    const auto traffic = [&] {
      const uint64_t token = TokenOf(1 + random.Below(1000));
      const char letter = static_cast<char>('c' + random.Below(20));
      (random.Chance(0.5) ? a : b).Put(token, std::string(1, letter));
      written.emplace(FakeReplica::KeyOf(token), letter);
    };
    for (int i = 0; i < 50; ++i) traffic();
    ExchangeRun(a, b, kAll).Run(NoFault, traffic);
    const Compared last = ExchangeRun(a, b, kAll).Run();
    EXPECT_EQ(last.end, ExchangeEnd::kComplete);
    ASSERT_EQ(a.records(), b.records());
    for (const auto& [key, letter] : written) {
      ASSERT_THAT(a.records().at(key), HasSubstr(std::string(1, letter)));
    }
  }
}

// --- failures ----------------------------------------------------------------------------------

TEST(ExchangeCore, GoesOnAfterEveryQuestionFailedOnce) {
  FakeReplica a, b;
  Fill(a, b, 1000);
  for (uint64_t i = 2000; i < 2100; ++i) (i % 2 == 0 ? a : b).Put(TokenOf(i), "n");
  std::set<uint64_t> failed;
  const auto once = [&](const ExchangeCore::Ask& ask) -> std::optional<base::Error> {
    if (!failed.insert(ask.ticket).second) return std::nullopt;
    return base::Error{Code::kTimeout, "no reply"};
  };
  const Compared compared = ExchangeRun(a, b, kAll).Run(once, [] {});
  EXPECT_EQ(compared.end, ExchangeEnd::kComplete) << compared.why;
  EXPECT_EQ(a.records(), b.records());
}

TEST(ExchangeCore, EndsAtEachStepWhenThePartnerIsGone) {
  for (uint64_t step = 0; step < 12; ++step) {
    FakeReplica a, b;
    Fill(a, b, 1000);
    a.Put(TokenOf(5), "x");
    b.Put(TokenOf(6), "y");
    for (const Code code : {Code::kUnavailable, Code::kStaleEpoch}) {
      uint64_t asked = 0;
      const auto gone = [&](const ExchangeCore::Ask& ask) -> std::optional<base::Error> {
        if (ask.side == Side::kOurs || asked++ < step) return std::nullopt;
        return base::Error{code, "it is gone"};
      };
      ExchangeRun run(a, b, kAll);
      const Compared compared = run.Run(gone, [] {});
      if (compared.end == ExchangeEnd::kComplete) continue;
      const bool stale = code == Code::kStaleEpoch;
      EXPECT_EQ(compared.end, stale ? ExchangeEnd::kStale : ExchangeEnd::kFailed);
      EXPECT_EQ(compared.why, "node2: it is gone");
      EXPECT_TRUE(run.core_.Next(run.now_).empty());
      EXPECT_LE(base::ToSeconds(compared.time), 60);
    }
    EXPECT_EQ(ExchangeRun(a, b, kAll).Run().end, ExchangeEnd::kComplete);
    EXPECT_EQ(a.records(), b.records());
  }
}

TEST(ExchangeCore, AnswersThatAreNoneEndIt) {
  FakeReplica a, b;
  Fill(a, b, 100);
  b.Put(TokenOf(6), "y");
  wire::FetchReply other;
  wire::TreeReply short_one;
  wire::TreeReply refused;
  refused.outcome = {Code::kConflict, "not held"};
  for (const wire::Body& body : {wire::Body(other), wire::Body(short_one), wire::Body(refused),
                                 wire::Body(wire::Heartbeat{})}) {
    ExchangeCore core(ExchangeRun::PlanOf(kAll), {});
    for (const auto& ask : core.Next({})) core.OnReply(ask.ticket, body, {});
    EXPECT_EQ(core.end(), ExchangeEnd::kFailed);
  }
  ExchangeCore core(ExchangeRun::PlanOf(kAll), {});
  const auto asks = core.Next({});
  ASSERT_EQ(asks.size(), 2U);
  EXPECT_TRUE(core.Next({}).empty()) << "each is asked once";
  core.OnReply(99, wire::Body(other), {});
  EXPECT_EQ(core.end(), ExchangeEnd::kRunning) << "nobody waits for it";
}

// Guards M6.
TEST(ExchangeCore, DamagedRecordsAreLeftOutAndTold) {
  for (const bool here : {true, false}) {
    FakeReplica a, b;
    Fill(a, b, 1000);
    for (uint64_t i = 1; i <= 300; ++i) b.Put(TokenOf(i), "n");
    FakeReplica& damaged = here ? a : b;
    damaged.damaged = {FakeReplica::KeyOf(TokenOf(17)), FakeReplica::KeyOf(TokenOf(170))};
    const Compared compared = ExchangeRun(a, b, kAll).Run();
    EXPECT_EQ(compared.end, ExchangeEnd::kIncomplete);
    EXPECT_THAT(compared.why, HasSubstr("cannot be compared"));
    for (uint64_t i = 1; i <= 300; ++i) {
      if (i == 17 || i == 170) continue;
      ASSERT_EQ(a.records().at(FakeReplica::KeyOf(TokenOf(i))), "abn") << i;
    }
    damaged.damaged.clear();
    EXPECT_EQ(ExchangeRun(a, b, kAll).Run().end, ExchangeEnd::kComplete);
    EXPECT_EQ(a.records(), b.records());
  }
}

TEST(ExchangeCore, WhatNoMessageCarriesIsLeftOutAndTold) {
  for (const bool here : {true, false}) {
    FakeReplica a, b;
    Fill(a, b, 1000);
    for (uint64_t i = 1; i <= 300; ++i) (here ? a : b).Put(TokenOf(i), "n");
    const std::string large = FakeReplica::KeyOf(TokenOf(170));
    const auto fault = [&](const ExchangeCore::Ask& ask) -> std::optional<base::Error> {
      const auto* push = std::get_if<wire::RecordPush>(&ask.request);
      if (push == nullptr) return std::nullopt;
      for (const auto& entry : push->entries) {
        if (entry.key == large) return base::Error{Code::kTooLarge, "more than it takes"};
      }
      return std::nullopt;
    };
    const Compared compared = ExchangeRun(a, b, kAll).Run(fault, [] {});
    EXPECT_EQ(compared.end, ExchangeEnd::kIncomplete);
    EXPECT_THAT(compared.why, HasSubstr("more than it takes"));
    EXPECT_EQ(compared.figures.keys_damaged, 1U);
    const FakeReplica& other = here ? b : a;
    for (uint64_t i = 1; i <= 300; ++i) {
      ASSERT_EQ(other.records().at(FakeReplica::KeyOf(TokenOf(i))), i == 170 ? "ab" : "abn") << i;
    }
  }
}

TEST(ExchangeCore, UnknownLeavesAreLeftOutAndTold) {
  FakeReplica a, b;
  Fill(a, b, 1000);
  b.Put(TokenOf(5), "x");
  b.Put(TokenOf(6), "x");
  b.unknown_leaves = {merkle::LeafOf(TokenOf(5))};
  a.unknown_leaves = {merkle::LeafOf(TokenOf(9))};
  const Compared compared = ExchangeRun(a, b, kAll).Run();
  EXPECT_EQ(compared.end, ExchangeEnd::kIncomplete);
  EXPECT_EQ(compared.figures.spans_unknown, 2U);
  EXPECT_EQ(a.records().at(FakeReplica::KeyOf(TokenOf(6))), "abx");
  EXPECT_EQ(a.records().at(FakeReplica::KeyOf(TokenOf(5))), "ab");
  b.all_unknown = true;
  const Compared nothing = ExchangeRun(a, b, kAll).Run();
  EXPECT_EQ(nothing.end, ExchangeEnd::kIncomplete);
  EXPECT_LT(nothing.bytes, 30000U) << "a replica that knows nothing is not asked for every leaf";
}

// The figure that docs/repair.md names: one comparison of 1,000,000 keys.
// Guards M28: 1, 10 and 1,000 of 1,000,000 keys.
TEST(ExchangeCore, BytesGrowWithWhatDiffersSlow) {
  constexpr uint64_t kKeys = 1'000'000;
  const std::string value(100, 'v');
  FakeReplica a, b;
  for (uint64_t i = 1; i <= kKeys; ++i) {
    a.Put(TokenOf(i), value);
    b.Put(TokenOf(i), value);
  }
  a.page_entries = b.page_entries = 4096;
  for (const uint64_t changed : {1, 10, 1000}) {
    for (uint64_t i = 1; i <= changed; ++i) {
      const uint64_t token = TokenOf(i * 977);
      b.Forget(token);
      b.Put(token, std::string(100, static_cast<char>('a' + changed % 7)) + "w");
      a.Forget(token);
      a.Put(token, "v");
    }
    const Compared compared = ExchangeRun(a, b, kAll).Run();
    EXPECT_EQ(compared.end, ExchangeEnd::kComplete);
    EXPECT_EQ(a.records().size(), kKeys);
    const uint64_t data = changed * 120;
    RecordProperty("bytes_for_" + std::to_string(changed), std::to_string(compared.bytes));
    EXPECT_LE(compared.bytes, 50 * data + (1 << 20));
    EXPECT_EQ(ExchangeRun(a, b, kAll).Run().figures.hashes_compared, 1U);
  }
}

}  // namespace
}  // namespace lariat::repair

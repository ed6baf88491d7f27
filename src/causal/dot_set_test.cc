// SPDX-License-Identifier: Apache-2.0
#include "causal/dot_set.h"

#include <gtest/gtest.h>

#include <iterator>
#include <limits>
#include <set>

#include "causal/causal_test_util.h"

namespace lariat::causal {
namespace {

using Oracle = std::set<Dot>;

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();

Oracle RandomDots(base::Prng* prng) {
  Oracle dots;
  for (uint64_t n = prng->Below(14); n > 0; --n) {
    dots.insert({MakeActor(1 + prng->Below(2), 1 + prng->Below(2)), 1 + prng->Below(7)});
  }
  return dots;
}

DotSet SetOf(const Oracle& dots, base::Prng* prng) {
  std::vector<Dot> order(dots.begin(), dots.end());
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[prng->Below(i)]);
  DotSet set;
  for (const Dot& dot : order) set.Add(dot);
  return set;
}

std::string Encoded(const DotSet& set) {
  std::string bytes;
  base::ByteWriter out(&bytes);
  set.Encode(&out);
  return bytes;
}

std::optional<DotSet> Decoded(std::string_view bytes, size_t entries_max = kNoLimit) {
  base::ByteReader in(bytes);
  auto set = DotSet::Decode(&in, entries_max);
  if (!in.AtEnd()) return std::nullopt;
  return set;
}

bool Same(const DotSet& set, const Oracle& dots) {
  size_t count = 0;
  for (const auto& entry : set.entries()) count += entry.base + entry.cloud.size();
  return count == dots.size() && std::all_of(dots.begin(), dots.end(),
                                             [&set](const Dot& dot) { return set.Contains(dot); });
}

TEST(DotSet, KeepsVersionVectorAndCloudApart) {
  const Actor a = MakeActor(1);
  DotSet set;
  EXPECT_TRUE(set.Empty());
  EXPECT_EQ(set.Max(a), 0U);
  set.Add({a, 1});
  set.Add({a, 3});
  EXPECT_TRUE(set.Contains({a, 1}));
  EXPECT_FALSE(set.Contains({a, 2}));
  EXPECT_FALSE(set.Contains({a, 0}));
  EXPECT_FALSE(set.Contains({MakeActor(2), 1}));
  EXPECT_EQ(set.Max(a), 3U);
  EXPECT_EQ(set.DotsInClouds(), 1U);
  set.Add({a, 2});
  ASSERT_EQ(set.entries().size(), 1U);
  EXPECT_EQ(set.entries()[0].base, 3U);
  EXPECT_EQ(set.DotsInClouds(), 0U);
}

// Guards M1.
TEST(DotSet, AgreesWithASetOfDots) {
  base::Prng prng(11);
  for (int round = 0; round < 30'000; ++round) {
    const Oracle x = RandomDots(&prng);
    const Oracle y = RandomDots(&prng);
    const DotSet a = SetOf(x, &prng);
    const DotSet b = SetOf(y, &prng);
    ASSERT_TRUE(Same(a, x)) << round;
    ASSERT_EQ(a, SetOf(x, &prng)) << "equal sets must be equal in form, round " << round;
    Oracle both = x;
    both.insert(y.begin(), y.end());
    DotSet joined = a;
    joined.Join(b);
    ASSERT_TRUE(Same(joined, both)) << round;
    ASSERT_EQ(Encoded(joined), Encoded(SetOf(both, &prng))) << round;
    ASSERT_EQ(a.Covers(b), std::includes(x.begin(), x.end(), y.begin(), y.end())) << round;
    ASSERT_TRUE(joined.Covers(a));
    ASSERT_EQ(Decoded(Encoded(a)), a) << round;
  }
}

// Guards M1.
TEST(DotSet, JoinIsCommutativeAssociativeIdempotent) {
  base::Prng prng(12);
  for (int round = 0; round < 20'000; ++round) {
    const DotSet a = SetOf(RandomDots(&prng), &prng);
    const DotSet b = SetOf(RandomDots(&prng), &prng);
    const DotSet c = SetOf(RandomDots(&prng), &prng);
    DotSet ab = a, ba = b, bc = b, aa = a;
    ab.Join(b);
    ba.Join(a);
    bc.Join(c);
    aa.Join(aa);
    ASSERT_EQ(ab, ba);
    ASSERT_EQ(aa, a);
    DotSet ab_c = ab, a_bc = a;
    ab_c.Join(c);
    a_bc.Join(bc);
    ASSERT_EQ(ab_c, a_bc);
  }
}

TEST(DotSet, TrimKeepsASubsetWithTheNewestDots) {
  DotSet set;
  for (uint64_t node = 1; node <= 10; ++node) {
    for (uint64_t counter = 2; counter <= 40; counter += 2) set.Add({MakeActor(node), counter});
  }
  DotSet trimmed = set;
  trimmed.Trim(4, 20);
  EXPECT_EQ(trimmed.entries().size(), 4U);
  EXPECT_EQ(trimmed.DotsInClouds(), 20U);
  EXPECT_TRUE(set.Covers(trimmed));
  EXPECT_TRUE(trimmed.Contains({MakeActor(1), 40}));
  EXPECT_EQ(Decoded(Encoded(trimmed)), trimmed);
  DotSet one_each = set;
  one_each.Trim(10, 1);
  EXPECT_EQ(one_each.DotsInClouds(), 10U);
}

constexpr std::string_view kActorA = "0100000000000000 0700000000000000 00";
constexpr std::string_view kActorB = "0200000000000000 0700000000000000 00";
constexpr std::string_view kCounterMaxHex = "80808080808040";   // 2^48
constexpr std::string_view kCounterOverHex = "81808080808040";  // 2^48 + 1

std::string Bytes(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const auto part : parts) text += part;
  return FromHex(text);
}

TEST(DotSet, HasTheDocumentedBytes) {
  DotSet set;
  set.Add({MakeActor(1), 1});
  set.Add({MakeActor(1), 3});
  set.Add({MakeActor(1), 6});
  set.Add({MakeActor(2), 1});
  EXPECT_EQ(Hex(Encoded(set)), Hex(Bytes({"02", kActorA, "01 02 02 03", kActorB, "01 00"})));
}

TEST(DotSet, DecodeRefusesWhatIsNotCanonical) {
  EXPECT_TRUE(Decoded(Bytes({"01", kActorA, kCounterMaxHex, "00"})));
  EXPECT_TRUE(Decoded(Bytes({"01", kActorA, "01 01 02"})));
  const std::pair<const char*, std::string> bad[] = {
      {"nothing", ""},
      {"too few entries", Bytes({"02", kActorA, "01 00"})},
      {"unsorted", Bytes({"02", kActorB, "01 00", kActorA, "01 00"})},
      {"duplicate", Bytes({"02", kActorA, "01 00", kActorA, "02 00"})},
      {"empty entry", Bytes({"01", kActorA, "00 00"})},
      {"cloud dot in the base", Bytes({"01", kActorA, "01 01 00"})},
      {"cloud dot directly above the base", Bytes({"01", kActorA, "01 01 01"})},
      {"cloud dot twice", Bytes({"01", kActorA, "01 02 02 00"})},
      {"base above the maximum", Bytes({"01", kActorA, kCounterOverHex, "00"})},
      {"cloud above the maximum", Bytes({"01", kActorA, "01 01", kCounterMaxHex})},
      {"cloud wraps around", Bytes({"01", kActorA, "03 01 ffffffffffffffffff01"})},
      {"cloud size is a lie", Bytes({"01", kActorA, "01 ffffffffffffffff7f 02"})},
      {"entries size is a lie", Bytes({"ffffffffffffffff7f", kActorA, "01 00"})},
      {"over-long varint", Bytes({"01", kActorA, "8100 00"})},
      {"trailing byte", Bytes({"01", kActorA, "01 00 00"})},
  };
  for (const auto& [name, bytes] : bad) EXPECT_FALSE(Decoded(bytes)) << name;
}

TEST(DotSet, DecodeHoldsToItsLimit) {
  DotSet set;
  for (uint64_t node = 1; node <= 4; ++node) set.Add({MakeActor(node), 1});
  EXPECT_TRUE(Decoded(Encoded(set), 4));
  EXPECT_FALSE(Decoded(Encoded(set), 3));
  DotSet cloud;
  for (uint64_t counter = 2; counter <= 8; counter += 2) cloud.Add({MakeActor(1), counter});
  EXPECT_TRUE(Decoded(Encoded(cloud), 4));
  EXPECT_FALSE(Decoded(Encoded(cloud), 3));
}

}  // namespace
}  // namespace lariat::causal

// SPDX-License-Identifier: Apache-2.0
#include "causal/object.h"

#include <gtest/gtest.h>

#include "causal/causal_test_util.h"

namespace lariat::causal {
namespace {

using base::WallTime;

const Actor kA = MakeActor(1);
const Actor kB = MakeActor(2);
constexpr std::string_view kActorA = "0100000000000000 0700000000000000 00";
constexpr std::string_view kActorB = "0200000000000000 0700000000000000 00";

Value FullValue() {
  Value value = MakeValue("hi");
  value.written.ms = 1'000;
  value.expires_ms = 5'000;
  value.content_type = "text/plain";
  return value;
}

Value Tombstone(int64_t written_ms) {
  Value value;
  value.tombstone = true;
  value.written.ms = written_ms;
  return value;
}

Object TwoSiblings() {
  Object object(Kind::kSiblings);
  object.dvv()->Update({}, FullValue(), kA);
  object.dvv()->Update({}, Tombstone(2'000), kB);
  return object;
}

Object Register() {
  Object object(Kind::kLww);
  *object.lww() = {HlcStamp::FromWallMs(1'000, 5), 9, MakeValue("hi")};
  object.lww()->value.written.ms = 1'000;
  return object;
}

std::string Bytes(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const auto part : parts) text += part;
  return FromHex(text);
}

constexpr std::string_view kFullValue = "06 e807 8827 0a 746578742f706c61696e 02 6869";

TEST(ObjectFormat, SiblingsHaveTheGoldenBytes) {
  const std::string golden = Bytes({"01 01 02", kActorA, "01 00", kActorB, "01 00", "02", "00 01",
                                    kFullValue, "01 01", "01 d00f 00"});
  EXPECT_EQ(Hex(TwoSiblings().Encode()), Hex(golden));
  const auto decoded = Object::Decode(golden);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, TwoSiblings());
}

TEST(ObjectFormat, RegisterHasTheGoldenBytes) {
  const std::string golden = FromHex("01 02 0500e80300000000 0900000000000000 00 e807 02 6869");
  EXPECT_EQ(Hex(Register().Encode()), Hex(golden));
  const auto decoded = Object::Decode(golden);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, Register());
}

TEST(ObjectFormat, EmptyObjectsRoundTrip) {
  EXPECT_EQ(Hex(Object(Kind::kSiblings).Encode()), "01010000");
  for (const Kind kind : {Kind::kSiblings, Kind::kLww}) {
    const auto decoded = Object::Decode(Object(kind).Encode());
    ASSERT_TRUE(decoded);
    EXPECT_EQ(*decoded, Object(kind));
    EXPECT_TRUE(decoded->Empty());
  }
}

TEST(ObjectFormat, TimesBefore1970RoundTrip) {
  Object object(Kind::kSiblings);
  Value value = MakeValue("v");
  value.written.ms = -1;
  value.expires_ms = INT64_MIN;
  object.dvv()->Update({}, value, kA);
  const auto decoded = Object::Decode(object.Encode());
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, object);
}

TEST(ObjectFormat, DecodeRefusesWhatIsNotCanonical) {
  const std::string value = "00 00 01 78";  // no flags, written 0, "x"
  const auto one = [&](std::string_view values) {
    return Bytes({"01 01 01", kActorA, "03 01 02", values});  // history {1..3, 5}
  };
  ASSERT_TRUE(Object::Decode(one("02 00 01" + value + "00 05" + value)));
  const std::pair<const char*, std::string> bad[] = {
      {"nothing", ""},
      {"version 0", FromHex("00 01 00 00")},
      {"version 2", FromHex("02 01 00 00")},
      {"kind 0", FromHex("01 00 00 00")},
      {"kind 3", FromHex("01 03 00 00")},
      {"history alone", FromHex("01 01 00")},
      {"dot not in the history", one("01 00 04" + value)},
      {"dot above the history", one("01 00 06" + value)},
      {"counter 0", one("01 00 00" + value)},
      {"no such entry", one("01 01 01" + value)},
      {"values unsorted", one("02 00 02" + value + "00 01" + value)},
      {"value twice", one("02 00 02" + value + "00 02" + value)},
      {"unknown flag", one("01 00 01 08 00 01 78")},
      {"expiry flag without expiry", one("01 00 01 02 00 00 01 78")},
      {"type flag without type", one("01 00 01 04 00 00 01 78")},
      {"over-long size", one("01 00 01 00 00 8100 78")},
      {"size past the end", one("01 00 01 00 00 02 78")},
      {"count is a lie", one("ffffffffffffffff7f 00 01" + value)},
      {"trailing byte", one("01 00 01" + value + "00")},
      {"register cut", FromHex("01 02 0500e80300000000 0900000000000000 00 e807 02 68")},
      {"register with a tail", FromHex("01 02 0500e80300000000 0900000000000000 00 e807 00 00")},
  };
  for (const auto& [name, bytes] : bad) {
    const auto decoded = Object::Decode(bytes);
    ASSERT_FALSE(decoded) << name;
    EXPECT_EQ(decoded.error().code, base::Code::kCorruption) << name;
  }
}

Object RandomObject(base::Prng* prng) {
  Object object(prng->Chance(0.8) ? Kind::kSiblings : Kind::kLww);
  const auto random_value = [prng] {
    Value value = prng->Chance(0.3) ? Tombstone(prng->Between(-5, 500)) : MakeValue("");
    value.bytes = std::string(prng->Below(5), 'x');
    value.content_type = std::string(prng->Below(3), 't');
    value.expires_ms = prng->Between(0, 300);
    return value;
  };
  if (object.lww() != nullptr) {
    *object.lww() = {{prng->Next()}, prng->Next(), random_value()};
    return object;
  }
  for (uint64_t n = prng->Below(8); n > 0; --n) {
    DotSet context;
    for (uint64_t m = prng->Below(4); m > 0; --m) {
      context.Add({MakeActor(1 + prng->Below(3)), 1 + prng->Below(300)});
    }
    object.dvv()->Update(context, random_value(), MakeActor(1 + prng->Below(3)));
  }
  return object;
}

TEST(ObjectFormat, WhateverDecodesEncodesToTheSameBytes) {
  base::Prng prng(31);
  int accepted = 0;
  for (int round = 0; round < 100'000; ++round) {
    const Object object = RandomObject(&prng);
    const std::string bytes = object.Encode();
    const auto same = Object::Decode(bytes);
    ASSERT_TRUE(same);
    ASSERT_EQ(*same, object);
    const std::string mutant = Mutate(bytes, &prng);
    const auto decoded = Object::Decode(mutant);
    if (!decoded) continue;
    ++accepted;
    ASSERT_EQ(Hex(decoded->Encode()), Hex(mutant));
    ASSERT_EQ(*decoded == object, mutant == bytes) << "one set of bytes for each object";
  }
  EXPECT_GT(accepted, 1'000);
}

TEST(ObjectFormat, EveryTruncationIsRefused) {
  for (const Object& object : {TwoSiblings(), Register()}) {
    const std::string bytes = object.Encode();
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(Object::Decode(std::string_view(bytes).substr(0, size))) << size;
    }
  }
}

TEST(Object, EqualStatesHaveEqualDigestsHoweverTheyCameAbout) {
  Object x(Kind::kSiblings), y(Kind::kSiblings);
  x.dvv()->Update({}, MakeValue("x"), kA);
  y.dvv()->Update({}, MakeValue("y"), kB);
  Object xy = x, yx = y;
  ASSERT_TRUE(xy.Join(y));
  ASSERT_TRUE(yx.Join(x));
  EXPECT_EQ(Object::Digest(xy.Encode()), Object::Digest(yx.Encode()));
  EXPECT_NE(Object::Digest(xy.Encode()), Object::Digest(x.Encode()));
}

// Guards M28.
TEST(Object, DigestCoversValuesAsWellAsClocks) {
  Object x(Kind::kSiblings), y(Kind::kSiblings);
  x.dvv()->Update({}, MakeValue("x"), kA);
  y.dvv()->Update({}, MakeValue("y"), kA);
  EXPECT_NE(Object::Digest(x.Encode()), Object::Digest(y.Encode()));
}

TEST(Object, StatesOfTwoKindsDoNotMerge) {
  Object siblings = TwoSiblings();
  const base::Status status = siblings.Join(Register());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, base::Code::kConflict);
  EXPECT_EQ(siblings, TwoSiblings());
}

TEST(Object, ReadersSeeNeitherTombstonesNorExpiredValues) {
  const Object object = TwoSiblings();
  const auto before = object.LiveValues(WallTime{4'999});
  ASSERT_EQ(before.size(), 1U);
  EXPECT_EQ(before[0].value->bytes, "hi");
  EXPECT_EQ(before[0].dot, (Dot{kA, 1}));
  EXPECT_TRUE(object.LiveValues(WallTime{5'000}).empty());
  EXPECT_EQ(object.StoredValues(), 2U);
  EXPECT_TRUE(object.HasTombstone());
  EXPECT_FALSE(object.Empty());
}

// As long as it is stored, an expired value hides what it replaced and what comes late.
// Guards M14.
TEST(Object, AnExpiredValueUncoversNothingOlder) {
  const auto at = [](int64_t stamp_ms, const std::string& bytes, int64_t expires_ms) {
    Object object(Kind::kLww);
    object.lww()->stamp = HlcStamp::FromWallMs(stamp_ms);
    object.lww()->value.bytes = bytes;
    object.lww()->value.expires_ms = expires_ms;
    return object;
  };
  for (const int64_t expires_ms : {int64_t{2'000}, int64_t{1} << 31, INT64_MAX}) {
    Object expired = at(1'000, "short-lived", expires_ms);
    ASSERT_TRUE(expired.Join(at(999, "older", 0)));
    EXPECT_EQ(expired.LiveValues(WallTime{expires_ms - 1}).size(), 1U);
    EXPECT_TRUE(expired.LiveValues(WallTime{expires_ms}).empty());
    ASSERT_TRUE(expired.Join(at(1'001, "newer", 0)));
    EXPECT_EQ(expired.LiveValues(WallTime{expires_ms}).size(), 1U);
  }
  Object siblings(Kind::kSiblings);
  siblings.dvv()->Update({}, {.bytes = "older"}, kA);
  const Object late = siblings;
  siblings.dvv()->Update(siblings.dvv()->history(), {.expires_ms = 2'000, .bytes = "short"}, kA);
  ASSERT_TRUE(siblings.Join(late));
  EXPECT_TRUE(siblings.LiveValues(WallTime{2'000}).empty());
}

TEST(Object, ARegisterShowsItsValueUnlessDeleted) {
  Object object = Register();
  const auto live = object.LiveValues(WallTime{0});
  ASSERT_EQ(live.size(), 1U);
  EXPECT_EQ(live[0].dot.actor.node, 9U);
  EXPECT_EQ(live[0].dot.counter, object.lww()->stamp.packed);
  EXPECT_EQ(object.StoredValues(), 1U);
  EXPECT_EQ(object.Version(), (std::map<uint64_t, uint64_t>{{9, 1'000}}));
  EXPECT_EQ(object.VersionOf(live[0].dot), object.Version());
  EXPECT_EQ(object.WholeContext(), (Context{{}, object.lww()->stamp, 9}));
  object.lww()->value = Tombstone(1);
  EXPECT_TRUE(object.LiveValues(WallTime{0}).empty());
  EXPECT_TRUE(object.HasTombstone());
  EXPECT_TRUE(Object(Kind::kLww).LiveValues(WallTime{0}).empty());
  EXPECT_EQ(Object(Kind::kLww).StoredValues(), 0U);
  EXPECT_TRUE(Object(Kind::kLww).Version().empty());
}

TEST(Object, TraitsTellWhatASweepLooksFor) {
  Object object = TwoSiblings();
  EXPECT_FALSE(object.Traits().tombstone);
  EXPECT_TRUE(object.Traits().expiring);
  EXPECT_FALSE(object.Traits().foldable);
  const DotSet seen = object.dvv()->history();
  object.dvv()->Update(seen, MakeValue("new"), kA);
  EXPECT_FALSE(object.Traits().tombstone);
  EXPECT_FALSE(object.Traits().expiring);
  EXPECT_TRUE(object.Traits().foldable);
  object.dvv()->Update(object.dvv()->history(), Tombstone(3'000), kB);
  EXPECT_TRUE(object.Traits().tombstone);
  object.dvv()->Discard(object.dvv()->history());
  EXPECT_TRUE(object.Traits().tombstone) << "nothing but history is not found either";
  EXPECT_TRUE(object.Traits().foldable);

  Object lww = Register();
  EXPECT_FALSE(lww.Traits().tombstone || lww.Traits().expiring || lww.Traits().foldable);
  lww.lww()->value.expires_ms = 1;
  EXPECT_TRUE(lww.Traits().expiring);
  lww.lww()->value = Tombstone(1);
  EXPECT_TRUE(lww.Traits().tombstone);
  EXPECT_FALSE(Object(Kind::kLww).Traits().tombstone);
  EXPECT_FALSE(Object(Kind::kSiblings).Traits().tombstone);
}

TEST(Object, FoldForgetsActorsWithoutValues) {
  Object object = TwoSiblings();
  EXPECT_FALSE(object.Fold());
  object.dvv()->Update(object.dvv()->history(), MakeValue("new"), kA);
  const Object before = object;
  EXPECT_TRUE(object.Fold());
  ASSERT_EQ(object.dvv()->history().entries().size(), 1U);
  EXPECT_EQ(object.dvv()->history().Max(kA), before.dvv()->history().Max(kA));
  EXPECT_EQ(object.dvv()->values(), before.dvv()->values());
  EXPECT_FALSE(object.Fold());
  ASSERT_TRUE(Object::Decode(object.Encode()));
  // One who has not folded yet brings the history back, and no value.
  Object joined = object;
  ASSERT_TRUE(joined.Join(before));
  EXPECT_EQ(joined, before);
  Object lww = Register();
  EXPECT_FALSE(lww.Fold());
}

TEST(Object, AWriteWithTimestampZeroIsStillAWrite) {
  Object object(Kind::kLww);
  *object.lww() = {{}, 9, MakeValue("early")};
  EXPECT_FALSE(object.Empty());
  EXPECT_EQ(object.LiveValues(WallTime{0}).size(), 1U);
}

TEST(Object, PeopleSeeANodesActorsAddedUp) {
  Object object(Kind::kSiblings);
  for (int i = 0; i < 3; ++i) object.dvv()->Update({}, MakeValue("v"), MakeActor(1, 7, 0));
  for (int i = 0; i < 2; ++i) object.dvv()->Update({}, MakeValue("v"), MakeActor(1, 8, 0));
  object.dvv()->Update({}, MakeValue("v"), kB);
  EXPECT_EQ(object.Version(), (std::map<uint64_t, uint64_t>{{1, 5}, {2, 1}}));
  EXPECT_EQ(object.VersionOf({MakeActor(1, 8, 0), 2}), (std::map<uint64_t, uint64_t>{{1, 2}}));
}

TEST(Object, AWriteWithTheWholeContextLeavesOneValue) {
  Object object = TwoSiblings();
  object.dvv()->Update(object.WholeContext().seen, MakeValue("v"), kA);
  EXPECT_EQ(object.StoredValues(), 1U);
  EXPECT_FALSE(object.HasTombstone());
}

// A context that would not fit must still be able to resolve all siblings.
TEST(Object, TheContextOfAHugeHistoryResolvesItsSiblings) {
  Object object(Kind::kSiblings);
  DotSet forged;
  for (uint64_t node = 100; node < 100 + 3 * kContextActorsMax; ++node) {
    forged.Add({MakeActor(node), 2});
  }
  for (const uint64_t node : {1, 50, 9'000}) {
    object.dvv()->Update(forged, MakeValue("v"), MakeActor(node));
    object.dvv()->Update({}, MakeValue("w"), MakeActor(node));
  }
  ASSERT_EQ(object.StoredValues(), 6U);
  const auto back = DecodeContext(EncodeContext(object.WholeContext(), "b", "k"), "b", "k");
  ASSERT_TRUE(back);
  EXPECT_TRUE(object.dvv()->history().Covers(back->seen));
  object.dvv()->Update(back->seen, MakeValue("resolved"), kA);
  EXPECT_EQ(object.StoredValues(), 1U);
}

}  // namespace
}  // namespace lariat::causal

// SPDX-License-Identifier: Apache-2.0
#include "causal/change.h"

#include <gtest/gtest.h>

#include "causal/causal_test_util.h"

namespace lariat::causal {
namespace {

using base::Code;

constexpr ChangeTerms kTerms{.bucket = "b", .key = "k", .ttl_s = 60, .now_us = 5'000'007};

std::string SeenText(const Dot& dot) {
  Context context;
  context.seen.Add(dot);
  return EncodeContext(context, "b", "k");
}

Change Made(ClientWrite write, ChangeTerms terms = kTerms) {
  return Change::Of(&write, terms).value();
}

TEST(Change, TakesTheValueAndGivesItBack) {
  ClientWrite write{.value = "v", .content_type = "text/plain"};
  auto change = Change::Of(&write, kTerms);
  ASSERT_TRUE(change);
  EXPECT_TRUE(write.value.empty());
  EXPECT_EQ(change->value.bytes, "v");
  EXPECT_EQ(change->value.written.ms, 5'000);
  EXPECT_EQ(change->micros, 7);
  std::move(*change).GiveBack(&write);
  EXPECT_EQ(write.value, "v");
  EXPECT_EQ(write.content_type, "text/plain");
}

TEST(Change, ExpiresByTheClientsTtlOrElseTheBuckets) {
  EXPECT_EQ(Made({}).value.expires_ms, 65'000);
  EXPECT_EQ(Made({.ttl_s = 1}).value.expires_ms, 6'000);
  EXPECT_EQ(Made({.ttl_s = 0}).value.expires_ms, 0);
  EXPECT_EQ(Made({.ttl_s = INT64_MAX}).value.expires_ms, INT64_MAX);
  EXPECT_EQ(Made({.expires_ms = 5'001}).value.expires_ms, 5'001);
  EXPECT_EQ(Made({.expires_ms = 0}).value.expires_ms, 0);
  EXPECT_FALSE((ClientWrite{.ttl_s = 1, .expires_ms = 1}.Check()));
  EXPECT_FALSE((ClientWrite{.expires_ms = -1}.Check()));
  ChangeTerms endless = kTerms;
  endless.ttl_s = UINT64_MAX;
  EXPECT_EQ(Made({}, endless).value.expires_ms, INT64_MAX);
  EXPECT_EQ(Made({.is_delete = true}).value.expires_ms, 0);
}

TEST(Change, WithoutAContextDeletesAndConditionsSeeWhatIsRead) {
  const std::string text = SeenText({MakeActor(1), 1});
  EXPECT_FALSE(Made({}).sees_what_is_read);
  EXPECT_TRUE(Made({.is_delete = true}).sees_what_is_read);
  EXPECT_FALSE(Made({.is_delete = true, .context = text}).sees_what_is_read);
  EXPECT_TRUE(Made({.if_match = "*"}).sees_what_is_read);
  EXPECT_FALSE(Made({.if_match = text}).sees_what_is_read);
  EXPECT_FALSE(Made({.if_match = text}).context.Empty()) << "the condition's stands in";
}

TEST(Change, IsMadeWhereItsConditionHolds) {
  const Actor a = MakeActor(1);
  Object object(Kind::kSiblings);
  EXPECT_TRUE(object.Meets(Made({.if_none_match_any = true})));
  EXPECT_EQ(object.Meets(Made({.if_match = "*"})).error().code, Code::kPreconditionFailed);
  ASSERT_TRUE(object.Apply(Made({.value = "v"}), {a, {}}));
  EXPECT_FALSE(object.Meets(Made({.if_none_match_any = true})));
  EXPECT_TRUE(object.Meets(Made({.if_match = "*"})));
  EXPECT_TRUE(object.Meets(Made({.if_match = SeenText({a, 1})})));
  EXPECT_FALSE(object.Meets(Made({.if_match = SeenText({a, 2})})));
}

TEST(Change, IsMadeAgainAsTheSameEvent) {
  ChangeTerms terms = kTerms;
  terms.kind = Kind::kLww;
  Object object(Kind::kLww);
  ASSERT_TRUE(object.Apply(Made({.value = "v"}, terms), {{7}, {5}}));
  const Change again = Object(object).Again();
  EXPECT_EQ(again.instead_of, (RegisterId{{5}, 7}));
  EXPECT_EQ(again.value.bytes, "v");
  Change late = Made({.value = "late"}, terms);
  const auto lost = object.Apply(std::move(late), {{7}, {4}});
  ASSERT_TRUE(lost);
  EXPECT_FALSE(lost->changed);
  EXPECT_EQ(lost->context.Id(), (RegisterId{{4}, 7}));
  EXPECT_EQ(object.Id(), again.instead_of);
}

TEST(ClientWrite, IsRefusedByTheWrongKind) {
  Context stamp;
  stamp.lww_stamp.packed = 5;
  const ClientWrite of_lww{.context = EncodeContext(stamp, "b", "k")};
  const ClientWrite of_siblings{.context = SeenText({MakeActor(1), 1})};
  EXPECT_TRUE(of_lww.CheckFor(Kind::kLww, "b", "k"));
  EXPECT_FALSE(of_lww.CheckFor(Kind::kSiblings, "b", "k"));
  EXPECT_FALSE(of_siblings.CheckFor(Kind::kLww, "b", "k"));
  EXPECT_FALSE(of_siblings.CheckFor(Kind::kSiblings, "b", "other"));
  EXPECT_FALSE(ClientWrite{.client_timestamp_ms = 1}.CheckFor(Kind::kSiblings, "b", "k"));
  EXPECT_TRUE(ClientWrite{.is_delete = true}.NeedsRead(Kind::kSiblings));
  EXPECT_FALSE(ClientWrite{.is_delete = true}.NeedsRead(Kind::kLww));
}

}  // namespace
}  // namespace lariat::causal

// SPDX-License-Identifier: Apache-2.0
#include "repair/exchange/pairs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "membership/membership_test_util.h"

namespace lariat::repair {
namespace {

using membership::IdOf;
using wire::TokenSpan;

// Six nodes with eight tokens each, and buckets with n from 1 to 7 (more than there are nodes).
membership::Topology Six() {
  auto document = membership::MakeDocument(6, 10, true);
  std::mt19937_64 random(7);
  for (membership::Member& member : document.members) {
    member.tokens.clear();
    for (int i = 0; i < 8; ++i) member.tokens.push_back({random()});
    std::sort(member.tokens.begin(), member.tokens.end());
    member.next_tokens = member.tokens;
  }
  document.buckets.clear();
  for (uint32_t n = 1; n <= 7; ++n) {
    auto bucket = membership::MakeBucket("n" + std::to_string(n));
    bucket.n = n;
    bucket.r = bucket.w = 1;
    document.buckets.emplace(bucket.name, bucket);
  }
  return document;
}

bool Contains(const TokenSpan& span, uint64_t token) {
  return token - span.from - 1 <= span.to - span.from - 1;
}

int Covered(const std::vector<TokenSpan>& spans, uint64_t token) {
  return static_cast<int>(std::count_if(
      spans.begin(), spans.end(), [&](const TokenSpan& span) { return Contains(span, token); }));
}

std::vector<uint64_t> Tokens(const membership::View& view) {
  std::vector<uint64_t> tokens = {0, 1, UINT64_MAX, UINT64_MAX - 1};
  for (const membership::Member& member : view.topology.members) {
    for (const ring::Token token : member.tokens) {
      for (const uint64_t near : {token.value - 1, token.value, token.value + 1}) {
        tokens.push_back(near);
      }
    }
  }
  return tokens;
}

TEST(MapOf, SharesWithEachMemberWhatBothHoldAndNothingElse) {
  const auto document = Six();
  for (uint64_t number = 1; number <= 6; ++number) {
    const auto view = membership::MakeView(document, IdOf(number));
    const ExchangeMap map = MapOf(*view);
    for (const auto& [name, bucket] : view->topology.buckets) {
      for (const uint64_t token : Tokens(*view)) {
        std::set<uint64_t> owners;
        for (const ring::NodeIndex node : view->ring.Primaries({token}, bucket.n).primaries) {
          owners.insert(view->MemberAt(node).Number());
        }
        const uint64_t self = view->MemberAt(view->self).Number();
        const bool held = owners.erase(self) > 0;
        int sets = 0;
        for (const ReplicaSet& set : map.sets) {
          if (set.bucket != bucket.id || Covered(set.ranges, token) == 0) continue;
          ++sets;
          EXPECT_EQ(std::set<uint64_t>(set.partners.begin(), set.partners.end()), owners);
        }
        EXPECT_EQ(sets, held ? 1 : 0) << name << " " << token;
        for (const membership::Member& member : view->topology.members) {
          const auto shared = map.pairs.find({bucket.id, member.Number()});
          const int times = shared == map.pairs.end() ? 0 : Covered(shared->second, token);
          EXPECT_EQ(times, held && owners.contains(member.Number()) ? 1 : 0)
              << name << " " << token;
        }
        const auto& ranges = map.held.at(bucket.id);
        EXPECT_EQ(std::any_of(ranges.begin(), ranges.end(),
                              [&](const auto& range) { return range.Contains({token}); }),
                  held);
      }
    }
  }
}

TEST(MapOf, RangesAreInOrderAndDoNotTouch) {
  const auto view = membership::MakeView(Six(), IdOf(3));
  for (const auto& [pair, ranges] : MapOf(*view).pairs) {
    for (size_t i = 0; i < ranges.size(); ++i) {
      EXPECT_LE(ranges[i].from + 1, ranges[i].to) << "not over zero";
      EXPECT_TRUE(i == 0 || ranges[i - 1].to < ranges[i].from);
    }
  }
}

TEST(MapOf, UntilAChangeSwitchesOwnersAreComparedAndThenNothing) {
  auto document = Six();
  membership::Operation operation;
  operation.change.kind = membership::ChangeKind::kLeave;
  operation.change.node = IdOf(6);
  operation.phase = membership::Phase::kStream;
  document.operation = operation;
  for (membership::Member& member : document.members) {
    if (member.id == IdOf(6)) member.next_tokens.clear();
  }
  const auto before = MapOf(*membership::MakeView(Six(), IdOf(1)));
  const auto map = MapOf(*membership::MakeView(document, IdOf(1)));
  EXPECT_EQ(map.pairs, before.pairs);
  EXPECT_FALSE(map.sets.empty());
  document.operation->phase = membership::Phase::kSwitch;
  EXPECT_TRUE(MapOf(*membership::MakeView(document, IdOf(1))).pairs.empty());
  for (const auto& [bucket, ranges] : before.held) {
    EXPECT_GT(map.held.at(bucket).size(), ranges.size()) << "what is gained may be asked for too";
  }
}

TEST(MapOf, WhoIsGivenUpIsAskedNothing) {
  auto document = Six();
  for (membership::Member& member : document.members) {
    if (member.id == IdOf(6)) member.given_up = true;
  }
  const auto view = membership::MakeView(document, IdOf(1));
  const uint64_t gone = view->topology.Find(IdOf(6))->Number();
  for (const auto& [pair, ranges] : MapOf(*view).pairs) EXPECT_NE(pair.partner, gone);
}

}  // namespace
}  // namespace lariat::repair

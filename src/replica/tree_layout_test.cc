// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "replica/tree/layout.h"

namespace lariat::replica {
namespace {

std::string Bytes(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text.push_back(static_cast<char>(byte));
  return text;
}

merkle::LeafSum SumOfOne() {
  merkle::LeafSum sum;
  sum.Add({1, 2}, {true, false, true});
  return sum;
}

std::string SumBytes() {
  std::string bytes;
  SumOfOne().AppendTo(&bytes);
  return bytes;
}

TEST(TreeLayout, GoldenBytes) {
  EXPECT_EQ(TreePageKey({0x01020304, 5}, 0x0607), Bytes({1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(TreeJournalKey(0x0102, {0x03040506, 0x0708090a0b0c0d0e}),
            Bytes({255, 255, 255, 254, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}));
  EXPECT_EQ(TreeHeadKey(), Bytes({255, 255, 255, 255}));
  EXPECT_EQ(TreePartKey(0x0102), Bytes({255, 255, 255, 255, 1, 2}));
  EXPECT_EQ(
      EncodeTreePage({1, {2, 3}, {{4, SumOfOne()}, {5, std::nullopt}}}),
      Bytes({1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 1}) + SumBytes() + Bytes({5, 0}));
  EXPECT_EQ(EncodeTreeJournal(1, {{{2, 0x0304}, LeafEventKind::kChange, SumOfOne()},
                                  {{2, 5}, LeafEventKind::kUnknown, {}}}),
            Bytes({1, 0, 0, 0, 2, 0, 0, 0, 4, 3, 1}) + SumBytes() + Bytes({2, 0, 0, 0, 5, 0, 0}));
  EXPECT_EQ(EncodeTreeHead({2, 3}), Bytes({1, 2, 0, 0, 0, 3, 0, 0, 0}));
  EXPECT_EQ(EncodeTreePart({2, 3, true}), Bytes({2, 0, 0, 0, 3, 0, 0, 0, 1}));
}

TEST(TreeLayout, WhatIsWrittenIsRead) {
  const auto page_key = ParseTreePageKey(TreePageKey({7, 255}, 1023));
  ASSERT_TRUE(page_key);
  EXPECT_EQ(page_key->place, (PagePlace{7, 255}));
  EXPECT_EQ(page_key->part, 1023U);
  const auto journal_key = ParseTreeJournalKey(TreeJournalKey(9, {10, 11}));
  ASSERT_TRUE(journal_key);
  EXPECT_EQ(journal_key->part, 9U);
  EXPECT_EQ(journal_key->seq, (JournalSeq{10, 11}));
  for (const std::string& key : {TreeHeadKey(), TreePartKey(1), TreeJournalKey(1, {2, 3})}) {
    EXPECT_FALSE(ParseTreePageKey(key));
  }
  EXPECT_FALSE(ParseTreeJournalKey(TreePageKey({7, 1}, 0)));

  const auto page = DecodeTreePage(EncodeTreePage({1, {2, 3}, {{4, SumOfOne()}, {255, {}}}}));
  ASSERT_TRUE(page && page->leaves.size() == 2);
  EXPECT_EQ(page->generation, 1U);
  EXPECT_EQ(page->upto, (JournalSeq{2, 3}));
  EXPECT_EQ(page->leaves[0].leaf, 4U);
  EXPECT_EQ(page->leaves[0].sum, SumOfOne());
  EXPECT_EQ(page->leaves[1].leaf, 255U);
  EXPECT_FALSE(page->leaves[1].sum);
  const auto journal = DecodeTreeJournal(EncodeTreeJournal(
      8, {{{1, 65535}, LeafEventKind::kIs, SumOfOne()}, {{1, 2}, LeafEventKind::kUnknown, {}}}));
  ASSERT_TRUE(journal && journal->events.size() == 2);
  EXPECT_EQ(journal->events[0].place, (LeafPlace{1, 65535}));
  EXPECT_EQ(journal->events[0].kind, LeafEventKind::kIs);
  EXPECT_EQ(journal->events[0].sum, SumOfOne());
  EXPECT_EQ(journal->events[1].kind, LeafEventKind::kUnknown);
  EXPECT_EQ(DecodeTreeHead(EncodeTreeHead({4, 5})), (TreeHead{4, 5}));
  EXPECT_EQ(DecodeTreePart(EncodeTreePart({6, 7, false})), (TreePart{6, 7, false}));
}

TEST(TreeLayout, RefusesWhatIsCutShortOrNewer) {
  const std::string page = EncodeTreePage({1, {2, 3}, {{4, SumOfOne()}}});
  const std::string journal = EncodeTreeJournal(8, {{{1, 2}, LeafEventKind::kChange, SumOfOne()}});
  for (size_t size = 0; size < page.size(); ++size) {
    EXPECT_EQ(DecodeTreePage(page.substr(0, size)).has_value(), size == 16) << size;
  }
  for (size_t size = 0; size < journal.size(); ++size) {
    EXPECT_EQ(DecodeTreeJournal(journal.substr(0, size)).has_value(), size == 4) << size;
  }
  EXPECT_FALSE(DecodeTreeJournal(Bytes({8, 0, 0, 0, 1, 0, 0, 0, 2, 0, 3})));
  EXPECT_FALSE(DecodeTreeHead(Bytes({2, 2, 0, 0, 0, 3, 0, 0, 0})));
  EXPECT_FALSE(DecodeTreeHead(""));
  EXPECT_FALSE(DecodeTreePart(""));
}

}  // namespace
}  // namespace lariat::replica

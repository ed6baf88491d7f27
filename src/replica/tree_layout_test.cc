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

TEST(TreeLayout, GoldenBytes) {
  EXPECT_EQ(TreeLeafKey({0x01020304, 0x0506}, 0x0708), Bytes({1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(TreeMarkKey({0x01020304, 0x0506}, 0x0708, 0x1112131415161718),
            Bytes({1, 2, 3, 4, 5, 6, 7, 8, 17, 18, 19, 20, 21, 22, 23, 24}));
  EXPECT_EQ(TreeHeadKey(), Bytes({255, 255, 255, 255}));
  EXPECT_EQ(TreeCompleteKey(0x0102), Bytes({255, 255, 255, 255, 1, 2}));
  EXPECT_EQ(EncodeTreeLeaf(0x01020304, std::nullopt), Bytes({4, 3, 2, 1}));
  merkle::LeafSum sum;
  sum.keys = 5;
  const std::string leaf = EncodeTreeLeaf(0x01020304, sum);
  EXPECT_EQ(leaf.size(), 36U);
  EXPECT_EQ(leaf.substr(0, 4), Bytes({4, 3, 2, 1}));
  EXPECT_EQ(leaf[4 + 16], 5);
  EXPECT_EQ(EncodeTreeHead({2, 3}), Bytes({1, 2, 0, 0, 0, 3, 0, 0, 0}));
  EXPECT_EQ(EncodeGeneration(3), Bytes({3, 0, 0, 0}));
}

TEST(TreeLayout, WhatIsWrittenIsRead) {
  const auto leaf = ParseTreeKey(TreeLeafKey({7, 65535}, 1023));
  ASSERT_TRUE(leaf);
  EXPECT_EQ(leaf->place, (LeafPlace{7, 65535}));
  EXPECT_EQ(leaf->part, 1023U);
  EXPECT_FALSE(leaf->mark_of_run);
  EXPECT_EQ(ParseTreeKey(TreeMarkKey({7, 1}, 0, 99))->mark_of_run, 99U);
  EXPECT_FALSE(ParseTreeKey(TreeHeadKey()));
  EXPECT_FALSE(ParseTreeKey(TreeCompleteKey(1)));
  merkle::LeafSum sum;
  sum.Add({1, 2}, {true, false, true});
  EXPECT_EQ(DecodeTreeLeaf(EncodeTreeLeaf(9, sum))->sum, sum);
  EXPECT_EQ(DecodeTreeLeaf(EncodeTreeLeaf(9, sum))->generation, 9U);
  EXPECT_FALSE(DecodeTreeLeaf(EncodeTreeLeaf(9, std::nullopt))->sum);
  EXPECT_EQ(DecodeTreeHead(EncodeTreeHead({4, 5})), (TreeHead{4, 5}));
  EXPECT_EQ(DecodeGeneration(EncodeGeneration(6)), 6U);
}

TEST(TreeLayout, RefusesWhatIsTooShortTooLongOrNewer) {
  for (const std::string& bad : {std::string(), std::string(3, '\1'), std::string(35, '\1')}) {
    EXPECT_FALSE(DecodeTreeLeaf(bad));
    EXPECT_FALSE(DecodeTreeHead(bad));
    EXPECT_FALSE(DecodeGeneration(bad));
  }
  EXPECT_FALSE(DecodeTreeHead(Bytes({2, 2, 0, 0, 0, 3, 0, 0, 0})));
}

}  // namespace
}  // namespace lariat::replica

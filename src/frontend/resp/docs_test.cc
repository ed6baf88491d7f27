// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/doc_page_test_util.h"
#include "frontend/resp/internal/command.h"
#include "frontend/resp/internal/glob.h"
#include "frontend/resp/internal/slots.h"

namespace lariat::frontend::resp {
namespace {

TEST(RedisPage, IsCurrent) {
  base::ExpectCurrent(std::filesystem::path(LARIAT_DOCS_DIR) / "redis.md", RedisMarkdown());
}

TEST(CommandTable, IsInOrder) {
  std::set<std::string_view> names;
  std::string_view container;
  for (const Command& command : CommandTable()) {
    EXPECT_TRUE(names.insert(command.name).second) << command.name;
    if (command.container().empty()) {
      container = command.name;
    } else {
      EXPECT_EQ(command.container(), container) << "a subcommand stands behind its container";
    }
    EXPECT_EQ(FindCommand(command.name), &command);
    EXPECT_EQ(command.keys.first == 0, command.keys.step == 0) << command.name;
    EXPECT_TRUE(command.keys.first == 0 || (command.flags & (kReadonly | kWrite)) != 0)
        << command.name;
    EXPECT_FALSE(command.summary.empty());
  }
  for (const RefusedCommand& refused : RefusedTable()) {
    EXPECT_TRUE(names.insert(refused.name).second) << refused.name;
  }
}

TEST(Slots, AreThoseOfRedisAndAllGivenOut) {
  EXPECT_EQ(SlotOf("123456789"), 0x31C3u % kSlots);  // the published check value
  EXPECT_EQ(SlotOf("foo"), 12182u);
  EXPECT_EQ(SlotOf("{foo}bar"), 12182u);
  EXPECT_EQ(SlotOf("x{foo}{y}"), 12182u);
  EXPECT_EQ(SlotOf("{}foo"), SlotOf(std::string("{}foo")));
  EXPECT_NE(SlotOf("{}foo"), 12182u);
  for (const std::vector<double>& shares :
       {std::vector<double>{1}, {0.2, 0.5, 0.3}, {0, 1, 0}, {0, 0}, {1e-9, 1, 1e-9}}) {
    uint32_t next = 0;
    for (const SlotRange& range : DivideSlots(shares)) {
      if (range.first > range.last) continue;
      EXPECT_EQ(range.first, next);
      next = range.last + 1;
    }
    EXPECT_EQ(next, kSlots);
  }
}

TEST(Glob, IsRedis) {
  for (const auto& [pattern, text] : {std::pair{"*", ""},
                                      {"a*c", "abbc"},
                                      {"a?c", "aXc"},
                                      {"[a-c]x", "bx"},
                                      {"[^a]x", "bx"},
                                      {"\\*", "*"},
                                      {"SAVE", "save"},
                                      {"*a*b*", "xxaxxbxx"},
                                      {"[c-a]", "b"}}) {
    EXPECT_TRUE(GlobMatches(pattern, text)) << pattern << ' ' << text;
  }
  for (const auto& [pattern, text] :
       {std::pair{"", "a"}, {"a", ""}, {"a*c", "abcd"}, {"[^a]x", "ax"}, {"?", ""}, {"[", "a"}}) {
    EXPECT_FALSE(GlobMatches(pattern, text)) << pattern << ' ' << text;
  }
  std::string pattern;
  for (int i = 0; i < 1000; ++i) pattern += "*a";
  EXPECT_FALSE(GlobMatches("A*", "ab", Case::kMatters));
  EXPECT_TRUE(GlobMatches("[A-C]*", "Bb", Case::kMatters));
  EXPECT_FALSE(GlobMatches(pattern + "b", std::string(5000, 'a')));
}

}  // namespace
}  // namespace lariat::frontend::resp

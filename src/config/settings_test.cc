// SPDX-License-Identifier: Apache-2.0
#include "config/settings.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <set>

#include "config/internal/nearest.h"
#include "config/value.h"

namespace lariat::config {
namespace {

bool IsName(std::string_view name) {
  return !name.empty() && name.find("__") == std::string_view::npos &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

TEST(SettingTable, IsWellFormed) {
  std::set<std::string> keys, variables;
  for (const SettingInfo& info : SettingTable()) {
    EXPECT_TRUE(keys.insert(info.key()).second) << info.key();
    EXPECT_TRUE(variables.insert(info.environment_variable()).second) << info.key();
    EXPECT_TRUE(IsName(info.section)) << info.key();
    EXPECT_TRUE(IsName(info.name)) << info.key();
    EXPECT_TRUE(info.doc.ends_with('.')) << info.key();
    EXPECT_EQ(info.doc.find('\n'), std::string_view::npos) << info.key();
    EXPECT_EQ(FindSetting(info.key()), &info);
    EXPECT_TRUE(!info.name.ends_with("_bytes") || info.unit == "bytes") << info.key();
    EXPECT_TRUE(!info.name.ends_with("_ms") || info.unit == "ms") << info.key();
  }
}

TEST(SettingTable, EveryDefaultIsAllowedAndReadsBackFromItsText) {
  for (const SettingInfo& info : SettingTable()) {
    const Value value = DefaultValue(info);
    EXPECT_TRUE(CheckValue(info, value)) << info.key();
    EXPECT_EQ(ParseValue(info, info.default_text).value(), value) << info.key();
  }
}

TEST(SettingTable, HasTheNamesThatAreFixed) {
  for (const char* key :
       {"storage.durability", "storage.block_cache_bytes", "limits.value_bytes", "limits.siblings",
        "limits.in_flight_requests", "request.timeout_ms", "membership.gossip_period_ms"}) {
    EXPECT_NE(FindSetting(key), nullptr) << key;
  }
  EXPECT_EQ(FindSetting("storage"), nullptr);
  EXPECT_EQ(FindSetting(""), nullptr);
}

TEST(DiffLive, TellsLiveChangesFromThoseThatNeedARestart) {
  Settings running;
  Settings wanted;
  EXPECT_TRUE(DiffLive(running, wanted).live.empty());
  EXPECT_TRUE(DiffLive(running, wanted).restart.empty());
  wanted.log_level = "debug";
  wanted.node_rack = "rack2";
  const SettingsDiff diff = DiffLive(running, wanted);
  EXPECT_EQ(diff.live, std::vector{FindSetting("log.level")});
  EXPECT_EQ(diff.restart, std::vector{FindSetting("node.rack")});

  const Settings applied = WithLiveChanges(running, wanted);
  EXPECT_EQ(applied.log_level, "debug");
  EXPECT_EQ(applied.node_rack, running.node_rack);
}

TEST(ByteSize, KnowsBinaryAndDecimalUnits) {
  EXPECT_EQ(ParseByteSize("0"), 0);
  EXPECT_EQ(ParseByteSize("12B"), 12);
  EXPECT_EQ(ParseByteSize("256MiB"), 268435456);
  EXPECT_EQ(ParseByteSize("1 KiB"), 1024);
  EXPECT_EQ(ParseByteSize("3GB"), 3'000'000'000);
  EXPECT_EQ(ParseByteSize("1TiB"), int64_t{1} << 40);
  EXPECT_EQ(ParseByteSize("8388607TiB"), int64_t{8388607} << 40);
  for (const char* bad :
       {"", "MiB", "1.5GiB", "-1", "1Mib", "1M", "8388608TiB", "1MiBx", "99999999999999999999"}) {
    EXPECT_FALSE(ParseByteSize(bad)) << bad;
  }
}

TEST(EditDistance, CountsEdits) {
  EXPECT_EQ(internal::EditDistance("", "abc"), 3U);
  EXPECT_EQ(internal::EditDistance("blok", "block"), 1U);
  EXPECT_EQ(internal::EditDistance("ndoe", "node"), 1U);
  EXPECT_EQ(internal::EditDistance("kitten", "sitting"), 3U);
}

TEST(EditDistance, IsSymmetricAndZeroOnlyForEquals) {
  EXPECT_TRUE(rc::check([](const std::string& a, const std::string& b) {
    RC_ASSERT(internal::EditDistance(a, b) == internal::EditDistance(b, a));
    RC_ASSERT((internal::EditDistance(a, b) == 0) == (a == b));
  }));
}

}  // namespace
}  // namespace lariat::config

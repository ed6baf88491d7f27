// SPDX-License-Identifier: Apache-2.0
#include "config/describe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/doc_page_test_util.h"
#include "base/prng.h"

namespace lariat::config {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

void ExpectCurrent(const std::string& name, const std::string& generated) {
  base::ExpectCurrent(std::filesystem::path(LARIAT_DOCS_DIR) / name, generated);
}

TEST(Docs, SettingsPageIsCurrent) { ExpectCurrent("settings.md", SettingsMarkdown()); }

TEST(Docs, SampleFileIsCurrent) { ExpectCurrent("lariat.toml.sample", SampleToml()); }

TEST(SampleToml, ChangesNothingUntilUncommented) {
  SettingsBuilder builder;
  ASSERT_TRUE(builder.LoadToml(SampleToml(), "sample"));
  for (const SettingInfo& info : SettingTable()) {
    EXPECT_EQ(builder.Lookup(info).source, Source::kDefault) << info.key();
  }
}

TEST(SampleToml, UncommentedGivesTheDefaults) {
  // Settings are commented out without a space, remarks with one.
  std::string text = SampleToml();
  for (size_t at = 0; (at = text.find("\n#", at)) != std::string::npos; ++at) {
    if (text[at + 2] != ' ') text.erase(at + 1, 1);
  }
  SettingsBuilder builder;
  const base::Status status = builder.LoadToml(text, "sample");
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(builder.Build().value(), Settings());
  for (const SettingInfo& info : SettingTable()) {
    EXPECT_EQ(builder.Lookup(info).source, Source::kFile) << info.key();
  }
}

TEST(LoadToml, SurvivesDamagedFiles) {
  const std::string whole = PrintConfig(SettingsBuilder());
  base::Prng prng(7);
  for (int round = 0; round < 3000; ++round) {
    const size_t start = prng.Below(whole.size());
    std::string text = whole.substr(start, prng.Below(600));
    for (uint64_t edits = prng.Below(8); edits > 0 && !text.empty(); --edits) {
      constexpr std::string_view kHostile = "[]{}=\"'.,#\n\\ +-_0e:T\x01\xff\x80";
      text[prng.Below(text.size())] = kHostile[prng.Below(kHostile.size())];
    }
    SettingsBuilder builder;
    const base::Status status = builder.LoadToml(text, "f");
    EXPECT_EQ(status.has_value(), builder.Build().has_value());
    EXPECT_THAT(status ? "f:" : status.error().message, StartsWith("f:"));
  }
}

TEST(PrintConfig, NamesValueDefaultUnitOriginAndMeaning) {
  SettingsBuilder builder;
  ASSERT_TRUE(builder.LoadToml("[storage]\nio_threads = 7\n", "lariat.toml"));
  EXPECT_THAT(PrintConfig(builder),
              HasSubstr("\n# Threads for reads that miss memory.\n"
                        "# unit threads, 1 to 256, default 4, changes at restart; "
                        "from lariat.toml:2\n"
                        "io_threads = 7\n"));
}

TEST(PrintConfig, LoadsBackToTheSameSettings) {
  SettingsBuilder builder;
  ASSERT_TRUE(builder.Set("node.name", "quo\"te\\ Z\xc3\xbcrich #1", "--name"));
  ASSERT_TRUE(builder.Set("node.weight", "3", "--weight"));
  ASSERT_TRUE(builder.Set("cluster.join", "a:1,[::1]:2", "--join"));
  ASSERT_TRUE(builder.LoadToml("[limits]\nsiblings = 5\n", "odd\nname"));
  SettingsBuilder again;
  const base::Status status = again.LoadToml(PrintConfig(builder), "printed");
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(again.Build().value(), builder.Build().value());
}

}  // namespace
}  // namespace lariat::config

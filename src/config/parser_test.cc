// SPDX-License-Identifier: Apache-2.0
#include "config/parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lariat::config {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string TomlError(std::string_view text) {
  SettingsBuilder builder;
  const base::Status status = builder.LoadToml(text, "lariat.toml");
  if (status) return "";
  EXPECT_FALSE(builder.Build()) << "a refused source must not build";
  EXPECT_EQ(status.error().code, base::Code::kInvalidArgument);
  return status.error().message;
}

std::string EnvironmentError(std::string entry) {
  SettingsBuilder builder;
  const base::Status status = builder.LoadEnvironment(std::vector<std::string>{std::move(entry)});
  return status ? "" : status.error().message;
}

std::string FlagError(std::string_view assignment) {
  SettingsBuilder builder;
  const base::Status status = builder.Set(assignment, "--set");
  return status ? "" : status.error().message;
}

Settings FromToml(std::string_view text) {
  SettingsBuilder builder;
  const base::Status status = builder.LoadToml(text, "lariat.toml");
  EXPECT_TRUE(status) << status.error().message;
  return builder.Build().value();
}

TEST(SettingsBuilder, WithoutSourcesGivesTheDefaults) {
  const Settings settings = SettingsBuilder().Build().value();
  EXPECT_EQ(settings, Settings());
  EXPECT_EQ(settings.listen_http, "127.0.0.1:7480");
  EXPECT_EQ(settings.storage_io_threads, 4);
  EXPECT_EQ(settings.node_weight, 1.0);
  EXPECT_TRUE(settings.cluster_join.empty());
}

TEST(SettingsBuilder, ReadsEveryTypeFromToml) {
  const Settings settings = FromToml(
      "storage.io_threads = 9\n"
      "[node]\nname = 'one'\nweight = 2\n"
      "[cluster]\njoin = [\"a:1\", \"b:2\"]\n"
      "[limits]\nin_flight_bytes = \"64MiB\"\n");
  EXPECT_EQ(settings.storage_io_threads, 9);
  EXPECT_EQ(settings.node_name, "one");
  EXPECT_EQ(settings.node_weight, 2.0);
  EXPECT_EQ(settings.cluster_join, (List{"a:1", "b:2"}));
  EXPECT_EQ(settings.limits_in_flight_bytes, 64 << 20);
}

TEST(SettingsBuilder, FlagBeatsEnvironmentBeatsFileBeatsDefaultInAnyOrder) {
  const std::vector<std::string> environment = {"LARIAT_NODE__NAME=environment",
                                                "LARIAT_NODE__DC=environment"};
  const std::string_view file = "[node]\nname='file'\ndc='file'\nrack='file'\n";
  for (const bool flag_first : {false, true}) {
    SettingsBuilder builder;
    if (flag_first) {
      ASSERT_TRUE(builder.Set("node.name=flag", "--set"));
    }
    ASSERT_TRUE(builder.LoadEnvironment(environment));
    ASSERT_TRUE(builder.LoadToml(file, "lariat.toml"));
    if (!flag_first) {
      ASSERT_TRUE(builder.Set("node.name", "flag", "--name"));
    }
    const Settings settings = builder.Build().value();
    EXPECT_EQ(settings.node_name, "flag");
    EXPECT_EQ(settings.node_dc, "environment");
    EXPECT_EQ(settings.node_rack, "file");
    EXPECT_EQ(settings.node_vnodes, 16);
  }
}

TEST(SettingsBuilder, KnowsWhereEveryValueCameFrom) {
  SettingsBuilder builder;
  ASSERT_TRUE(builder.LoadToml("\n[node]\n\nrack = 'r'\n", "etc/lariat.toml"));
  ASSERT_TRUE(builder.LoadEnvironment(std::vector<std::string>{"LARIAT_NODE__DC=d"}));
  ASSERT_TRUE(builder.Set("listen.http", "127.0.0.1:1", "--http"));
  EXPECT_EQ(builder.Lookup(*FindSetting("node.rack")).origin, "etc/lariat.toml:4");
  EXPECT_EQ(builder.Lookup(*FindSetting("node.dc")).origin, "environment");
  EXPECT_EQ(builder.Lookup(*FindSetting("listen.http")).origin, "flag --http");
  EXPECT_EQ(builder.Lookup(*FindSetting("node.name")).origin, "default");
}

TEST(SettingsBuilder, TheLaterOfEqualsWins) {
  SettingsBuilder builder;
  ASSERT_TRUE(builder.Set("node.name=a", "--set"));
  ASSERT_TRUE(builder.Set("node.name=b", "--set"));
  EXPECT_EQ(builder.Build().value().node_name, "b");
}

TEST(Toml, UnknownKeyNamesFileLineKeyAndTheNearestKnown) {
  EXPECT_EQ(TomlError("# head\n[storage]\nio_threads = 1\nblok_cache_bytes = 1\n"),
            "lariat.toml:4: storage.blok_cache_bytes: unknown key "
            "(did you mean storage.block_cache_bytes?)");
  EXPECT_EQ(TomlError("[storage]\ngossip_period_ms = 1\n"),
            "lariat.toml:2: storage.gossip_period_ms: unknown key "
            "(did you mean membership.gossip_period_ms?)");
  EXPECT_EQ(TomlError("io_threads = 1\n"),
            "lariat.toml:1: io_threads: unknown key (did you mean storage.io_threads?)");
  EXPECT_EQ(TomlError("[node]\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq = 1\n"),
            "lariat.toml:2: node.qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq: unknown key");
  EXPECT_EQ(TomlError("[node]\n[storagee]\n"),
            "lariat.toml:2: storagee: unknown section (did you mean storage?)");
  EXPECT_EQ(TomlError("[storage.io_threads_extra_long_name_here]\nx = 1\n"),
            "lariat.toml:1: storage.io_threads_extra_long_name_here: unknown key");
}

TEST(Toml, WrongTypesAreErrors) {
  EXPECT_EQ(TomlError("[storage]\nio_threads = \"4\"\n"),
            "lariat.toml:2: storage.io_threads: expected an integer, found a string");
  EXPECT_EQ(TomlError("[storage]\nio_threads = 4.0\n"),
            "lariat.toml:2: storage.io_threads: expected an integer, found a float");
  EXPECT_EQ(TomlError("[node]\nname = 7\n"),
            "lariat.toml:2: node.name: expected a string, found an integer");
  EXPECT_EQ(TomlError("[node]\nweight = true\n"),
            "lariat.toml:2: node.weight: expected a number, found a boolean");
  EXPECT_EQ(TomlError("[cluster]\njoin = \"a:1\"\n"),
            "lariat.toml:2: cluster.join: expected an array of strings, found a string");
  EXPECT_THAT(TomlError("[cluster]\njoin = [\"a:1\", 2]\n"), HasSubstr("found an integer"));
  EXPECT_THAT(TomlError("[cluster.join]\n"), HasSubstr("cluster.join: expected an array"));
  EXPECT_THAT(TomlError("[node]\nname = 2024-01-01\n"), HasSubstr("found a date"));
  EXPECT_EQ(TomlError("storage = 4\n"),
            "lariat.toml:1: storage: is a section, [storage], found an integer");
  EXPECT_THAT(TomlError("[[storage]]\nio_threads = 1\n"), HasSubstr("found an array"));
}

TEST(SettingsBuilder, TrueAndFalseAreOnAndOffWhereAChoiceHasThem) {
  for (const auto& [given, meant] : {std::pair("true", "on"), {"false", "off"}}) {
    SettingsBuilder builder;
    ASSERT_TRUE(builder.LoadToml(std::string("[security]\nauth = ") + given, "lariat.toml"));
    EXPECT_EQ(builder.Build()->security_auth, meant);
    SettingsBuilder flags;
    ASSERT_TRUE(flags.Set(std::string("security.auth=") + given, "--set"));
    EXPECT_EQ(flags.Build()->security_auth, meant);
  }
  EXPECT_THAT(TomlError("[storage]\ndurability = true"), HasSubstr("expected"));
}

TEST(Toml, TellsAllErrorsOfAFileAtOnce) {
  EXPECT_EQ(TomlError("[node]\nnam = 'x'\nvnodes = 'x'\n[storage]\nio_threads = 0\n"),
            "lariat.toml:2: node.nam: unknown key (did you mean node.name?)\n"
            "lariat.toml:3: node.vnodes: expected an integer, found a string\n"
            "lariat.toml:5: storage.io_threads: 0 is outside 1 to 256");
}

TEST(Toml, SyntaxErrorsNameFileAndLine) {
  EXPECT_THAT(TomlError("[node]\nname = \n"), StartsWith("lariat.toml:2: "));
  EXPECT_THAT(TomlError("[node]\nname = 'a'\nname = 'b'\n"), StartsWith("lariat.toml:3: "));
  EXPECT_THAT(TomlError("[node]\nvnodes = 99999999999999999999\n"), StartsWith("lariat.toml:2: "));
  EXPECT_THAT(TomlError(std::string(5000, '[')), StartsWith("lariat.toml:1: "));
}

TEST(Toml, BoundsHoldAtTheirEdges) {
  EXPECT_EQ(TomlError("[node]\nvnodes = 1\n"), "");
  EXPECT_EQ(TomlError("[node]\nvnodes = 4096\n"), "");
  EXPECT_EQ(TomlError("[node]\nvnodes = 4097\n"),
            "lariat.toml:2: node.vnodes: 4097 is outside 1 to 4096");
  EXPECT_THAT(TomlError("[node]\nvnodes = -9223372036854775808\n"), HasSubstr("outside"));
  EXPECT_THAT(TomlError("[node]\nweight = nan\n"), HasSubstr("nan is outside 0.01 to 100"));
  EXPECT_THAT(TomlError("[node]\nweight = inf\n"), HasSubstr("outside"));
  EXPECT_THAT(TomlError("[storage]\nblock_cache_bytes = \"1KiB\"\n"),
              HasSubstr("1024 is outside 1048576 to"));
}

TEST(Environment, SetsKeysAndIgnoresWhatIsNotASetting) {
  SettingsBuilder builder;
  ASSERT_TRUE(builder.LoadEnvironment(
      std::vector<std::string>{"PATH=/bin", "LARIAT_NODE=127.0.0.1:1", "LARIAT_UPDATE_DOCS=1",
                               "MY_LARIAT_X__Y=1", "odd", "LARIAT_STORAGE__BLOCK_CACHE_BYTES=1GiB",
                               "LARIAT_CLUSTER__JOIN=a:1, b:2", "LARIAT_NODE__NAME=a=b"}));
  const Settings settings = builder.Build().value();
  EXPECT_EQ(settings.storage_block_cache_bytes, 1 << 30);
  EXPECT_EQ(settings.cluster_join, (List{"a:1", "b:2"}));
  EXPECT_EQ(settings.node_name, "a=b");
}

TEST(Environment, ErrorsNameTheVariable) {
  EXPECT_EQ(EnvironmentError("LARIAT_STORAGE__IO_THREAD=1"),
            "environment: LARIAT_STORAGE__IO_THREAD: no such setting "
            "(did you mean LARIAT_STORAGE__IO_THREADS?)");
  EXPECT_EQ(EnvironmentError("LARIAT_storage__io_threads=1"),
            "environment: LARIAT_storage__io_threads: no such setting "
            "(did you mean LARIAT_STORAGE__IO_THREADS?)");
  EXPECT_EQ(EnvironmentError("LARIAT_STORAGE__IO_THREADS=many"),
            "environment: LARIAT_STORAGE__IO_THREADS: storage.io_threads: "
            "'many' is not a whole number, 1 to 256");
  EXPECT_THAT(EnvironmentError("LARIAT___=1"), HasSubstr("no such setting"));
}

TEST(Flag, ErrorsNameTheFlagTheKeyAndWhatIsAllowed) {
  EXPECT_EQ(FlagError("node.vnode=1"),
            "--set: node.vnode: unknown key (did you mean node.vnodes?)");
  EXPECT_EQ(FlagError("node.vnodes"), "--set: 'node.vnodes' is not section.key=value");
  EXPECT_EQ(FlagError("storage.compression=gzip"),
            "--set: storage.compression: 'gzip' is not one of none|lz4|zstd");
  EXPECT_EQ(FlagError("storage.compression=none|lz4"),
            "--set: storage.compression: 'none|lz4' is not one of none|lz4|zstd");
  EXPECT_EQ(FlagError("node.vnodes=1x"),
            "--set: node.vnodes: '1x' is not a whole number, 1 to 4096");
  EXPECT_EQ(FlagError("node.vnodes="), "--set: node.vnodes: '' is not a whole number, 1 to 4096");
  EXPECT_EQ(FlagError("node.weight=heavy"),
            "--set: node.weight: 'heavy' is not a number, 0.01 to 100");
  EXPECT_EQ(FlagError("node.dc="), "--set: node.dc: must not be empty");
  EXPECT_EQ(FlagError("node.name="), "");
}

TEST(Flag, TextsAreOneLineOfUtf8) {
  EXPECT_EQ(FlagError("node.name=Z\xc3\xbcrich"), "");
  EXPECT_EQ(FlagError("node.name=a\nb"), "--set: node.name: control characters are not allowed");
  for (const char* bad : {"\xc3", "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
    EXPECT_EQ(FlagError(std::string("node.name=") + bad), "--set: node.name: not UTF-8");
  }
  EXPECT_EQ(FlagError("node.name=" + std::string(4096, 'x')), "");
  EXPECT_THAT(FlagError("node.name=" + std::string(4097, 'x')), HasSubstr("longer than 4096"));
}

TEST(Flag, ListsHaveLimits) {
  std::string full = "cluster.join=a:1";
  for (int i = 1; i < 1024; ++i) full += ",a:1";
  EXPECT_EQ(FlagError(full), "");
  EXPECT_EQ(FlagError(full + ",a:1"), "--set: cluster.join: more than 1024 items");
  EXPECT_EQ(FlagError("cluster.join="), "");
  EXPECT_EQ(FlagError("cluster.join=a:1,,b:2"), "--set: cluster.join: an item is empty");
  EXPECT_THAT(FlagError("cluster.join=a:1,b"), HasSubstr("'b' is not host:port"));
}

TEST(HostPort, IsCheckedForShape) {
  for (const char* good : {"localhost:0", "127.0.0.1:65535", "[::1]:80", "node-1.example:7480"}) {
    EXPECT_EQ(FlagError(std::string("listen.http=") + good), "") << good;
  }
  for (const char* bad : {"localhost", ":80", "localhost:", "localhost:65536", "localhost:-1",
                          "::1:80", "[]:80", "[abc]:80", "a b:80", "a:80 ", "http://a:80"}) {
    EXPECT_THAT(FlagError(std::string("listen.http=") + bad),
                HasSubstr("is not host:port with a port from 0 to 65535"))
        << bad;
  }
}

}  // namespace
}  // namespace lariat::config

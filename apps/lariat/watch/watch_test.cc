// SPDX-License-Identifier: Apache-2.0
// top and doctor, against nodes that answer as they are told.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/json/parse.hpp>

#include "apps/lariat/fake_node_test_util.h"
#include "apps/lariat/session.h"
#include "apps/lariat/watch/cluster_checks.h"

namespace lariat::cli::watch {
namespace {

using cli::testing::FakeNode;
using cli::testing::FakeReply;
using ::testing::HasSubstr;

constexpr const char* kText = R"(# HELP lariat_requests_total Requests.
lariat_requests_total{op="get",outcome="ok"} 10
lariat_requests_total{op="put",outcome="ok"} 5
lariat_requests_total{op="put",outcome="not_done"} 2
lariat_request_seconds_bucket{op="get",le="0.001"} 8
lariat_request_seconds_bucket{op="get",le="0.01"} 9
lariat_request_seconds_bucket{op="get",le="+Inf"} 10
odd{name="a \"b\", c\\d"} 1
no number
broken{a="b" 1
)";

TEST(Exposition, IsReadWithItsLabelsAndWithoutWhatIsNone) {
  const Exposition read = Exposition::Parse(kText);
  EXPECT_EQ(read.Sum("lariat_requests_total"), 17);
  EXPECT_EQ(read.Sum("lariat_requests_total", "op", "put"), 7);
  EXPECT_EQ(read.Sum("lariat_requests_total", "outcome", "not_done"), 2);
  EXPECT_EQ(read.Of("odd").at(0).labels.at("name"), R"(a "b", c\d)");
  EXPECT_FALSE(read.Has("no"));
  EXPECT_FALSE(read.Has("broken"));
}

TEST(Exposition, RatesAndQuantilesAreThoseOfTheTimeBetween) {
  const Exposition before = Exposition::Parse(kText);
  const Exposition after = Exposition::Parse(
      "lariat_requests_total{op=\"get\",outcome=\"ok\"} 30\n"
      "lariat_request_seconds_bucket{op=\"get\",le=\"0.001\"} 8\n"
      "lariat_request_seconds_bucket{op=\"get\",le=\"0.01\"} 109\n"
      "lariat_request_seconds_bucket{op=\"get\",le=\"+Inf\"} 110\n");
  EXPECT_DOUBLE_EQ(RateOf(before, after, 2, "lariat_requests_total", "op", "get"), 10);
  EXPECT_DOUBLE_EQ(RateOf(before, after, 2, "lariat_requests_total", "op", "put"), 0)
      << "restarted";
  EXPECT_DOUBLE_EQ(QuantileOf(before, after, 0.5, "lariat_request_seconds"), 0.01);
  EXPECT_DOUBLE_EQ(QuantileOf(after, after, 0.5, "lariat_request_seconds"), 0);
}

NodeLook Look(const std::string& metrics) {
  NodeLook look;
  look.name = "node2";
  look.status = boost::json::parse(R"({"alive":true,"twin":"","clock_offset_ms":0})");
  look.metrics = Exposition::Parse(metrics);
  return look;
}

TEST(Doctor, SaysEachThingThatIsWrongWithANode) {
  EXPECT_EQ(CheckNodes({Look("")}).at(0).grade, Grade::kFine);
  const std::pair<const char*, const char*> cases[] = {
      {"lariat_storage_health 1", "nearly full"},
      {"lariat_storage_health 2", "has failed"},
      {"lariat_store_damaged 1", "unreadable"},
      {"lariat_disk_free_bytes 10\nlariat_disk_reserve_bytes 100", "are free"},
      {"lariat_syncs_total 1000\nlariat_sync_seconds_total 20", "a sync took 20.0 ms"},
      {"lariat_doubt_ranges 3", "may lack records"},
      {"lariat_repair_ranges_dirty 2", "2 of its ranges"},
      {"lariat_hints_pending_bytes 2048", "2.0 KiB of hints"},
      {"lariat_siblings_max 21", "21 values"},
      {"lariat_log_dropped_total 1", "dropped log lines"},
      {"lariat_clock_off 1", "its clock is wrong"},
  };
  for (const auto& [metrics, says] : cases) {
    const Findings found = CheckNodes({Look(metrics)});
    ASSERT_EQ(found.size(), 1U) << metrics;
    EXPECT_NE(found[0].grade, Grade::kFine);
    EXPECT_THAT(found[0].says, HasSubstr(says));
    EXPECT_FALSE(found[0].mend.empty());
  }
  NodeLook dead = Look("");
  dead.status = boost::json::parse(R"({"alive":false})");
  dead.metrics.reset();
  EXPECT_THAT(CheckNodes({dead}).at(0).mend, HasSubstr("--replace node2"));
  NodeLook waiting = Look("");
  waiting.ready = boost::json::parse(R"({"ready":false,"reasons":["joining"]})");
  EXPECT_THAT(CheckNodes({waiting}).at(0).says, HasSubstr("joining"));
}

TEST(Doctor, LooksAtThisMachineAlone) {
  const Findings found = CheckHost("/var/tmp");
  EXPECT_EQ(found.size(), 6U);
  for (const Finding& finding : found) {
    EXPECT_EQ(finding.grade == Grade::kFine, finding.mend.empty()) << finding.says;
  }
  EXPECT_THAT(CheckHost("/no/such/place").at(5).says, HasSubstr("/no/such/place"));
}

int Call(std::vector<const char*> words, std::string* out) {
  words.insert(words.begin(), "lariat");
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const int exit = Main(static_cast<int>(words.size()), words.data());
  *out = ::testing::internal::GetCapturedStdout() + ::testing::internal::GetCapturedStderr();
  return exit;
}

// A cluster of itself and a node that is not there.
struct TwoNodes {
  std::atomic<int> gets{0};
  FakeNode node{[this](const std::string& start, const std::string&) -> FakeReply {
    if (start.starts_with("GET /metrics")) {
      gets += 100;
      return {200,
              fmt::format("lariat_requests_total{{op=\"get\",outcome=\"ok\"}} {}\n", gets.load())};
    }
    if (start.starts_with("GET /readyz")) return {};
    return {200, fmt::format(R"({{"nodes":[{{"name":"node1","alive":true,"http":"{}"}},)"
                             R"({{"name":"node2","alive":false,"http":"127.0.0.1:1"}}]}})",
                             node.address())};
  }};
};

TEST(Top, ShowsRatesOfEachNodeAndWhoIsNotReached) {
  TwoNodes two;
  std::string out;
  const std::string address = two.node.address();
  EXPECT_EQ(Call({"top", "--node", address.c_str(), "--interval", "0.1", "--times", "2"}, &out), 0);
  EXPECT_THAT(out, HasSubstr("GET/s"));
  EXPECT_THAT(out, HasSubstr("node2  ")) << out;
  EXPECT_EQ(
      Call({"top", "--json", "--node", address.c_str(), "--interval", "0.1", "--times", "1"}, &out),
      0);
  const auto told = boost::json::parse(out);
  EXPECT_GT(told.at("nodes").at(0).at("gets_per_s").as_double(), 0);
  EXPECT_TRUE(told.at("nodes").at(1).as_object().contains("problem"));
}

TEST(Hot, ShowsWhatANodeTellsOfAll) {
  FakeNode node([](const std::string& start, const std::string&) -> FakeReply {
    if (start.find("by=size") != std::string::npos) {
      return {200, R"({"window_s":10,"keys":[{"bucket":"b","key":"k","bytes":2048}]})"};
    }
    return {200,
            R"({"window_s":10,"keys":[{"bucket":"b","key":"k","per_s":12.5}],"silent":["n2"]})"};
  });
  std::string out;
  const std::string address = node.address();
  EXPECT_EQ(Call({"hot", "--node", address.c_str(), "--by", "misses"}, &out), 0);
  EXPECT_THAT(out, HasSubstr("b       12.5        k"));
  EXPECT_THAT(out, HasSubstr("without what clients asked of n2"));
  EXPECT_EQ(Call({"big", "--node", address.c_str(), "--limit", "3"}, &out), 0);
  EXPECT_THAT(out, HasSubstr("2.0 KiB"));
  EXPECT_THAT(node.Asked().back(), HasSubstr("/v1/hot?by=size&limit=3"));
  EXPECT_EQ(Call({"hot", "--by", "heat", "--node", address.c_str()}, &out), 2);
}

TEST(Doctor, EndsWithSixIfSomethingIsBad) {
  TwoNodes two;
  std::string out;
  const std::string address = two.node.address();
  EXPECT_EQ(Call({"doctor", "--dir", "/var/tmp", "--node", address.c_str()}, &out), 6);
  EXPECT_THAT(out, HasSubstr("BAD     node2"));
  EXPECT_EQ(Call({"doctor", "--dir", "/var/tmp", "--host-only", "--json"}, &out), 0) << out;
}

}  // namespace
}  // namespace lariat::cli::watch

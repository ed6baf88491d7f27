// SPDX-License-Identifier: Apache-2.0
// The requests of both dialects, and what a ledger finds.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "apps/lariat/load/http_driver.h"
#include "apps/lariat/load/ledger.h"
#include "apps/lariat/load/values.h"

namespace lariat::cli::load {
namespace {

std::string Request(const HttpOptions& options, const Op& op, std::string_view context = {}) {
  Endpoint node;
  node.host = "n:1";
  std::string out;
  HttpDrivers(options)(node)->Append(op, "value", context, &out);
  return out;
}

TEST(HttpDriver, SpeaksTheRawDialect) {
  HttpOptions options{.bucket = "b", .get_query = "?r=1", .put_query = "?w=2"};
  EXPECT_EQ(Request(options, {true, 7}),
            "GET /buckets/b/kv/k000000000007?r=1 HTTP/1.1\r\nHost: n:1\r\n\r\n");
  EXPECT_EQ(Request(options, {false, 7}, "seen"),
            "PUT /buckets/b/kv/k000000000007?w=2 HTTP/1.1\r\nHost: n:1\r\nX-Context: seen\r\n"
            "Content-Length: 5\r\n\r\nvalue");
}

TEST(HttpDriver, SpeaksTheJsonDialect) {
  EXPECT_EQ(Request({.bucket = "b", .json = true}, {false, 7}),
            "PUT /v1/buckets/b/kv/k000000000007 HTTP/1.1\r\nHost: n:1\r\n"
            "Content-Length: 20\r\n\r\n{\"value\":\"dmFsdWU=\"}");
}

TEST(HttpDriver, SpreadsKeysOverBuckets) {
  HttpOptions options{.bucket = "b", .buckets = 10};
  EXPECT_TRUE(Request(options, {true, 27}).starts_with("GET /buckets/b-7/kv/k000000000027 "));
}

TEST(Values, TellKeyAndNumber) {
  Values values(100);
  const std::string value(values.Make(3, 17));
  EXPECT_EQ(value.size(), 100U);
  EXPECT_EQ(values.NumberOf(3, value), 17U);
  EXPECT_EQ(Values(100).NumberOf(3, value), 17U) << "by another run, too";
  EXPECT_NE(values.Make(3, 18).substr(Values::kMarkBytes), value.substr(Values::kMarkBytes));
}

TEST(Values, WhatNobodyPutHasNoNumber) {
  Values values(100);
  const std::string value(values.Make(3, 17));
  std::string damaged = value;
  damaged.back() ^= 1;
  std::string no_number = value;
  no_number[Values::kMarkBytes - 1] = 'g';
  std::string other_number = value;
  other_number[Values::kMarkBytes - 1] = '2';
  for (const std::string& wrong : {damaged, no_number, other_number, value.substr(1), value + "v",
                                   std::string(values.Make(4, 17)), std::string()}) {
    EXPECT_EQ(values.NumberOf(3, wrong), std::nullopt) << wrong;
  }
}

TEST(Values, MayBeTooShortForThat) {
  EXPECT_EQ(Values(10).Make(3, 17).size(), 10U);
  EXPECT_EQ(Values(0).Make(3, 17), "");
}

class LedgerTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kKey = 3;
  Ledger ledger_{10};
};

TEST_F(LedgerTest, TheLastAcknowledgedPutOrALaterOneIsRight) {
  EXPECT_EQ(ledger_.JudgeAbsent(kKey), Ledger::Verdict::kRight) << "nothing was acknowledged";
  const uint64_t first = ledger_.Next(kKey);
  EXPECT_EQ(ledger_.JudgeAbsent(kKey), Ledger::Verdict::kRight) << "it may be under way";
  EXPECT_EQ(ledger_.Judge(kKey, first), Ledger::Verdict::kRight);
  ledger_.Acknowledge(kKey, first);
  const uint64_t second = ledger_.Next(kKey);
  EXPECT_EQ(ledger_.Judge(kKey, first), Ledger::Verdict::kRight) << "the second is under way";
  EXPECT_EQ(ledger_.Judge(kKey, second), Ledger::Verdict::kRight);
}

TEST_F(LedgerTest, AnOlderPutOrNoneIsLost) {
  const uint64_t first = ledger_.Next(kKey);
  ledger_.Acknowledge(kKey, ledger_.Next(kKey));
  EXPECT_EQ(ledger_.Judge(kKey, first), Ledger::Verdict::kLost);
  EXPECT_EQ(ledger_.JudgeAbsent(kKey), Ledger::Verdict::kLost);
}

TEST_F(LedgerTest, WhatNobodyPutIsWrong) {
  const uint64_t last = ledger_.Next(kKey);
  EXPECT_EQ(ledger_.Judge(kKey, last + 1), Ledger::Verdict::kWrong);
  EXPECT_EQ(ledger_.Judge(kKey, 0), Ledger::Verdict::kWrong);
  EXPECT_EQ(ledger_.Judge(kKey, std::nullopt), Ledger::Verdict::kWrong);
}

TEST_F(LedgerTest, IsKeptInAFile) {
  const std::string path = ::testing::TempDir() + "/ledger-" + std::to_string(getpid());
  Ledger kept(10);
  ASSERT_TRUE(kept.Load(path)) << "a file that is not there knows nothing";
  ledger_.Next(kKey);
  const uint64_t second = ledger_.Next(kKey);
  ledger_.Acknowledge(kKey, second);
  ASSERT_TRUE(ledger_.Save(path));
  ASSERT_TRUE(kept.Load(path));
  EXPECT_EQ(kept.Judge(kKey, second), Ledger::Verdict::kRight);
  EXPECT_EQ(kept.JudgeAbsent(kKey), Ledger::Verdict::kLost);
  EXPECT_FALSE(Ledger(9).Load(path)) << "of other keys";
  EXPECT_FALSE(Ledger(11).Load(path));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace lariat::cli::load

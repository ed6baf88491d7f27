// SPDX-License-Identifier: Apache-2.0
// The requests of both dialects, and what a ledger finds.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "apps/lariat/load/http_driver.h"
#include "apps/lariat/load/keys.h"
#include "apps/lariat/load/ledger.h"

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

class LedgerTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kKey = 3;
  std::string Put() {
    std::string value = pattern_;
    number_ = ledger_.Mark(kKey, &value);
    return value;
  }
  Ledger::Verdict Judge(std::string_view found) const {
    return ledger_.Judge(kKey, found, pattern_);
  }

  const std::string pattern_ = std::string(100, 'p');
  Ledger ledger_{10};
  uint64_t number_ = 0;
};

TEST_F(LedgerTest, TheLastAcknowledgedPutOrALaterOneIsRight) {
  EXPECT_EQ(ledger_.JudgeAbsent(kKey), Ledger::Verdict::kRight) << "nothing was acknowledged";
  const std::string first = Put();
  EXPECT_EQ(ledger_.JudgeAbsent(kKey), Ledger::Verdict::kRight) << "it may be under way";
  EXPECT_EQ(Judge(first), Ledger::Verdict::kRight);
  ledger_.Acknowledge(kKey, number_);
  const std::string second = Put();
  EXPECT_EQ(Judge(first), Ledger::Verdict::kRight) << "the second was not acknowledged";
  EXPECT_EQ(Judge(second), Ledger::Verdict::kRight);
}

TEST_F(LedgerTest, AnOlderPutOrNoneIsLost) {
  const std::string first = Put();
  Put();
  ledger_.Acknowledge(kKey, number_);
  EXPECT_EQ(Judge(first), Ledger::Verdict::kLost);
  EXPECT_EQ(ledger_.JudgeAbsent(kKey), Ledger::Verdict::kLost);
}

TEST_F(LedgerTest, WhatNobodyPutIsWrong) {
  const std::string value = Put();
  ledger_.Acknowledge(kKey, number_);
  std::string never = value;
  never[Ledger::kMarkBytes - 1] = '2';  // a number that no put has yet
  std::string damaged = value;
  damaged.back() = 'x';
  std::string other_key = value;
  other_key[kKeyTextBytes - 1] = '4';
  std::string no_number = value;
  no_number[Ledger::kMarkBytes - 1] = 'g';
  const std::string shorter = value.substr(1);
  const std::string none;
  for (const std::string& found : {never, damaged, other_key, no_number, shorter, none}) {
    EXPECT_EQ(Judge(found), Ledger::Verdict::kWrong) << found;
  }
}

TEST_F(LedgerTest, IsKeptInAFile) {
  const std::string path = ::testing::TempDir() + "/ledger-" + std::to_string(getpid());
  Ledger kept(10);
  ASSERT_TRUE(kept.Load(path)) << "a file that is not there knows nothing";
  Put();
  const std::string second = Put();
  ledger_.Acknowledge(kKey, number_);
  ASSERT_TRUE(ledger_.Save(path));
  ASSERT_TRUE(kept.Load(path));
  EXPECT_EQ(kept.Judge(kKey, second, pattern_), Ledger::Verdict::kRight);
  EXPECT_EQ(kept.JudgeAbsent(kKey), Ledger::Verdict::kLost);
  EXPECT_FALSE(Ledger(9).Load(path)) << "of other keys";
  EXPECT_FALSE(Ledger(11).Load(path));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace lariat::cli::load

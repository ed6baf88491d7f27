// SPDX-License-Identifier: Apache-2.0
#include "frontend/resp/internal/parser.h"

#include <gtest/gtest.h>

#include "base/prng.h"
#include "frontend/resp/test_fakes.h"

namespace lariat::frontend::resp {
namespace {

using Event = RequestParser::Event;
using testing::MakeCommand;
using Words = std::vector<std::string>;

// All commands of `bytes`, given `piece` bytes at a time. An error is the last word of the last.
std::vector<Words> ParseAll(std::string_view bytes, size_t piece, ParserLimits limits = {}) {
  RequestParser parser(limits);
  std::vector<Words> commands;
  size_t used = 0;
  for (size_t have = 0; have < bytes.size();) {
    have = std::min(bytes.size(), have + piece);
    for (;;) {
      // A copy of exactly these bytes, so that a look behind them is found by a sanitizer.
      const std::string seen(bytes.substr(used, have - used));
      const RequestParser::Step step = parser.Feed(seen);
      used += step.used;
      if (step.event == Event::kError) {
        commands.push_back({parser.error()});
        return commands;
      }
      if (step.event == Event::kNeedMore) break;
      commands.emplace_back(parser.args().begin(), parser.args().end());
    }
  }
  return commands;
}

std::string ErrorOf(std::string_view bytes, ParserLimits limits = {}) {
  const auto commands = ParseAll(bytes, bytes.size(), limits);
  return commands.empty() ? "" : commands.back().back();
}

TEST(RespParser, ReadsArraysAndLinesHoweverTheyAreCut) {
  const std::string binary("\0\r\n$*\xff", 7);
  std::string bytes = MakeCommand({"SET", "key", binary});
  bytes += "\r\n  PING \t 'a b' \"\\x41\\n\\\"\" \r\n*0\r\n*-1\r\n\n";
  bytes += MakeCommand({"GET", ""}) + "echo 'it\\'s'\n";
  const std::vector<Words> expected = {
      {"SET", "key", binary}, {"PING", "a b", "A\n\""}, {"GET", ""}, {"echo", "it's"}};
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    EXPECT_EQ(ParseAll(bytes, piece), expected) << piece;
  }
}

TEST(RespParser, ReadsACommandAgainThatWasNotTaken) {
  const std::string bytes = MakeCommand({"GET", "a"}) + MakeCommand({"GET", "b"});
  RequestParser parser({});
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(parser.Feed(bytes).event, Event::kCommand);
    EXPECT_EQ(parser.args()[1], "a");
  }
}

// Guards M41.
TEST(RespParser, RefusesWhatIsNoCommand) {
  const std::pair<std::string, std::string> kBad[] = {
      {"*x\r\n", "invalid multibulk length"},
      {"*+1\r\n", "invalid multibulk length"},
      {"*01\r\n", "invalid multibulk length"},
      {"*99999999999999999999\r\n", "invalid multibulk length"},
      {"*2147483648\r\n", "invalid multibulk length"},
      {"*65537\r\n", "invalid multibulk length (at most 65536"},
      {"*1\r\n:1\r\n", "expected '$', got ':'"},
      {"*1\r\n*1\r\n", "expected '$', got '*'"},
      {"*1\r\n\r\n", "expected '$', got '?'"},
      {"*1\r\n$-1\r\n", "invalid bulk length"},
      {"*1\r\n$-2147483648\r\n", "invalid bulk length"},
      {"*1\r\n$9223372036854775807\r\n", "invalid bulk length (at most"},
      {"*1\r\n$ 1\r\n", "invalid bulk length"},
      {"*1\rx", "expected the line's end after a length"},
      {"*1\r\n$1\r\nab\r\n", "expected the line's end after an argument"},
      {"*1\r\n$1\r\na\n\r", "expected the line's end after an argument"},
      {"\"a\r\n", "unbalanced quotes in request"},
      {"'a'b\r\n", "unbalanced quotes in request"},
      {std::string(70000, 'a'), "too big inline request"},
      {"*" + std::string(70000, '1'), "too big mbulk count string"},
      {"*1\r\n$" + std::string(70000, '1'), "too big bulk count string"}};
  for (const auto& [bytes, error] : kBad) {
    EXPECT_TRUE(ErrorOf(bytes).starts_with("Protocol error: " + error))
        << bytes.substr(0, 40) << ": " << ErrorOf(bytes);
  }
}

TEST(RespParser, LimitsTheWholeAndWhoHasNotLoggedIn) {
  ParserLimits small;
  small.request_bytes_max = 100;
  std::string many = "*20\r\n";
  for (int i = 0; i < 19; ++i) many += "$5\r\nabcde\r\n";
  EXPECT_NE(ErrorOf(many, small).find("resp.request_bytes_max"), std::string::npos);
  const ParserLimits before = LimitsBeforeLogin();
  EXPECT_EQ(ErrorOf("*11\r\n", before), "Protocol error: unauthenticated multibulk length");
  EXPECT_EQ(ErrorOf("*2\r\n$16385\r\n", before), "Protocol error: unauthenticated bulk length");
  EXPECT_EQ(ErrorOf(std::string(17000, 'a'), before), "Protocol error: too big inline request");
  EXPECT_EQ(ParseAll("*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n", 3, before).size(), 1u);
}

TEST(RespParser, NumbersAreDecimalsOf64Bits) {
  EXPECT_EQ(ParseInt("0"), 0);
  EXPECT_EQ(ParseInt("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(ParseInt("9223372036854775807"), INT64_MAX);
  for (const char* bad :
       {"", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1.0", "0x1", "9223372036854775808"}) {
    EXPECT_FALSE(ParseInt(bad)) << bad;
  }
}

// Guards M41: 20,000 damaged commands; the parser ends, and says the same however they are cut.
TEST(RespParser, DamagedCommandsAreReadTheSameHoweverTheyAreCut) {
  base::Prng prng(7);
  constexpr std::string_view kLikely("\r\n*$-0129'\"\\ \0", 15);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = MakeCommand({"SET", "key", "value"}) + "PING 'x'\r\n";
    bytes += MakeCommand({"GET", "key"});
    for (uint64_t edits = 1 + prng.Below(4); edits > 0; --edits) {
      const size_t at = prng.Below(bytes.size());
      if (prng.Chance(0.5)) {
        bytes[at] = kLikely[prng.Below(kLikely.size())];
      } else {
        bytes.erase(at, 1);
      }
    }
    EXPECT_EQ(ParseAll(bytes, bytes.size()), ParseAll(bytes, 1 + prng.Below(9)));
  }
}

}  // namespace
}  // namespace lariat::frontend::resp

// SPDX-License-Identifier: Apache-2.0
// Every command with damaged arguments and damaged framing: the frontend answers well-formed
// replies, waits for more, or closes. The fuzz harness does the same for longer.
#include <gtest/gtest.h>

#include "base/prng.h"
#include "frontend/resp/internal/command.h"
#include "frontend/resp/test_fakes.h"

namespace lariat::frontend::resp {
namespace {

using testing::CountReplies;
using testing::FakeClient;
using testing::FakeNode;
using testing::MakeCommand;

constexpr std::string_view kWords[] = {"k",
                                       "a",
                                       "",
                                       "0",
                                       "1",
                                       "-1",
                                       "9223372036854775807",
                                       "-9223372036854775808",
                                       "1e308",
                                       "nan",
                                       "EX",
                                       "PX",
                                       "NX",
                                       "XX",
                                       "GET",
                                       "KEEPTTL",
                                       "DB",
                                       "REPLACE",
                                       "PERSIST",
                                       "ID",
                                       "redis-0",
                                       "CONTEXT",
                                       "c1",
                                       "IFMATCH",
                                       "*",
                                       "TTL",
                                       "W",
                                       "R",
                                       "IDEMPOTENCY",
                                       "AUTH",
                                       "SETNAME",
                                       "default",
                                       "3",
                                       "all",
                                       "[^a]?*",
                                       "SET",
                                       "DEL",
                                       "\r\n"};

// A command of the table with as many words as it wants, or nearly.
std::string SomeCommand(base::Prng& prng) {
  const auto table = CommandTable();
  const Command& command = table[prng.Below(table.size())];
  std::vector<std::string_view> args;
  if (!command.container().empty()) args.push_back(command.container());
  args.push_back(command.short_name());
  const auto least = static_cast<size_t>(std::abs(command.arity));
  while (args.size() < least + prng.Below(4)) {
    args.push_back(kWords[prng.Below(std::size(kWords))]);
  }
  return MakeCommand(args);
}

void Damage(std::string* text, base::Prng& prng) {
  constexpr std::string_view kLikely("\r\n*$-01'\"\\ \0\xff", 13);
  for (uint64_t edits = prng.Below(3); edits > 0 && !text->empty(); --edits) {
    const size_t at = prng.Below(text->size());
    if (prng.Chance(0.5)) {
      (*text)[at] = kLikely[prng.Below(kLikely.size())];
    } else {
      text->erase(at, 1 + prng.Below(4));
    }
  }
}

// Guards M41: 20,000 pipelines.
TEST(RespMutations, AlwaysWellFormedRepliesOrTheEnd) {
  base::Prng prng(20240601);
  FakeNode node;
  node.settings.resp_slowlog_us = 0;
  size_t replies = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string bytes;
    for (uint64_t n = 1 + prng.Below(5); n > 0; --n) bytes += SomeCommand(prng);
    Damage(&bytes, prng);
    node.kv.defer = prng.Chance(0.5);
    FakeClient client(node.Frontend());
    while (!bytes.empty()) {
      const size_t piece = prng.Chance(0.5) ? bytes.size() : 1 + prng.Below(bytes.size());
      client.Send(bytes.substr(0, piece));
      bytes.erase(0, piece);
    }
    while (!node.kv.deferred.empty()) {
      node.kv.Complete(prng.Below(node.kv.deferred.size()));
      node.world.RunTasks();
      client.Deliver();
    }
    const auto count = CountReplies(client.stream.out);
    ASSERT_TRUE(count.has_value()) << client.stream.out;
    replies += *count;
  }
  EXPECT_GT(replies, 20000u);
}

}  // namespace
}  // namespace lariat::frontend::resp

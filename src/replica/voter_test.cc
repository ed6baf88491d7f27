// SPDX-License-Identifier: Apache-2.0
// Records of serial buckets as acceptors.
#include <gtest/gtest.h>

#include "causal/serial/serial.h"
#include "replica/replica_test_util.h"

namespace lariat::replica {
namespace {

using consensus::Ballot;

constexpr Ballot kLow{1, 2, 3}, kHigh{5, 2, 3};

std::string State(const Ballot& ballot, const std::string& value) {
  causal::SerialState state;
  state.version = 1;
  state.value = {};
  state.value.bytes = value;
  return causal::SerialObject(ballot, state.Body());
}

class Voting : public testing::Test, protected World {
 protected:
  std::shared_ptr<replica::Read> Promise(const Ballot& ballot) {
    auto answer = std::make_shared<replica::Read>();
    ReadOptions options;
    options.promise = ballot;
    replica().Read(Ref("k"), std::move(options), [answer](base::Result<ReadResult> result) {
      answer->value = std::move(result);
      ++answer->times;
    });
    return answer;
  }
  // Nothing: it was not told yet, or refused as an error.
  std::optional<RegisterAnswer> Accept(const std::string& object, const Ballot& next = {}) {
    WriteOptions options;
    options.next = next;
    options.answer = std::make_shared<RegisterAnswer>();
    auto told = options.answer;
    bool ok = false;
    replica().Write(Ref("k"), object, std::move(options),
                    [&ok](const base::Status& status) { ok = status.has_value(); });
    loop.RunAll();
    return ok ? std::optional(*told) : std::nullopt;
  }
  Ballot Promised(const Ballot& ballot) {
    const auto answer = Promise(ballot);
    loop.RunAll();
    return answer->ok() ? (*answer->value)->promised : Ballot{};
  }
};

// Guards M32.
TEST_F(Voting, APromiseIsDurableBeforeItIsToldAndSurvives) {
  const auto answer = Promise(kHigh);
  EXPECT_EQ(answer->times, 0);
  loop.RunAll();
  ASSERT_TRUE(answer->ok());
  EXPECT_EQ((*answer->value)->promised, kHigh);
  Crash();
  EXPECT_EQ(Promised(kLow), kHigh);
  const auto refused = Accept(State(kLow, "a"));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->standing, causal::Standing::kNeverHeld);
  EXPECT_EQ(refused->promised, kHigh);
}

TEST_F(Voting, APromiseAloneIsNoRecordForAnybody) {
  EXPECT_EQ(Promised(kLow), kLow);
  const auto read = Read("k");
  loop.RunAll();
  ASSERT_TRUE(read->ok());
  EXPECT_FALSE((*read->value)->found);
  Settle();
  for (const LeafPart& leaf : replica().LeafSums(1, 0, 0)) EXPECT_TRUE(leaf.sum.Empty());
}

// Guards M32.
TEST_F(Voting, WhatWasAcceptedIsToldWithItsBallotAndThePromiseBesideIt) {
  const auto accepted = Accept(State(kLow, "a"), kHigh);
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->standing, causal::Standing::kHeld);
  EXPECT_EQ(accepted->promised, kHigh);
  Crash();
  const auto answer = Promise(kHigh);
  loop.RunAll();
  ASSERT_TRUE(answer->ok());
  EXPECT_EQ((*answer->value)->object, State(kLow, "a"));
}

TEST_F(Voting, RepairIsALateAccept) {
  EXPECT_EQ(Promised(kHigh), kHigh);
  const auto low = Write("k", State(kLow, "a"));
  loop.RunAll();
  EXPECT_EQ(low->code(), base::Code::kConflict);
  const auto high = Write("k", State(kHigh, "b"));
  const auto old = Write("k", State(kLow, "a"));
  loop.RunAll();
  EXPECT_TRUE(high->ok());
  EXPECT_TRUE(old->ok());  // it was passed long ago
  const auto read = Read("k");
  loop.RunAll();
  EXPECT_EQ((*read->value)->object, State(kHigh, "b"));
}

// Guards M33.
TEST_F(Voting, PlainStatesAndEventsDoNotMeetSuchAKey) {
  ASSERT_TRUE(Accept(State(kLow, "a")));
  const auto plain = Write("k", PeerObject("x"));
  const auto event = Update({.key = "k", .value = "x"});
  loop.RunAll();
  EXPECT_FALSE(plain->ok());
  EXPECT_FALSE(event->ok());
  ASSERT_TRUE(Write("plain", PeerObject("x")));
  loop.RunAll();
  const auto read = Read("k");
  loop.RunAll();
  EXPECT_EQ((*read->value)->object, State(kLow, "a"));
}

}  // namespace
}  // namespace lariat::replica

// SPDX-License-Identifier: Apache-2.0
// Reads with fallbacks, and what a read that is not strict does after its answer.
#include <gtest/gtest.h>

#include <set>

#include "base/prng.h"
#include "coordinator/get_core.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using causal::Object;
using Kind = GetCore::ActionKind;
using Sets = std::vector<ListSet>;

const base::Error kDown{Code::kUnavailable, "down"};

// "data0 digest3:1 write2 done": data of 0, a digest of fallback 3 in the place of 1.
std::string Text(const GetCore::Actions& actions) {
  std::string text;
  for (const auto& action : actions) {
    if (!text.empty()) text += ' ';
    const std::string who =
        std::to_string(action.replica) +
        (action.stands_for == GetCore::kNoReplica ? "" : ":" + std::to_string(action.stands_for));
    switch (action.kind) {
      case Kind::kReadData:
        text += "data" + who;
        break;
      case Kind::kReadDigest:
        text += "digest" + who;
        break;
      case Kind::kWriteBack:
        text += "write" + who;
        break;
      case Kind::kDone:
        text += "done";
        break;
      case Kind::kFail:
        text += "fail";
        break;
    }
  }
  return text;
}

wire::ReadReply Data(const std::string& object) {
  wire::ReadReply reply;
  reply.found = !object.empty();
  if (reply.found) reply.digest = Object::Digest(object);
  reply.object = object;
  return reply;
}
wire::ReadReply Digest(const std::string& object) {
  wire::ReadReply reply = Data(object);
  reply.object.clear();
  return reply;
}

std::string ObjectOf(const std::string& value, uint64_t node = 1, const std::string& before = "") {
  Object object(causal::Kind::kSiblings);
  if (!before.empty()) object = Object::Decode(before).value();
  const causal::DotSet seen = object.dvv()->history();
  object.dvv()->Update(seen, {.bytes = value}, {node, 1, 1});
  return object.Encode();
}

std::set<std::string> Values(const GetCore& core) {
  std::set<std::string> values;
  for (const auto& view : core.object().LiveValues({})) values.insert(view.value->bytes);
  return values;
}

const GetCore::Options kSloppy2{.lists = {{2}}, .n = 3, .sloppy = true, .fallbacks = 2};

TEST(GetCoreSloppy, LiveReplicasAreAskedFirst) {
  const std::string v = ObjectOf("v");
  GetCore core(kSloppy2, {true, false, true, true, true});
  EXPECT_EQ(Text(core.Start()), "data0 digest2");
  core.OnReadReply(0, Data(v));
  EXPECT_EQ(Text(core.OnReadReply(2, Digest(v))), "done");
  EXPECT_EQ(core.FallbacksAnswered(), 0U);
}

TEST(GetCoreSloppy, SparesSayWhatTheyKeepAndAreNotWrittenTo) {
  const std::string v1 = ObjectOf("v1");
  const std::string v2 = ObjectOf("v2", 2, v1);
  GetCore core(kSloppy2, {true, false, false, true, true});
  EXPECT_EQ(Text(core.Start()), "data0 digest3:1");
  core.OnReadReply(0, Data(v1));
  EXPECT_EQ(Text(core.OnReadReply(3, Digest(v2))), "data3:1");
  EXPECT_EQ(Text(core.OnReadReply(3, Data(v2))), "write0") << "a replica gets what only a hint had";
  EXPECT_EQ(Text(core.OnWriteBackReply(0, true)), "done");
  EXPECT_EQ(Values(core), std::set<std::string>{"v2"});
  EXPECT_EQ(core.Answered(), 2U);
  EXPECT_EQ(core.FallbacksAnswered(), 1U);

  GetCore nothing(kSloppy2, {true, false, false, true, true});
  nothing.Start();
  nothing.OnReadReply(3, Digest(""));
  EXPECT_EQ(Text(nothing.OnReadReply(0, Data(v1))), "done") << "no hint is made by a read";
}

TEST(GetCoreSloppy, AWriteBackThatFailsDoesNotFailTheRead) {
  const std::string v = ObjectOf("v");
  GetCore core(kSloppy2, {true, false, false, true, true});
  core.Start();
  core.OnReadReply(0, Data(""));
  core.OnReadReply(3, Digest(v));
  EXPECT_EQ(Text(core.OnReadReply(3, Data(v))), "write0");
  EXPECT_EQ(Text(core.OnWriteBackReply(0, false)), "done");
  EXPECT_EQ(Values(core), std::set<std::string>{"v"});
}

TEST(GetCoreSloppy, WhoFailsUnderWayIsStoodInForAndSoIsItsSpare) {
  const std::string v = ObjectOf("v");
  GetCore core(kSloppy2, {true, true, false, true, true});
  EXPECT_EQ(Text(core.Start()), "data0 digest1");
  EXPECT_EQ(Text(core.OnFailure(1, kDown)), "digest3:1");
  EXPECT_EQ(Text(core.OnFailure(3, kDown)), "digest4:1");
  core.OnReadReply(4, Digest(v));
  EXPECT_EQ(Text(core.OnReadReply(0, Data(v))), "done");
  GetCore lost(kSloppy2, {true, true, false, true, true});
  lost.Start();
  for (const size_t i : {1, 3}) lost.OnFailure(i, kDown);
  EXPECT_EQ(Text(lost.OnFailure(4, kDown)), "fail");
  EXPECT_EQ(lost.error().code, Code::kUnavailable);
}

TEST(GetCoreSloppy, AllReplicasMayBeDead) {
  const std::string a = ObjectOf("a", 1);
  const std::string b = ObjectOf("b", 2);
  GetCore core(kSloppy2, {false, false, false, true, true});
  EXPECT_EQ(Text(core.Start()), "data3:0 digest4:1");
  core.OnReadReply(3, Data(a));
  EXPECT_EQ(Text(core.OnReadReply(4, Digest(b))), "data4:1");
  EXPECT_EQ(Text(core.OnReadReply(4, Data(b))), "done");
  EXPECT_EQ(Values(core), (std::set<std::string>{"a", "b"}));
}

TEST(GetCoreMustHold, M16_PrCountsPrimariesOnly) {
  GetCore::Options options = kSloppy2;
  options.lists[0].pr = 2;
  GetCore few(options, {true, false, false, true, true});
  EXPECT_EQ(Text(few.Start()), "fail");
  EXPECT_EQ(few.error().code, Code::kInsufficientReplicas);
  EXPECT_EQ(few.error().needed, 2U);
  EXPECT_EQ(few.error().alive, 1U);
  options.lists[0].r = 3;
  const std::string v = ObjectOf("v");
  GetCore core(options, {true, true, false, true, true});
  EXPECT_EQ(Text(core.Start()), "data0 digest1 digest3:2");
  core.OnReadReply(0, Data(v));
  core.OnReadReply(3, Digest(v));
  EXPECT_EQ(Text(core.OnFailure(1, kDown)), "digest4:1 fail") << "no second primary is left";
}

TEST(GetCoreSloppy, TooFewNodesAreTold) {
  GetCore::Options options = kSloppy2;
  options.fallbacks = 1;
  GetCore core(options, {false, false, false, true});
  EXPECT_EQ(Text(core.Start()), "fail");
  EXPECT_EQ(core.error().code, Code::kInsufficientReplicas);
  EXPECT_EQ(core.error().alive, 1U);
}

TEST(GetCoreSloppy, TheOtherListIsServedAsFarAsItCanBe) {
  const std::string v = ObjectOf("v");
  GetCore::Options options = kSloppy2;
  options.lists[1].r = 2;
  // 0 read, 1 read (dead), 2 and 3 fallbacks, 4 other, 5 other (dead).
  const Sets sets = {kInRead, kInRead, kInRead, kInRead, kInMove, kInMove};
  GetCore core(options, {true, false, true, true, true, false}, sets);
  EXPECT_EQ(Text(core.Start()), "data0 digest2:1 digest4");
  core.OnReadReply(0, Data(v));
  core.OnReadReply(4, Digest(""));
  EXPECT_EQ(Text(core.OnReadReply(2, Digest(v))), "write4");
  EXPECT_EQ(Text(core.OnWriteBackReply(4, true)), "done");
}

// --- after the answer ----------------------------------------------------------------------------

const GetCore::Options kEventual1{.lists = {{1}}, .n = 3, .strict = false};
const GetCore::Options kEventual2{.lists = {{2}}, .n = 5, .strict = false};

// The worked example of the header.
TEST(GetCoreAfterAnswer, WhoWasNotAskedIsComparedAndBroughtUpToDate) {
  const std::string v1 = ObjectOf("v1");
  const std::string v2 = ObjectOf("v2", 1, v1);
  GetCore core(kEventual1, {true, true, true});
  core.Start();
  EXPECT_EQ(Text(core.OnReadReply(0, Data(v2))), "done");
  EXPECT_EQ(Text(core.AfterAnswer(true)), "digest1 digest2");
  core.OnReadReply(1, Digest(v2));
  EXPECT_EQ(Text(core.OnReadReply(2, Digest(v1))), "data2");
  EXPECT_EQ(Text(core.OnReadReply(2, Data(v1))), "write2");
  EXPECT_EQ(core.encoded(), v2);
  EXPECT_EQ(Text(core.OnWriteBackReply(2, false)), "");
  EXPECT_EQ(Text(core.OnTimeout()), "");
}

TEST(GetCoreAfterAnswer, AgreementWritesNothing) {
  for (const std::string& v : {ObjectOf("v"), std::string()}) {
    GetCore core(kEventual1, {true, true, true});
    core.Start();
    core.OnReadReply(0, Data(v));
    core.AfterAnswer(true);
    EXPECT_EQ(Text(core.OnReadReply(1, Digest(v))), "");
    EXPECT_EQ(Text(core.OnReadReply(2, Digest(v))), "");
  }
}

TEST(GetCoreAfterAnswer, WhatWasSeenToDifferIsRepairedWithoutAskingMore) {
  const std::string a = ObjectOf("a", 1);
  const std::string b = ObjectOf("b", 2);
  GetCore core(kEventual2, {true, true, true, true, true});
  core.Start();
  core.OnReadReply(0, Data(a));
  EXPECT_EQ(Text(core.OnReadReply(1, Digest(b))), "data1");
  EXPECT_EQ(Text(core.OnReadReply(1, Data(b))), "done") << "the answer waits for no repair";
  EXPECT_TRUE(core.disagreed());
  EXPECT_EQ(Text(core.AfterAnswer(false)), "write0 write1");
}

TEST(GetCoreAfterAnswer, ANewerStateAndFailuresAreTakenAsTheyCome) {
  const std::string v1 = ObjectOf("v1");
  const std::string v2 = ObjectOf("v2", 1, v1);
  GetCore core(kEventual1, {true, true, true, false});
  core.Start();
  core.OnReadReply(0, Data(v1));
  EXPECT_EQ(Text(core.AfterAnswer(true)), "digest1 digest2") << "nor is a dead one asked";
  EXPECT_EQ(Text(core.OnReadReply(1, Digest(v2))), "");
  EXPECT_EQ(Text(core.OnFailure(2, kDown)), "data1");
  EXPECT_EQ(Text(core.OnReadReply(1, Data(v2))), "write0");
  EXPECT_EQ(core.encoded(), v2);
}

// Whatever the order and the failures: after it those that answered hold what any of them held, and
// where they agreed nobody was written to.
TEST(GetCoreAfterAnswer, RandomOrdersBringThoseThatAnsweredTogether) {
  for (uint64_t seed = 0; seed < 10000 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    base::Prng prng(seed);
    const size_t n = 1 + prng.Below(5);
    std::vector<Object> states(n, Object(causal::Kind::kSiblings));
    for (uint64_t writes = prng.Below(4); writes > 0; --writes) {
      const size_t at = prng.Below(n);
      states[at].dvv()->Update({}, {.bytes = std::to_string(writes)}, {at + 1, 1, 1});
    }
    if (prng.Chance(0.4)) states.assign(n, states[0]);
    const std::vector<Object> before = states;
    const bool same = std::all_of(states.begin(), states.end(),
                                  [&](const Object& state) { return state == states[0]; });
    GetCore core({.lists = {{static_cast<uint32_t>(1 + prng.Below(n))}},
                  .n = static_cast<uint32_t>(n),
                  .strict = false},
                 std::vector<bool>(n, true));
    std::vector<GetCore::Action> waiting;
    bool done = false;
    int writes = 0;
    const auto take = [&](const GetCore::Actions& actions) {
      for (const auto& action : actions) {
        done = done || action.kind == Kind::kDone;
        if (action.kind < Kind::kDone) waiting.push_back(action);
        writes += action.kind == Kind::kWriteBack ? 1 : 0;
      }
    };
    std::set<size_t> answered, failed;
    const auto step = [&] {
      const size_t at = prng.Below(waiting.size());
      const GetCore::Action action = waiting[at];
      waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(at));
      const size_t i = action.replica;
      if (action.kind == Kind::kWriteBack) {
        EXPECT_TRUE(done) << "an answer that is not strict waits for no write";
        ASSERT_TRUE(states[i].Join(Object::Decode(core.encoded()).value()));
        return take(core.OnWriteBackReply(i, true));
      }
      if (done && prng.Chance(0.1)) {
        failed.insert(i);
        return take(core.OnFailure(i, kDown));
      }
      answered.insert(i);
      const std::string object = before[i].Empty() ? "" : before[i].Encode();
      take(core.OnReadReply(i, action.kind == Kind::kReadData ? Data(object) : Digest(object)));
    };
    take(core.Start());
    while (!done && !waiting.empty()) step();
    ASSERT_TRUE(done);
    take(core.AfterAnswer(true));
    while (!waiting.empty()) step();
    if (same) {
      EXPECT_EQ(writes, 0);
    }
    for (const size_t i : answered) {
      for (const size_t j : answered) {
        if (failed.count(i) + failed.count(j) > 0) continue;
        Object joined = states[i];
        ASSERT_TRUE(joined.Join(before[j]));
        EXPECT_EQ(joined, states[i]) << i << " lacks what " << j << " said";
      }
    }
  }
}

}  // namespace
}  // namespace lariat::coordinator

// SPDX-License-Identifier: Apache-2.0
#include "coordinator/get_core.h"

#include <gtest/gtest.h>

#include <set>

#include "base/prng.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using causal::Object;
using Kind = GetCore::ActionKind;

std::string Text(const GetCore::Actions& actions) {
  std::string text;
  for (const auto& action : actions) {
    if (!text.empty()) text += ' ';
    switch (action.kind) {
      case Kind::kReadData:
        text += "data" + std::to_string(action.replica);
        break;
      case Kind::kReadDigest:
        text += "digest" + std::to_string(action.replica);
        break;
      case Kind::kWriteBack:
        text += "write" + std::to_string(action.replica);
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

wire::ReadReply Reply(const std::string& object, bool digest_only) {
  wire::ReadReply reply;
  if (object.empty()) return reply;
  reply.found = true;
  reply.digest = Object::Digest(object);
  if (!digest_only) reply.object = object;
  return reply;
}
wire::ReadReply Data(const std::string& object) { return Reply(object, false); }
wire::ReadReply Digest(const std::string& object) { return Reply(object, true); }

std::string ObjectOf(const std::string& value, uint64_t node = 1, const Object* before = nullptr) {
  Object object(causal::Kind::kSiblings);
  if (before != nullptr) object = *before;
  const causal::DotSet seen = before == nullptr ? causal::DotSet() : before->dvv()->history();
  object.dvv()->Update(seen, {.bytes = value}, {node, 1, 1});
  return object.Encode();
}

std::string Newer(const std::string& encoded, const std::string& value) {
  const Object before = Object::Decode(encoded).value();
  return ObjectOf(value, 1, &before);
}

std::vector<std::string> Values(const GetCore& core) {
  std::vector<std::string> values;
  for (const auto& view : core.object().LiveValues({})) values.push_back(view.value->bytes);
  return values;
}

// The worked example of the header.
TEST(GetCore, AnOlderReplicaIsBroughtUpToDateFirst) {
  const std::string v1 = ObjectOf("v1");
  const std::string v2 = Newer(v1, "v2");
  GetCore core({.lists = {{2}}, .n = 3}, {true, true, true});
  EXPECT_EQ(Text(core.Start()), "data0 digest1");
  EXPECT_EQ(Text(core.OnReadReply(0, Data(v2))), "");
  EXPECT_EQ(Text(core.OnReadReply(1, Digest(v1))), "data1");
  EXPECT_EQ(Text(core.OnReadReply(1, Data(v1))), "write1");
  EXPECT_FALSE(core.finished());
  EXPECT_EQ(Text(core.OnWriteBackReply(1, true)), "done");
  EXPECT_EQ(Values(core), std::vector<std::string>{"v2"});
  EXPECT_EQ(core.encoded(), v2);
  EXPECT_TRUE(core.disagreed());
  EXPECT_EQ(core.Answered(), 2U);
}

TEST(GetCore, AgreementNeedsNoData) {
  const std::string v = ObjectOf("v");
  GetCore core({.lists = {{3}}, .n = 3}, {true, true, true});
  EXPECT_EQ(Text(core.Start()), "data0 digest1 digest2");
  core.OnReadReply(1, Digest(v));
  core.OnReadReply(2, Digest(v));
  EXPECT_EQ(Text(core.OnReadReply(0, Data(v))), "done");
  EXPECT_FALSE(core.disagreed());
}

TEST(GetCore, NeverWrittenIsAnEmptyAnswer) {
  GetCore core({.lists = {{2}}, .n = 3}, {true, true, true});
  core.Start();
  core.OnReadReply(1, Digest(""));
  EXPECT_EQ(Text(core.OnReadReply(0, Data(""))), "done");
  EXPECT_TRUE(core.object().Empty());
  EXPECT_EQ(core.encoded(), "");
}

TEST(GetCoreMustHold, M15_AValueOnOneReplicaIsWrittenToAnotherBeforeItIsShown) {
  const std::string v = ObjectOf("v");
  GetCore core({.lists = {{2}}, .n = 3}, {true, true, true});
  core.Start();
  core.OnReadReply(1, Digest(""));
  EXPECT_EQ(Text(core.OnReadReply(0, Data(v))), "write1");
  // The write-back fails: somebody else has to hold it, however it answered before.
  EXPECT_EQ(Text(core.OnWriteBackReply(1, false)), "write2");
  EXPECT_EQ(Text(core.OnWriteBackReply(2, true)), "done");
}

std::string RegisterOf(const std::string& value, int64_t ms) {
  Object object(causal::Kind::kLww);
  object.lww()->stamp = causal::HlcStamp::FromWallMs(ms);
  object.lww()->value.bytes = value;
  return object.Encode();
}

// A replica that has gone on to a greater value, and may never have held this one, does not count
// as a holder of it (put_core.h says why).
TEST(GetCore, AReplicaThatWasOvertakenDoesNotCount) {
  const std::string v1 = RegisterOf("v1", 1);
  const std::string v2 = RegisterOf("v2", 2);
  for (const bool another : {true, false}) {
    GetCore core({.lists = {{2}}, .n = 3, .kind = causal::Kind::kLww}, {true, true, another});
    core.Start();
    core.OnReadReply(0, Data(v2));
    core.OnReadReply(1, Digest(v1));
    EXPECT_EQ(Text(core.OnReadReply(1, Data(v1))), "write1");
    EXPECT_EQ(Text(core.OnOvertaken(1)), another ? "write2" : "fail");
    if (another) {
      EXPECT_EQ(Text(core.OnWriteBackReply(2, true)), "done");
    } else {
      EXPECT_EQ(core.error().code, Code::kStaleEpoch) << "to be begun again";
    }
  }
}

TEST(GetCoreMustHold, M15_WithoutEnoughHoldersTheReadFails) {
  GetCore core({.lists = {{2}}, .n = 2}, {true, true});
  core.Start();
  core.OnReadReply(1, Digest(""));
  EXPECT_EQ(Text(core.OnReadReply(0, Data(ObjectOf("v")))), "write1");
  EXPECT_EQ(Text(core.OnWriteBackReply(1, false)), "fail");
  EXPECT_EQ(core.error().code, Code::kUnavailable);
}

TEST(GetCore, ConcurrentValuesAreMerged) {
  GetCore core({.lists = {{2}}, .n = 2}, {true, true});
  core.Start();
  core.OnReadReply(0, Data(ObjectOf("a", 1)));
  core.OnReadReply(1, Digest(ObjectOf("b", 2)));
  EXPECT_EQ(Text(core.OnReadReply(1, Data(ObjectOf("b", 2)))), "write0 write1");
  core.OnWriteBackReply(0, true);
  EXPECT_EQ(Text(core.OnWriteBackReply(1, true)), "done");
  EXPECT_EQ(Values(core), (std::vector<std::string>{"a", "b"}));
}

TEST(GetCore, WhoFailsIsReplacedAndWhoIsLateIsHedged) {
  const std::string v = ObjectOf("v");
  GetCore failing({.lists = {{2}}, .n = 3}, {true, true, true});
  failing.Start();
  EXPECT_EQ(Text(failing.OnFailure(0, {Code::kCorruption, "bad"})), "data2");
  failing.OnReadReply(1, Digest(v));
  EXPECT_EQ(Text(failing.OnReadReply(2, Data(v))), "done");

  GetCore late({.lists = {{2}}, .n = 3}, {true, true, true});
  late.Start();
  EXPECT_EQ(Text(late.OnHedge()), "data2");
  late.OnReadReply(1, Digest(v));
  EXPECT_EQ(Text(late.OnReadReply(2, Data(v))), "done");
  EXPECT_EQ(Text(late.OnReadReply(0, Data(v))), "");
}

TEST(GetCore, ALostDataReplyIsAskedOfADigestHolder) {
  const std::string v = ObjectOf("v");
  GetCore core({.lists = {{2}}, .n = 3}, {true, true, true});
  core.Start();
  core.OnReadReply(1, Digest(v));
  EXPECT_EQ(Text(core.OnFailure(0, {Code::kTimeout, ""})), "data2");
  EXPECT_EQ(Text(core.OnReadReply(2, Data(v))), "done");
}

TEST(GetCore, TooFewAliveIsSaidBeforeAnythingIsAsked) {
  GetCore core({.lists = {{2}}, .n = 3}, {false, true, false});
  EXPECT_EQ(Text(core.Start()), "fail");
  EXPECT_EQ(core.error().code, Code::kInsufficientReplicas);
  EXPECT_EQ(core.error().needed, 2U);
  EXPECT_EQ(core.error().alive, 1U);
}

TEST(GetCoreMustHold, M17_OutcomesOfReads) {
  GetCore late({.lists = {{1}}, .n = 1}, {true});
  late.Start();
  EXPECT_EQ(Text(late.OnTimeout()), "fail");
  EXPECT_EQ(late.error().code, Code::kTimeout);
  EXPECT_EQ(Text(late.OnTimeout()), "");
  GetCore broken({.lists = {{1}}, .n = 1}, {true});
  broken.Start();
  EXPECT_EQ(Text(broken.OnFailure(0, {Code::kCorruption, "checksum"})), "fail");
  EXPECT_EQ(broken.error().code, Code::kUnavailable);
  EXPECT_NE(broken.error().message.find("checksum"), std::string::npos);
}

TEST(GetCore, AMalformedObjectIsAnError) {
  GetCore core({.lists = {{1}}, .n = 1}, {true});
  core.Start();
  EXPECT_EQ(Text(core.OnReadReply(0, Data("rubbish"))), "fail");
  EXPECT_EQ(core.error().code, Code::kCorruption);
}

// A replay stands for an acknowledgement: r replicas have to hold the event that it tells of.
TEST(GetCoreMustHold, M3_ARecordedAnswerComesWithTheEventThatItTellsOf) {
  const std::string v1 = ObjectOf("v1");
  const std::string v2 = Newer(v1, "v2");
  GetCore core({{{2}}, 3, true, causal::Kind::kSiblings}, {true, true, true});
  core.Start();
  core.OnReadReply(0, Data(v1));
  wire::ReadReply digest = Digest(v2);
  digest.idempotency_answer = "answer";
  EXPECT_EQ(Text(core.OnHedge()), "data2");
  EXPECT_EQ(Text(core.OnReadReply(1, digest)), "data1");
  // Two replicas agree, neither has the event.
  EXPECT_EQ(Text(core.OnReadReply(2, Data(v1))), "");
  EXPECT_EQ(Text(core.OnReadReply(1, Data(v2))), "write0 write2");
  EXPECT_EQ(Text(core.OnWriteBackReply(0, true)), "done");
  EXPECT_EQ(core.idempotency_answer(), "answer");
  EXPECT_EQ(Values(core), std::vector<std::string>{"v2"});
}

TEST(GetCoreMustHold, M3_ARecordedAnswerIsForgottenWithItsReplica) {
  const std::string v1 = ObjectOf("v1");
  GetCore core({{{2}}, 3, true, causal::Kind::kSiblings}, {true, true, true});
  core.Start();
  core.OnReadReply(0, Data(v1));
  wire::ReadReply digest = Digest(Newer(v1, "v2"));
  digest.idempotency_answer = "answer";
  EXPECT_EQ(Text(core.OnReadReply(1, digest)), "data1");
  EXPECT_EQ(Text(core.OnFailure(1, {Code::kTimeout, "late"})), "data2");
  EXPECT_EQ(Text(core.OnReadReply(2, Data(v1))), "done");
  EXPECT_EQ(core.idempotency_answer(), "");
}

TEST(GetCore, AnRecordedAnswerOfAnyReplicaIsFound) {
  GetCore core({.lists = {{2}}, .n = 2}, {true, true});
  core.Start();
  auto reply = Digest(ObjectOf("v"));
  reply.idempotency_answer = "answer";
  core.OnReadReply(1, reply);
  core.OnReadReply(0, Data(ObjectOf("v")));
  EXPECT_EQ(core.idempotency_answer(), "answer");
}

// --- two lists -----------------------------------------------------------------------------------

using Sets = std::vector<ListSet>;
constexpr causal::Kind kSiblings = causal::Kind::kSiblings;

// The worked examples of the header.
TEST(GetCoreMustHold, M20_WhoIsInBothListsCountsInBoth) {
  const std::string v = ObjectOf("v");
  GetCore core({{{2}, {2}}, 3, true, kSiblings}, {true, true, true, true},
               {kInBoth, kInBoth, kInRead, kInMove});
  EXPECT_EQ(Text(core.Start()), "data0 digest1");
  core.OnReadReply(1, Digest(v));
  EXPECT_EQ(Text(core.OnReadReply(0, Data(v))), "done");
}

TEST(GetCoreMustHold, M20_WhatOnlyTheOldOwnersHoldIsBroughtToTheNewOnesFirst) {
  const std::string v = ObjectOf("v");
  GetCore core({{{2}, {2}}, 2, true, kSiblings}, {true, true, true, true},
               {kInRead, kInRead, kInMove, kInMove});
  EXPECT_EQ(Text(core.Start()), "data0 digest1 digest2 digest3");
  core.OnReadReply(2, Digest(v));
  core.OnReadReply(3, Digest(""));
  core.OnReadReply(0, Data(v));
  EXPECT_EQ(Text(core.OnReadReply(1, Digest(v))), "write3");
  EXPECT_FALSE(core.finished());
  EXPECT_EQ(Text(core.OnWriteBackReply(3, true)), "done");
  EXPECT_EQ(core.Answered(), 2U) << "of the read list";
  EXPECT_FALSE(core.disagreed()) << "a new owner may lack what it has not been given yet";
}

TEST(GetCore, AListForAnotherDatacenterIsTheSameArithmetic) {
  const std::string v = ObjectOf("v");
  constexpr ListSet kFar = InList(2);
  GetCore core({.lists = {{1}, {}, {1}}, .n = 2}, {true, true, true, true},
               {kInRead, kInRead, kFar, kFar});
  EXPECT_EQ(Text(core.Start()), "data0 digest2");
  EXPECT_EQ(Text(core.OnReadReply(0, Data(v))), "");
  EXPECT_EQ(Text(core.OnReadReply(2, Digest(""))), "write2");
  EXPECT_EQ(Text(core.OnWriteBackReply(2, true)), "done");
}

TEST(GetCore, NothingNeedsNoHolders) {
  GetCore core({{{1}, {1}}, 1, true, kSiblings}, {true, true}, {kInRead, kInMove});
  core.Start();
  EXPECT_EQ(Text(core.OnReadReply(0, Data(""))), "done");
  EXPECT_TRUE(core.object().Empty());
}

TEST(GetCore, ALateDigestOfTheOtherListIsWaitedFor) {
  const std::string v = ObjectOf("v");
  GetCore core({{{2}, {2}}, 3, true, kSiblings}, {true, true, true, true, true},
               {kInBoth, kInRead, kInRead, kInMove, kInMove});
  EXPECT_EQ(Text(core.Start()), "data0 digest1 digest3");
  core.OnReadReply(0, Data(v));
  EXPECT_EQ(Text(core.OnReadReply(1, Digest(v))), "");
  EXPECT_EQ(Text(core.OnHedge()), "digest4");
  EXPECT_EQ(Text(core.OnReadReply(4, Digest(v))), "done");
}

TEST(GetCore, AReplicaOfTheOtherListThatFailsIsReplaced) {
  const std::string v = ObjectOf("v");
  const std::vector<bool> usable = {true, true, true, true};
  const Sets sets = {kInBoth, kInRead, kInMove, kInMove};
  GetCore early({{{2}, {2}}, 2, true, kSiblings}, usable, sets);
  EXPECT_EQ(Text(early.Start()), "data0 digest1 digest2");
  EXPECT_EQ(Text(early.OnFailure(2, {Code::kTimeout, ""})), "digest3");
  early.OnReadReply(0, Data(v));
  early.OnReadReply(1, Digest(v));
  EXPECT_EQ(Text(early.OnReadReply(3, Digest(""))), "write3");
  EXPECT_EQ(Text(early.OnWriteBackReply(3, false)), "fail");
  EXPECT_EQ(early.error().code, Code::kUnavailable);

  GetCore late({{{2}, {2}}, 2, true, kSiblings}, usable, sets);
  late.Start();
  late.OnReadReply(0, Data(v));
  EXPECT_EQ(Text(late.OnReadReply(1, Digest(v))), "");
  EXPECT_EQ(Text(late.OnFailure(2, {Code::kTimeout, ""})), "digest3");
  EXPECT_EQ(Text(late.OnReadReply(3, Digest(v))), "done");
}

TEST(GetCore, NewerStatesOfTheOtherListAreNotShownButKept) {
  const std::string v1 = ObjectOf("v1");
  GetCore core({{{2}, {2}}, 2, true, kSiblings}, {true, true, true}, {kInBoth, kInRead, kInMove});
  core.Start();
  core.OnReadReply(2, Digest(Newer(v1, "v2")));
  core.OnReadReply(0, Data(v1));
  EXPECT_EQ(Text(core.OnReadReply(1, Digest(v1))), "write2") << "joined there: nothing is lost";
  EXPECT_EQ(Text(core.OnWriteBackReply(2, true)), "done");
  EXPECT_EQ(Values(core), std::vector<std::string>{"v1"});
}

TEST(GetCore, TooFewAliveInEitherListIsSaidBeforeAnythingIsAsked) {
  const Sets sets = {kInBoth, kInRead, kInMove, kInMove};
  GetCore read({{{2}, {3}}, 2, true, kSiblings}, {true, false, true, true}, sets);
  EXPECT_EQ(Text(read.Start()), "fail");
  EXPECT_EQ(read.error().code, Code::kInsufficientReplicas);
  EXPECT_EQ(read.error().needed, 2U);
  GetCore other({{{2}, {3}}, 2, true, kSiblings}, {true, true, true, false}, sets);
  EXPECT_EQ(Text(other.Start()), "fail");
  EXPECT_EQ(other.error().code, Code::kInsufficientReplicas);
  EXPECT_EQ(other.error().needed, 3U);
  EXPECT_EQ(other.error().alive, 2U);
}

// --- any order of replies, failures, hedges and time-outs ----------------------------------------

// Replicas with random states that go on changing, and the reads and write-backs under way.
class RandomRun {
 public:
  explicit RandomRun(uint64_t seed) : prng_(seed), n_(1 + prng_.Below(5)) {
    options_.n = static_cast<uint32_t>(n_);
    options_.lists[0].r = static_cast<uint32_t>(1 + prng_.Below(n_));
    options_.strict = prng_.Chance(0.8);
    if (prng_.Chance(0.5)) MoveSome();
    for (size_t i = 0; i < n_; ++i) {
      states_.emplace_back(causal::Kind::kSiblings);
      usable_.push_back(prng_.Chance(0.9));
    }
    answers_.resize(n_);
    for (uint64_t writes = prng_.Below(6); writes > 0; --writes) RandomWrite();
    if (prng_.Chance(0.3)) {
      for (const Object& state : std::vector<Object>(states_)) Join(prng_.Below(n_), state);
    }
  }

  void Go() {
    GetCore core(options_, usable_, sets_);
    Take(core.Start());
    while (!waiting_.empty() && !core.finished()) {
      if (prng_.Chance(0.1)) RandomWrite();
      if (prng_.Chance(0.1)) Take(core.OnHedge());
      if (prng_.Chance(0.01)) Take(core.OnTimeout());
      if (!core.finished()) Step(core);
    }
    EXPECT_TRUE(core.finished()) << "nothing is outstanding, so it has to have ended";
    if (done_) CheckResult(core);
    while (!waiting_.empty()) Step(core);  // late replies do nothing
    Take(core.OnHedge());
    Take(core.OnTimeout());
    EXPECT_EQ(ends_, 1);
  }

 private:
  void RandomWrite() {
    const size_t at = prng_.Below(n_);
    causal::DvvSet* set = states_[at].dvv();
    const causal::DotSet seen = prng_.Chance(0.5) ? set->history() : causal::DotSet();
    set->Update(seen, {.bytes = std::to_string(++writes_)}, {at + 1, 1, 1});
    if (prng_.Chance(0.5)) Join(prng_.Below(n_), states_[at]);
  }
  // Some of the replicas are in the other list too, others in that alone.
  void MoveSome() {
    for (size_t i = 0; i < n_; ++i) sets_.push_back(prng_.Chance(0.5) ? kInBoth : kInRead);
    for (uint64_t more = prng_.Below(4); more > 0; --more) sets_.push_back(kInMove);
    n_ = sets_.size();
    options_.lists[1].r = static_cast<uint32_t>(1 + prng_.Below(3));
  }
  bool In(size_t at, ListSet list) const {
    return sets_.empty() ? list == kInRead : (sets_[at] & list) != 0;
  }
  void Join(size_t at, const Object& state) { ASSERT_TRUE(states_[at].Join(state)); }
  std::string Stored(size_t at) const { return states_[at].Empty() ? "" : states_[at].Encode(); }
  static bool Covers(const Object& whole, const Object& part) {
    Object joined = whole;
    EXPECT_TRUE(joined.Join(part));
    return joined == whole;
  }

  void Take(const GetCore::Actions& actions) {
    for (const auto& action : actions) {
      if (action.kind == Kind::kDone || action.kind == Kind::kFail) {
        ++ends_;
        done_ = action.kind == Kind::kDone;
        continue;
      }
      EXPECT_EQ(ends_, 0) << "no work after the end";
      EXPECT_TRUE(usable_[action.replica]);
      waiting_.push_back(action);
    }
  }
  void Step(GetCore& core) {
    const size_t at = prng_.Below(waiting_.size());
    const GetCore::Action action = waiting_[at];
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(at));
    const size_t replica = action.replica;
    const bool fails = prng_.Chance(0.12);
    if (action.kind == Kind::kWriteBack) {
      if (!fails) Join(replica, Object::Decode(core.encoded()).value());
      // A failure may be a lost acknowledgement.
      if (fails && prng_.Chance(0.5)) Join(replica, Object::Decode(core.encoded()).value());
      return Take(core.OnWriteBackReply(replica, !fails));
    }
    if (fails) return Take(core.OnFailure(replica, {Code::kTimeout, "late"}));
    if (!core.finished()) answers_[replica] = states_[replica];
    Take(core.OnReadReply(replica, Reply(Stored(replica), action.kind == Kind::kReadDigest)));
  }

  void CheckResult(const GetCore& core) const {
    EXPECT_GE(core.Answered(), options_.lists[0].r);
    size_t contained = 0;
    size_t holders = 0;
    size_t holders_other = 0;
    bool two_lists = false;
    for (size_t i = 0; i < n_; ++i) {
      const bool contains = answers_[i] && Covers(core.object(), *answers_[i]);
      contained += In(i, kInRead) && contains ? 1 : 0;
      const bool holds = Covers(states_[i], core.object());
      holders += In(i, kInRead) && holds ? 1 : 0;
      holders_other += In(i, kInMove) && holds ? 1 : 0;
      two_lists = two_lists || In(i, kInMove);
    }
    EXPECT_GE(contained, options_.lists[0].r) << "the answer has to contain what r replicas said";
    if (options_.strict) {
      EXPECT_GE(holders, options_.lists[0].r) << "what is shown has to be held";
      if (two_lists && !core.object().Empty()) {
        EXPECT_GE(holders_other, options_.lists[1].r) << "in the other list too";
      }
    }
    EXPECT_EQ(core.encoded(), core.object().Empty() ? "" : core.object().Encode());
  }

  base::Prng prng_;
  size_t n_;
  GetCore::Options options_;
  Sets sets_;
  std::vector<bool> usable_;
  std::vector<Object> states_;
  std::vector<std::optional<Object>> answers_;
  std::vector<GetCore::Action> waiting_;
  int writes_ = 0;
  int ends_ = 0;
  bool done_ = false;
};

TEST(GetCoreMustHold, M15_RandomOrdersEndOnceWithWhatRReplicasHold) {
  for (uint64_t seed = 0; seed < 20000 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    RandomRun(seed).Go();
  }
}

}  // namespace
}  // namespace lariat::coordinator

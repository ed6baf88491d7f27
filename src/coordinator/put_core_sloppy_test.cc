// SPDX-License-Identifier: Apache-2.0
// Writes with fallbacks: who stands in for whom, what counts, and what is owed at the end.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/prng.h"
#include "coordinator/put_core.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using Kind = PutCore::ActionKind;
using Sets = std::vector<ListSet>;

const base::Error kDown{Code::kUnavailable, "down"};

// "write1 write2:s0 done owe2": to replica 1; to fallback 0 in the place of replica 2.
std::string Text(const PutCore::Actions& actions) {
  std::string text;
  for (const auto& action : actions) {
    if (!text.empty()) text += ' ';
    switch (action.kind) {
      case Kind::kSendWrite:
        text += "write" + std::to_string(action.replica);
        if (action.fallback != PutCore::kNoFallback) text += ":s" + std::to_string(action.fallback);
        break;
      case Kind::kDone:
        text += "done";
        break;
      case Kind::kFail:
        text += "fail";
        break;
      case Kind::kRestamp:
        text += "restamp";
        break;
      case Kind::kOwe:
        text += "owe" + std::to_string(action.replica);
        break;
    }
  }
  return text;
}

// The worked example of the header.
TEST(PutCoreSloppy, SparesStandInForTheDead) {
  PutCore core({.lists = {{2}}, .self = 0, .fallbacks = 2}, {true, false, false});
  EXPECT_EQ(Text(core.OnUpdated()), "write1:s0 write2:s1");
  EXPECT_EQ(Text(core.OnAck(0)), "");
  EXPECT_EQ(Text(core.OnFallbackAck(0)), "done");
  EXPECT_EQ(core.Acks(), 1U);
  EXPECT_EQ(core.FallbackAcks(), 1U);
  EXPECT_EQ(Text(core.OnFallbackAck(1)), "");
  EXPECT_EQ(core.FallbackAcks(), 2U);
  EXPECT_EQ(Text(core.OnTimeout()), "") << "who has a stand-in is owed nothing";
}

TEST(PutCoreSloppy, AReplicaThatFailsUnderWayIsReplacedAndSoIsItsSpare) {
  PutCore core({.lists = {{3}}, .self = 0, .fallbacks = 2}, {true, true, true});
  EXPECT_EQ(Text(core.OnUpdated()), "write1 write2");
  EXPECT_EQ(Text(core.OnFailure(2, kDown)), "write2:s0");
  EXPECT_EQ(Text(core.OnFallbackFailure(0, kDown)), "write2:s1");
  EXPECT_EQ(Text(core.OnFallbackAck(0)), "") << "its outcome is known";
  core.OnAck(0);
  EXPECT_EQ(Text(core.OnAck(1)), "");
  EXPECT_EQ(Text(core.OnFallbackAck(1)), "done");
  EXPECT_EQ(core.Acks(), 2U);
}

TEST(PutCoreSloppy, WithoutSparesLeftItIsUnknownAndTheMissingAreOwed) {
  PutCore core({.lists = {{2}}, .self = 0, .fallbacks = 1}, {true, false, false});
  EXPECT_EQ(Text(core.OnUpdated()), "write1:s0");
  core.OnAck(0);
  EXPECT_EQ(Text(core.OnFallbackFailure(0, kDown)), "fail owe1 owe2");
  EXPECT_EQ(core.error().code, Code::kUnknown);
  EXPECT_EQ(core.error().needed, 2U);
  EXPECT_EQ(core.error().alive, 1U);
}

TEST(PutCoreMustHold, M16_AStandInIsNoPrimary) {
  PutCore core({.lists = {{2, 2}}, .self = 0, .fallbacks = 2}, {true, true, false});
  EXPECT_EQ(Text(core.OnUpdated()), "write1 write2:s0");
  core.OnAck(0);
  EXPECT_EQ(Text(core.OnFallbackAck(0)), "") << "two hold it, but only one primary";
  EXPECT_EQ(Text(core.OnAck(1)), "done");
  PutCore lost({.lists = {{2, 2}}, .self = 0, .fallbacks = 2}, {true, true, false});
  lost.OnUpdated();
  lost.OnAck(0);
  lost.OnFallbackAck(0);
  EXPECT_EQ(Text(lost.OnFailure(1, kDown)), "write1:s1 fail");
  EXPECT_EQ(lost.error().needed, 2U);
  EXPECT_EQ(lost.error().alive, 1U);
}

TEST(PutCoreMustHold, M16_AStrictWriteNeverAsksASpare) {
  PutCore core({.lists = {{2}}, .self = 0}, {true, true, false});
  EXPECT_EQ(Text(core.OnUpdated()), "write1");
  core.OnAck(0);
  EXPECT_EQ(Text(core.OnFailure(1, kDown)), "fail owe1 owe2");
  EXPECT_EQ(core.FallbackAcks(), 0U);
}

TEST(PutCoreSloppy, AStandInCountsInTheListsOfWhomItStandsInFor) {
  PutCore core({.lists = {{2}, {2}}, .self = 0, .fallbacks = 2}, {true, true, false, false},
               {kInRead, kInBoth, kInRead, kInMove});
  EXPECT_EQ(Text(core.OnUpdated()), "write1 write2:s0 write3:s1");
  core.OnAck(0);
  EXPECT_EQ(Text(core.OnAck(1)), "") << "two of the read list, one of the other";
  EXPECT_EQ(Text(core.OnFallbackAck(0)), "") << "for one that is in the read list alone";
  EXPECT_EQ(Text(core.OnFallbackAck(1)), "done");
}

TEST(PutCoreSloppy, WhoCoordinatesInTheNameOfTheFirstIsASpareItself) {
  PutCore core({.lists = {{2}}, .self = 0, .fallbacks = 3, .is_fallback = true},
               {true, false, false});
  EXPECT_EQ(Text(core.OnUpdated()), "write1:s1 write2:s2");
  EXPECT_EQ(Text(core.OnFallbackAck(0)), "");
  EXPECT_EQ(Text(core.OnFallbackFailure(1, kDown)), "");
  EXPECT_EQ(Text(core.OnFallbackAck(2)), "done") << "and it owes nothing: it is no replica";
  EXPECT_EQ(core.Acks(), 0U);
  EXPECT_EQ(core.FallbackAcks(), 2U);
  PutCore refused({.lists = {{1}}, .self = 0, .fallbacks = 1, .is_fallback = true}, {false});
  EXPECT_EQ(Text(refused.OnRefused({Code::kDiskFull, "full"})), "fail");
  EXPECT_EQ(refused.error().code, Code::kDiskFull);
}

TEST(PutCoreSloppy, OwedAtOnceIfKnownAndAtTheDeadlineIfLate) {
  PutCore core({.lists = {{2}}, .self = 0}, {true, true, true, true, false});
  core.OnUpdated();
  core.OnAck(0);
  EXPECT_EQ(Text(core.OnAck(1)), "done owe4");
  EXPECT_EQ(Text(core.OnFailure(2, kDown)), "owe2");
  EXPECT_EQ(Text(core.OnTimeout()), "owe3");
  EXPECT_EQ(Text(core.OnTimeout()), "");
  EXPECT_EQ(Text(core.OnFailure(3, kDown)), "");
}

TEST(PutCoreSloppy, AStandInThatFailsAfterTheEndLeavesItsReplicaOwed) {
  PutCore core({.lists = {{1}}, .self = 0, .fallbacks = 2}, {true, false});
  EXPECT_EQ(Text(core.OnUpdated()), "write1:s0");
  EXPECT_EQ(Text(core.OnAck(0)), "done");
  EXPECT_EQ(Text(core.OnFallbackFailure(0, kDown)), "owe1") << "it is done: no further spare";
}

TEST(PutCoreSloppy, NewListsForgetWhatSparesSaid) {
  PutCore core({.lists = {{2}}, .self = 0, .fallbacks = 1}, {true, true, false});
  EXPECT_EQ(Text(core.OnUpdated()), "write1 write2:s0");
  core.OnAck(0);
  const PutCore::Plan plan{.lists = {{3}, {1}},
                           .usable = {true, true, false},
                           .sets = {kInRead, kInRead, kInRead},
                           .fallbacks = 1};
  EXPECT_EQ(Text(core.OnNewLists(plan)), "write2:s1");
  EXPECT_FALSE(core.Waits(0));
  EXPECT_EQ(Text(core.OnFallbackAck(0)), "");
  EXPECT_EQ(Text(core.OnAck(1)), "");
  EXPECT_EQ(Text(core.OnFallbackAck(1)), "done");
  EXPECT_EQ(core.FallbackAcks(), 1U);
}

TEST(PutCoreSloppy, ACoordinatorThatStandsInStaysOneWhereItMay) {
  for (const bool may : {true, false}) {
    PutCore core({.lists = {{2}}, .self = 0, .fallbacks = 2, .is_fallback = true}, {false, false});
    core.OnUpdated();
    core.OnFallbackAck(0);
    const PutCore::Plan plan{.lists = {{1}, {1}},
                             .usable = {false, false},
                             .sets = {kInRead, kInRead},
                             .fallbacks = 2,
                             .is_fallback = may};
    EXPECT_EQ(Text(core.OnNewLists(plan)), may ? "write1:s2 done" : "write0:s2 write1:s3");
  }
}

// --- any order -----------------------------------------------------------------------------------

// Random lists, deaths, fallbacks, outcomes, repetitions, plans and time-outs, next to a plain
// count of who said yes for whom.
class RandomRun {
 public:
  explicit RandomRun(uint64_t seed) : prng_(seed), n_(1 + prng_.Below(5)) {
    const bool sloppy = prng_.Chance(0.8);
    options_.fallbacks = sloppy ? prng_.Below(5) : 0;
    options_.is_fallback = options_.fallbacks > 0 && prng_.Chance(0.2);
    options_.self = options_.is_fallback ? 0 : prng_.Below(n_);
    DrawNeeds();
    for (size_t i = 0; i < n_; ++i) {
      sets_.push_back(two_ ? static_cast<ListSet>(1 + prng_.Below(3)) : kInRead);
      const bool own = !options_.is_fallback && i == options_.self;
      usable_.push_back(own || prng_.Chance(0.6));
    }
    sets_[options_.self] |= kInRead;
    LookForTwo();
    options_.lists = {needs_, other_};
    holds_for_.assign(options_.fallbacks, PutCore::kNoFallback);
  }

  void Go() {
    PutCore core(options_, usable_, sets_);
    if (options_.is_fallback) {
      Ask({options_.self, 0});
    } else {
      Ask({options_.self, PutCore::kNoFallback});
    }
    if (prng_.Chance(0.05)) Take(core, core.OnTimeout());
    updated_ = true;
    Take(core, core.OnUpdated());
    while (!waiting_.empty()) Step(core);
    EXPECT_EQ(ends_, 1) << "nothing is outstanding, so it has to have ended";
    Take(core, core.OnTimeout());
    CheckOwed();
  }

 private:
  struct Request {
    size_t replica, fallback;
    auto operator<=>(const Request&) const = default;
  };

  void DrawNeeds() {
    needs_ = {static_cast<uint32_t>(1 + prng_.Below(3)), static_cast<uint32_t>(prng_.Below(3))};
    other_ = {static_cast<uint32_t>(1 + prng_.Below(3)), static_cast<uint32_t>(prng_.Below(2))};
    two_ = prng_.Chance(0.4);
  }
  void Ask(Request request) {
    EXPECT_TRUE(waiting_.insert(request).second) << "one request at a time";
  }
  void Step(PutCore& core) {
    if (prng_.Chance(0.05)) return NewLists(core);
    if (prng_.Chance(0.02)) Take(core, core.OnTimeout());
    auto at = waiting_.begin();
    std::advance(at, prng_.Below(waiting_.size()));
    const Request request = *at;
    waiting_.erase(at);
    const bool yes = prng_.Chance(0.6);
    if (request.fallback == PutCore::kNoFallback) {
      if (yes && sets_[request.replica] != 0) primaries_.insert(request.replica);
      Take(core, yes ? core.OnAck(request.replica) : core.OnFailure(request.replica, kDown));
      if (prng_.Chance(0.1)) Take(core, core.OnAck(request.replica));
      return;
    }
    const bool counts = core.Waits(request.fallback);
    if (yes && counts) holds_for_[request.fallback] = request.replica;
    Take(core, yes ? core.OnFallbackAck(request.fallback)
                   : core.OnFallbackFailure(request.fallback, kDown));
    if (prng_.Chance(0.1)) Take(core, core.OnFallbackAck(request.fallback));
  }
  void NewLists(PutCore& core) {
    n_ += prng_.Below(2);
    sets_.resize(n_);
    usable_.resize(n_);
    DrawNeeds();
    for (size_t i = 0; i < n_; ++i) {
      sets_[i] = static_cast<ListSet>(prng_.Below(two_ ? 4 : 2));
      usable_[i] = prng_.Chance(0.6);
      if (sets_[i] == 0) primaries_.erase(i);
    }
    PutCore::Plan plan{.lists = {needs_, other_}, .usable = usable_, .sets = sets_};
    plan.fallbacks = options_.fallbacks > 0 ? prng_.Below(4) : 0;
    plan.is_fallback = prng_.Chance(0.5);
    const bool keeps = options_.is_fallback && plan.is_fallback && sets_[options_.self] != 0;
    for (size_t i = keeps ? 1 : 0; i < holds_for_.size(); ++i) holds_for_[i] = PutCore::kNoFallback;
    holds_for_.resize(holds_for_.size() + plan.fallbacks, PutCore::kNoFallback);
    LookForTwo();
    Take(core, core.OnNewLists(plan));
  }
  void LookForTwo() {
    two_ = std::any_of(sets_.begin(), sets_.end(), [](ListSet s) { return (s & kInMove) != 0; });
  }
  bool Met(ListSet list, const PutCore::Needs& needs) const {
    std::set<size_t> held;
    uint32_t primaries = 0;
    for (const size_t i : primaries_) {
      if ((sets_[i] & list) != 0 && held.insert(i).second) ++primaries;
    }
    for (const size_t i : holds_for_) {
      if (i != PutCore::kNoFallback && (sets_[i] & list) != 0) held.insert(i);
    }
    return held.size() >= needs.w && primaries >= needs.pw;
  }
  void Take(const PutCore& core, const PutCore::Actions& actions) {
    for (const auto& action : actions) {
      switch (action.kind) {
        case Kind::kSendWrite:
          TakeSend(action);
          break;
        case Kind::kOwe:
          EXPECT_EQ(ends_, 1);
          EXPECT_TRUE(updated_ && !options_.is_fallback);
          EXPECT_EQ(primaries_.count(action.replica), 0U);
          EXPECT_TRUE(owed_.insert(action.replica).second);
          break;
        default:
          ++ends_;
          EXPECT_EQ(action.kind == Kind::kDone,
                    Met(kInRead, needs_) && (!two_ || Met(kInMove, other_)));
      }
    }
    EXPECT_LE(ends_, 1);
    EXPECT_EQ(core.finished(), ends_ > 0);
  }
  void TakeSend(const PutCore::Action& action) {
    EXPECT_NE(sets_[action.replica], 0);
    Ask({action.replica, action.fallback});
    if (action.fallback == PutCore::kNoFallback) {
      EXPECT_TRUE(usable_[action.replica]);
      return;
    }
    EXPECT_GT(options_.fallbacks, 0U) << "a strict write asks no stand-in";
    EXPECT_EQ(ends_, 0) << "nor does one that has ended";
    EXPECT_TRUE(used_.insert(action.fallback).second) << "for one replica only, and once";
  }
  void CheckOwed() const {
    for (size_t i = 0; i < n_; ++i) {
      const bool own = i == options_.self || sets_[i] == 0;
      if (own || options_.is_fallback || primaries_.count(i) > 0) continue;
      const bool stood_for = std::find(holds_for_.begin(), holds_for_.end(), i) != holds_for_.end();
      EXPECT_EQ(owed_.count(i), stood_for ? owed_.count(i) : 1U) << i;
    }
  }

  base::Prng prng_;
  size_t n_;
  PutCore::Options options_;
  PutCore::Needs needs_, other_;
  bool two_ = false;
  Sets sets_;
  std::vector<bool> usable_;
  std::set<Request> waiting_;
  std::set<size_t> primaries_, owed_, used_;
  std::vector<size_t> holds_for_;  // by fallback
  bool updated_ = false;
  int ends_ = 0;
};

TEST(PutCoreMustHold, M16_RandomSloppyWritesCountEachReplicaOnce) {
  for (uint64_t seed = 0; seed < 20000 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    RandomRun(seed).Go();
  }
}

}  // namespace
}  // namespace lariat::coordinator

// SPDX-License-Identifier: Apache-2.0
#include "coordinator/put_core.h"

#include <gtest/gtest.h>

#include <set>

#include "base/prng.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using Kind = PutCore::ActionKind;

std::set<size_t> Sends(const PutCore::Actions& actions) {
  std::set<size_t> replicas;
  for (const auto& action : actions) {
    if (action.kind == Kind::kSendWrite) {
      EXPECT_TRUE(replicas.insert(action.replica).second);
    }
  }
  return replicas;
}

bool Has(const PutCore::Actions& actions, Kind kind) {
  for (const auto& action : actions) {
    if (action.kind == kind) return true;
  }
  return false;
}

// The worked example of the header.
TEST(PutCore, OwnSyncAndOneAckOfThreeIsDone) {
  PutCore core({.lists = {{2}}, .self = 0}, {true, true, true});
  EXPECT_EQ(Sends(core.OnUpdated()), (std::set<size_t>{1, 2}));
  EXPECT_TRUE(core.OnAck(0).empty());
  EXPECT_EQ(core.Acks(), 1U);
  EXPECT_TRUE(Has(core.OnAck(1), Kind::kDone));
  EXPECT_EQ(core.Missing(), std::vector<size_t>{2});
  EXPECT_TRUE(core.OnAck(2).empty());  // late
  EXPECT_EQ(core.Acks(), 3U);
  EXPECT_TRUE(core.Missing().empty());
}

TEST(PutCoreMustHold, M17_BeforeTheUpdateFailuresAreDefinite) {
  PutCore core({.lists = {{2}}, .self = 1}, {true, true, true});
  EXPECT_TRUE(Has(core.OnRefused({Code::kDiskFull, "full"}), Kind::kFail));
  EXPECT_EQ(core.error().code, Code::kDiskFull);
  EXPECT_TRUE(core.OnTimeout().empty());
}

TEST(PutCoreMustHold, M17_AfterTheUpdateFailuresAreUnknown) {
  PutCore core({.lists = {{3}}, .self = 0}, {true, true, true});
  core.OnUpdated();
  const auto actions = core.OnFailure(1, {Code::kDiskFull, "full"});
  EXPECT_TRUE(Has(actions, Kind::kFail));
  EXPECT_EQ(core.error().code, Code::kUnknown);
  EXPECT_EQ(core.error().needed, 3U);
}

TEST(PutCoreMustHold, M17_ATimeoutIsAlwaysUnknown) {
  // Even before the update is in: a stalled engine may take it later.
  PutCore early({.lists = {{1}}, .self = 0}, {true, true});
  EXPECT_TRUE(Has(early.OnTimeout(), Kind::kFail));
  EXPECT_EQ(early.error().code, Code::kUnknown);
  const auto after = early.OnUpdated();
  EXPECT_TRUE(Sends(after).empty());
  EXPECT_TRUE(Has(after, Kind::kOwe)) << "the other replica lacks what is in this one now";
  PutCore late({.lists = {{2}}, .self = 0}, {true, true});
  late.OnUpdated();
  EXPECT_TRUE(Has(late.OnTimeout(), Kind::kFail));
  EXPECT_EQ(late.error().code, Code::kUnknown);
}

TEST(PutCore, UnreachableReplicasAreNotSentTo) {
  PutCore core({.lists = {{2}}, .self = 2}, {false, true, true});
  EXPECT_EQ(Sends(core.OnUpdated()), (std::set<size_t>{1}));
  EXPECT_TRUE(core.OnAck(0).empty());
  EXPECT_EQ(core.Acks(), 0U);
  core.OnAck(2);
  EXPECT_TRUE(Has(core.OnAck(1), Kind::kDone));
  EXPECT_EQ(core.Missing(), std::vector<size_t>{0});
}

TEST(PutCoreMustHold, M16_AnAckCountsOnce) {
  PutCore core({.lists = {{2}}, .self = 0}, {true, true, true});
  core.OnUpdated();
  EXPECT_TRUE(core.OnAck(1).empty());
  EXPECT_TRUE(core.OnAck(1).empty());
  EXPECT_EQ(core.Acks(), 1U);
  core.OnFailure(1, {});
  EXPECT_EQ(core.Acks(), 1U);
  EXPECT_TRUE(Has(core.OnAck(0), Kind::kDone));
}

// --- order (last writer wins) ------------------------------------------------------------------

using causal::HlcStamp;
using causal::Standing;

constexpr HlcStamp kSix{6};

PutCore Ordered(uint32_t n = 3, uint32_t w = 2, uint32_t r = 2) {
  return PutCore({.lists = {{w, 0, n - std::min(r, w) + 1, n - r + 1}}, .self = 0},
                 std::vector<bool>(n, true));
}

const PutCore::Action* Find(const PutCore::Actions& actions, Kind kind) {
  for (const auto& action : actions) {
    if (action.kind == kind) return &action;
  }
  return nullptr;
}

// The worked example of the header.
TEST(PutCoreOrder, AnOvertakenWriteGetsAnotherStamp) {
  PutCore core = Ordered();
  core.OnUpdated();
  core.OnAck(0);
  const auto actions = core.OnAck(1, Standing::kNeverHeld, kSix);
  const auto* restamp = Find(actions, Kind::kRestamp);
  ASSERT_NE(restamp, nullptr) << "two copies are durable, and it would be lost";
  EXPECT_TRUE(restamp->unless_shown);
  EXPECT_EQ(core.greater(), kSix);
  EXPECT_TRUE(core.OnAck(2, Standing::kNeverHeld, kSix).empty()) << "of the stamp before";
  EXPECT_EQ(Sends(core.OnRestamped()), (std::set<size_t>{1, 2}));
  EXPECT_EQ(core.round(), 1U);
  EXPECT_FALSE(core.finished());
  EXPECT_TRUE(Has(core.OnAck(2), Kind::kDone));
}

TEST(PutCoreOrder, ReplicasThatHeldItAreEnough) {
  PutCore core = Ordered();
  core.OnUpdated();
  core.OnAck(0);
  EXPECT_TRUE(Has(core.OnAck(1, Standing::kHeld, kSix), Kind::kDone)) << "a later one came since";
}

TEST(PutCoreOrder, WhatWasShownWaitsForOtherProof) {
  PutCore core = Ordered();
  core.OnUpdated();
  core.OnAck(0);
  EXPECT_TRUE(Has(core.OnAck(1, Standing::kNeverHeld, kSix), Kind::kRestamp));
  EXPECT_TRUE(core.OnShown().empty());
  EXPECT_FALSE(core.finished());
  const auto proven = core.OnAck(2, Standing::kNeverHeld, kSix);
  const auto* restamp = Find(proven, Kind::kRestamp);
  ASSERT_NE(restamp, nullptr);
  EXPECT_FALSE(restamp->unless_shown);

  PutCore held = Ordered();
  held.OnUpdated();
  held.OnAck(0);
  held.OnAck(1, Standing::kNeverHeld, kSix);
  held.OnShown();
  EXPECT_TRUE(Has(held.OnAck(2), Kind::kDone));
}

TEST(PutCoreOrder, WithoutProofTheOutcomeIsUnknown) {
  PutCore core = Ordered();
  core.OnUpdated();
  core.OnAck(0);
  core.OnAck(1, Standing::kNeverHeld, kSix);
  core.OnShown();
  EXPECT_TRUE(Has(core.OnFailure(2, {Code::kUnavailable, "gone"}), Kind::kFail));
  EXPECT_EQ(core.error().code, Code::kUnknown);
  EXPECT_NE(core.error().message.find("order"), std::string::npos);

  PutCore unsure = Ordered();
  unsure.OnUpdated();
  unsure.OnAck(0);
  EXPECT_TRUE(unsure.OnAck(1, Standing::kUnsure, kSix).empty());
  EXPECT_TRUE(Has(unsure.OnAck(2, Standing::kUnsure, kSix), Kind::kFail));
}

TEST(PutCoreOrder, WhatArrivesWhileTheStampIsMadeIsRemembered) {
  PutCore core = Ordered();
  core.OnUpdated();
  EXPECT_TRUE(Has(core.OnAck(1, Standing::kNeverHeld, kSix), Kind::kRestamp));
  EXPECT_TRUE(core.OnAck(0).empty());
  EXPECT_TRUE(core.OnAck(2).empty());
  EXPECT_TRUE(Has(core.OnShown(), Kind::kDone)) << "two held it after all";
}

TEST(PutCoreOrder, RoundsAreBounded) {
  PutCore core = Ordered();
  core.OnUpdated();
  core.OnAck(0);
  uint32_t rounds = 0;
  while (Has(core.OnAck(1, Standing::kNeverHeld, {100 + rounds}), Kind::kRestamp)) {
    core.OnRestamped();
    ++rounds;
  }
  EXPECT_EQ(rounds, PutCore::kRoundsMax - 1);
  EXPECT_TRUE(core.finished());
  EXPECT_EQ(core.error().code, Code::kUnknown);
}

TEST(PutCoreOrder, AllReplicasNeedNoOther) {
  PutCore core({.lists = {{3, 0, 1, 3}}, .self = 0}, {true, true, true});
  core.OnUpdated();
  core.OnAck(0);
  core.OnAck(1, Standing::kNeverHeld, kSix);
  EXPECT_TRUE(Has(core.OnAck(2, Standing::kNeverHeld, kSix), Kind::kDone))
      << "whatever was acknowledged was in the coordinator's record";
}

TEST(PutCoreOrder, BothListsHaveToProveIt) {
  PutCore core({.lists = {{2, 0, 2, 2}, {2, 0, 2, 2}}, .self = 0}, {true, true, true, true, true},
               {kInRead, kInBoth, kInRead, kInMove, kInMove});
  core.OnUpdated();
  core.OnAck(0);
  EXPECT_TRUE(core.OnAck(1, Standing::kNeverHeld, kSix).empty()) << "one of the other list";
  EXPECT_TRUE(Has(core.OnAck(3, Standing::kNeverHeld, kSix), Kind::kRestamp));
  EXPECT_EQ(Sends(core.OnRestamped()), (std::set<size_t>{1, 2, 3, 4}));
  core.OnAck(1);
  EXPECT_TRUE(Has(core.OnAck(4), Kind::kDone));
}

TEST(PutCoreOrder, NobodyOrdersWhatAStandInTookPartIn) {
  PutCore core({.lists = {{2, 0, 2, 2}}, .self = 0, .fallbacks = 1}, {true, true, false});
  core.OnUpdated();
  EXPECT_FALSE(core.Ordered());
  core.OnAck(0);
  EXPECT_TRUE(Has(core.OnAck(1, Standing::kNeverHeld, kSix), Kind::kDone));
}

// --- two lists -----------------------------------------------------------------------------------

using Sets = std::vector<ListSet>;

// The read list alone would allow another stamp, the other list has the write: nothing is to come.
TEST(PutCoreOrder, WhatTwoListsDoNotAgreeOnEnds) {
  PutCore core({.lists = {{2, 0, 2, 2}, {2, 0, 2, 2}}, .self = 0}, {true, true, true, true, true},
               {kInRead, kInRead, kInBoth, kInMove, kInMove});
  core.OnUpdated();
  core.OnAck(0);
  core.OnAck(3);
  core.OnAck(4);
  EXPECT_FALSE(core.finished());
  core.OnAck(1, Standing::kNeverHeld, kSix);
  EXPECT_TRUE(Has(core.OnAck(2, Standing::kNeverHeld, kSix), Kind::kFail));
  EXPECT_EQ(core.error().code, Code::kUnknown);
}

PutCore::Plan NewPlan(uint32_t w, uint32_t w_other, std::vector<bool> usable, Sets sets) {
  return {.lists = {{w}, {w_other}}, .usable = std::move(usable), .sets = std::move(sets)};
}

// The second worked example of the header: A B C and B C D.
TEST(PutCoreMustHold, M20_AWriteNeedsItsQuorumInBothLists) {
  PutCore core({.lists = {{2}, {2}}, .self = 0}, {true, true, true, true},
               {kInRead, kInBoth, kInBoth, kInMove});
  EXPECT_EQ(Sends(core.OnUpdated()), (std::set<size_t>{1, 2, 3}));
  core.OnAck(0);
  EXPECT_TRUE(core.OnAck(1).empty()) << "two of the read list, one of the other";
  EXPECT_EQ(core.Acks(), 2U);
  EXPECT_TRUE(Has(core.OnAck(3), Kind::kDone));
  EXPECT_EQ(core.Acks(), 2U) << "of the read list";
  EXPECT_EQ(core.Missing(), std::vector<size_t>{2});
}

TEST(PutCoreMustHold, M20_OneNodeMayCountInBoth) {
  PutCore core({.lists = {{2}, {2}}, .self = 0}, {true, true, true, true},
               {kInBoth, kInBoth, kInRead, kInMove});
  core.OnUpdated();
  core.OnAck(1);
  EXPECT_TRUE(Has(core.OnAck(0), Kind::kDone));
}

TEST(PutCore, AListForEachDatacenterIsTheSameArithmetic) {
  constexpr ListSet kHere = kInRead | InList(1);
  constexpr ListSet kThere = kInRead | InList(2);
  PutCore core({.lists = {{2}, {1}, {1}}, .self = 0}, {true, true, true}, {kHere, kHere, kThere});
  core.OnUpdated();
  core.OnAck(0);
  EXPECT_TRUE(core.OnAck(1).empty()) << "two of the read list, none of the other datacenter";
  EXPECT_TRUE(Has(core.OnAck(2), Kind::kDone));
}

TEST(PutCoreMustHold, M20_AListThatCannotBeMetIsUnknownWithItsNumbers) {
  PutCore core({.lists = {{1}, {2}}, .self = 0}, {true, true, true}, {kInRead, kInMove, kInMove});
  core.OnUpdated();
  core.OnAck(0);
  core.OnAck(1);
  EXPECT_TRUE(Has(core.OnFailure(2, {Code::kIo, "disk"}), Kind::kFail));
  EXPECT_EQ(core.error().code, Code::kUnknown);
  EXPECT_EQ(core.error().needed, 2U);
  EXPECT_EQ(core.error().alive, 1U);
}

TEST(PutCoreMustHold, M20_AfterANewPlanAcknowledgementsStayAndNewReplicasAreAsked) {
  PutCore core({.lists = {{2}}, .self = 0}, {true, true, true});
  core.OnUpdated();
  core.OnAck(0);
  // C leaves the read list in favour of D, which has to have it too.
  const auto actions = core.OnNewLists(
      NewPlan(2, 2, {true, true, true, true}, {kInBoth, kInBoth, kInRead, kInMove}));
  EXPECT_EQ(Sends(actions), std::set<size_t>{3});
  EXPECT_TRUE(core.OnAck(2).empty()) << "A and C are two of the read list, only A is in the other";
  EXPECT_TRUE(Has(core.OnAck(3), Kind::kDone));
}

TEST(PutCoreMustHold, M20_AReplicaOfNoListDoesNotCount) {
  PutCore core({.lists = {{2}}, .self = 0}, {true, true, true});
  core.OnUpdated();
  core.OnAck(0);
  const auto actions =
      core.OnNewLists(NewPlan(2, 1, {false, true, true, true}, {0, kInRead, kInRead, kInRead}));
  EXPECT_EQ(Sends(actions), std::set<size_t>{3});
  EXPECT_EQ(core.Acks(), 0U);
  EXPECT_TRUE(core.OnAck(1).empty());
  EXPECT_TRUE(Has(core.OnAck(3), Kind::kDone));
  EXPECT_EQ(core.Missing(), std::vector<size_t>{2});
}

TEST(PutCore, ANewPlanMayBeMetAlreadyOrAskAFailedOneAgain) {
  PutCore met({.lists = {{3}}, .self = 0}, {true, true, true});
  met.OnUpdated();
  met.OnAck(0);
  met.OnAck(1);
  EXPECT_TRUE(Has(met.OnNewLists(NewPlan(2, 1, {true, true, true}, {kInRead, kInRead, kInRead})),
                  Kind::kDone));
  PutCore failed({.lists = {{2}}, .self = 0}, {true, true, true});
  failed.OnUpdated();
  failed.OnFailure(1, {Code::kIo, "disk"});
  EXPECT_EQ(
      Sends(failed.OnNewLists(NewPlan(2, 1, {true, true, true}, {kInRead, kInRead, kInRead}))),
      std::set<size_t>{1});
}

// Two lists that change on the way: done means that each is met at that moment.
class MovingRun {
 public:
  explicit MovingRun(uint64_t seed) : prng_(seed) {}

  void Go() {
    const size_t count = 2 + prng_.Below(5);
    NewLists(count);
    for (ListSet& set : sets_) set = std::max(set, kInRead);
    sets_[0] |= kInRead;  // the coordinator is in the read list
    usable_[0] = true;
    PutCore core({.lists = {{w_}, {w_other_}}, .self = 0}, usable_, sets_);
    waiting_.insert(0);
    Take(core.OnUpdated());
    while (!waiting_.empty()) {
      if (prng_.Chance(0.1)) {
        NewLists(sets_.size() + prng_.Below(2));
        Take(core.OnNewLists(NewPlan(w_, w_other_, usable_, sets_)));
        continue;
      }
      auto at = waiting_.begin();
      std::advance(at, prng_.Below(waiting_.size()));
      const size_t replica = *at;
      waiting_.erase(at);
      if (prng_.Chance(0.75)) {
        if (sets_[replica] != 0) acked_.insert(replica);
        Take(core.OnAck(replica));
      } else {
        Take(core.OnFailure(replica, {Code::kTimeout, "late"}));
      }
    }
    EXPECT_TRUE(core.finished()) << "nothing is outstanding, so it has to have ended";
    EXPECT_EQ(ends_, 1);
  }

 private:
  void NewLists(size_t count) {
    sets_.assign(count, 0);
    usable_.assign(count, false);
    for (size_t i = 0; i < count; ++i) {
      sets_[i] = static_cast<ListSet>(prng_.Below(4));
      usable_[i] = prng_.Chance(0.8);
    }
    w_ = static_cast<uint32_t>(1 + prng_.Below(3));
    w_other_ = static_cast<uint32_t>(1 + prng_.Below(3));
    // A node that is no replica may drop what it held.
    for (size_t i = 0; i < count; ++i) {
      if (sets_[i] == 0) acked_.erase(i);
    }
  }
  uint32_t Holders(ListSet list) const {
    uint32_t holders = 0;
    for (const size_t i : acked_) holders += (sets_[i] & list) != 0 ? 1 : 0;
    return holders;
  }
  void Take(const PutCore::Actions& actions) {
    for (const size_t replica : Sends(actions)) {
      EXPECT_TRUE(usable_[replica]);
      EXPECT_NE(sets_[replica], 0);
      EXPECT_TRUE(waiting_.insert(replica).second) << "one request at a time";
    }
    for (const auto& action : actions) {
      if (action.kind == Kind::kSendWrite || action.kind == Kind::kOwe) continue;
      ++ends_;
      const bool two =
          std::any_of(sets_.begin(), sets_.end(), [](ListSet set) { return (set & kInMove) != 0; });
      const bool met = Holders(kInRead) >= w_ && (!two || Holders(kInMove) >= w_other_);
      EXPECT_EQ(action.kind == Kind::kDone, met);
    }
  }

  base::Prng prng_;
  Sets sets_;
  std::vector<bool> usable_;
  uint32_t w_ = 1, w_other_ = 1;
  std::set<size_t> waiting_, acked_;
  int ends_ = 0;
};

TEST(PutCoreMustHold, M20_RandomOrdersAreDoneOnlyWithBothLists) {
  for (uint64_t seed = 0; seed < 20000 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    MovingRun(seed).Go();
  }
}

// --- any order -----------------------------------------------------------------------------------

// Random acks, failures, repetitions and time-outs.
class RandomRun {
 public:
  explicit RandomRun(uint64_t seed) : prng_(seed), n_(1 + prng_.Below(5)) {
    options_.lists = {{static_cast<uint32_t>(1 + prng_.Below(n_))}};
    options_.self = prng_.Below(n_);
    for (size_t i = 0; i < n_; ++i) usable_.push_back(i == options_.self || prng_.Chance(0.8));
  }

  void Go() {
    PutCore core(options_, usable_);
    const bool refused = prng_.Chance(0.1);
    const bool early_timeout = prng_.Chance(0.1);
    if (early_timeout) Take(core, core.OnTimeout());
    if (refused) {
      Take(core, core.OnRefused({Code::kStalled, ""}));
      EXPECT_EQ(core.error().code, early_timeout ? Code::kUnknown : Code::kStalled);
      EXPECT_EQ(ends_, 1);
      return;
    }
    waiting_.insert(options_.self);
    Take(core, core.OnUpdated());
    EXPECT_EQ(sent_, core.finished() && ends_before_send_ ? std::set<size_t>{} : Others());
    while (!waiting_.empty() && (!core.finished() || prng_.Chance(0.8))) Step(core);
    // Nothing is outstanding any more: it must have ended.
    if (waiting_.empty()) {
      EXPECT_TRUE(core.finished());
    }
    if (!core.finished()) Take(core, core.OnTimeout());
    EXPECT_EQ(ends_, 1);
    if (!done_) {
      EXPECT_EQ(core.error().code, Code::kUnknown);
    }
    EXPECT_EQ(core.Acks(), acked_.size());
    EXPECT_EQ(core.Missing().size(), n_ - acked_.size());
    Take(core, core.OnTimeout());
    for (size_t i = 0; i < n_; ++i) {
      const bool accounted = i == options_.self || owed_.count(i) + acked_.count(i) > 0;
      EXPECT_TRUE(accounted) << i;
    }
  }

 private:
  std::set<size_t> Others() const {
    std::set<size_t> others;
    for (size_t i = 0; i < n_; ++i) {
      if (usable_[i] && i != options_.self) others.insert(i);
    }
    return others;
  }
  void Step(PutCore& core) {
    auto at = waiting_.begin();
    std::advance(at, prng_.Below(waiting_.size()));
    const size_t replica = *at;
    waiting_.erase(at);
    if (prng_.Chance(0.7)) {
      acked_.insert(replica);
      Take(core, core.OnAck(replica));
    } else {
      Take(core, core.OnFailure(replica, {Code::kTimeout, "late"}));
    }
    if (prng_.Chance(0.1)) Take(core, core.OnAck(replica));  // repeated, or after a failure
    if (prng_.Chance(0.03)) Take(core, core.OnTimeout());
  }
  void Take(const PutCore& core, const PutCore::Actions& actions) {
    const std::set<size_t> sends = Sends(actions);
    sent_.insert(sends.begin(), sends.end());
    waiting_.insert(sends.begin(), sends.end());
    for (const auto& action : actions) {
      if (action.kind == Kind::kSendWrite) continue;
      if (action.kind == Kind::kOwe) {
        EXPECT_EQ(ends_, 1) << "nothing is owed before the end";
        EXPECT_EQ(acked_.count(action.replica), 0U);
        EXPECT_TRUE(owed_.insert(action.replica).second) << "owed once";
        continue;
      }
      ++ends_;
      done_ = action.kind == Kind::kDone;
      if (done_) {
        EXPECT_GE(acked_.size(), options_.lists[0].w);
      }
      if (!done_) {
        EXPECT_LT(acked_.size(), options_.lists[0].w);
      }
      if (sent_.empty()) ends_before_send_ = true;
    }
    EXPECT_EQ(core.finished(), ends_ > 0);
    EXPECT_LE(ends_, 1);
  }

  base::Prng prng_;
  size_t n_;
  PutCore::Options options_;
  std::vector<bool> usable_;
  std::set<size_t> waiting_, sent_, acked_, owed_;
  int ends_ = 0;
  bool done_ = false;
  bool ends_before_send_ = false;
};

TEST(PutCore, RandomOrdersEndExactlyOnceAndRightly) {
  for (uint64_t seed = 0; seed < 20000 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    RandomRun(seed).Go();
  }
}

}  // namespace
}  // namespace lariat::coordinator

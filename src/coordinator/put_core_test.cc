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
  PutCore core({.w = 2, .self = 0}, {true, true, true});
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
  PutCore core({.w = 2, .self = 1}, {true, true, true});
  EXPECT_TRUE(Has(core.OnRefused({Code::kDiskFull, "full"}), Kind::kFail));
  EXPECT_EQ(core.error().code, Code::kDiskFull);
  EXPECT_TRUE(core.OnTimeout().empty());
}

TEST(PutCoreMustHold, M17_AfterTheUpdateFailuresAreUnknown) {
  PutCore core({.w = 3, .self = 0}, {true, true, true});
  core.OnUpdated();
  const auto actions = core.OnFailure(1, {Code::kDiskFull, "full"});
  EXPECT_TRUE(Has(actions, Kind::kFail));
  EXPECT_EQ(core.error().code, Code::kUnknown);
  EXPECT_EQ(core.error().needed, 3U);
}

TEST(PutCoreMustHold, M17_ATimeoutIsAlwaysUnknown) {
  // Even before the update is in: a stalled engine may take it later.
  PutCore early({.w = 1, .self = 0}, {true, true});
  EXPECT_TRUE(Has(early.OnTimeout(), Kind::kFail));
  EXPECT_EQ(early.error().code, Code::kUnknown);
  EXPECT_TRUE(early.OnUpdated().empty());
  PutCore late({.w = 2, .self = 0}, {true, true});
  late.OnUpdated();
  EXPECT_TRUE(Has(late.OnTimeout(), Kind::kFail));
  EXPECT_EQ(late.error().code, Code::kUnknown);
}

TEST(PutCore, UnreachableReplicasAreNotSentTo) {
  PutCore core({.w = 2, .self = 2}, {false, true, true});
  EXPECT_EQ(Sends(core.OnUpdated()), (std::set<size_t>{1}));
  EXPECT_TRUE(core.OnAck(0).empty());
  EXPECT_EQ(core.Acks(), 0U);
  core.OnAck(2);
  EXPECT_TRUE(Has(core.OnAck(1), Kind::kDone));
  EXPECT_EQ(core.Missing(), std::vector<size_t>{0});
}

TEST(PutCoreMustHold, M16_AnAckCountsOnce) {
  PutCore core({.w = 2, .self = 0}, {true, true, true});
  core.OnUpdated();
  EXPECT_TRUE(core.OnAck(1).empty());
  EXPECT_TRUE(core.OnAck(1).empty());
  EXPECT_EQ(core.Acks(), 1U);
  core.OnFailure(1, {});
  EXPECT_EQ(core.Acks(), 1U);
  EXPECT_TRUE(Has(core.OnAck(0), Kind::kDone));
}

// Random acks, failures, repetitions and time-outs.
class RandomRun {
 public:
  explicit RandomRun(uint64_t seed) : prng_(seed), n_(1 + prng_.Below(5)) {
    options_ = {.w = static_cast<uint32_t>(1 + prng_.Below(n_)), .self = prng_.Below(n_)};
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
      ++ends_;
      done_ = action.kind == Kind::kDone;
      if (done_) {
        EXPECT_GE(acked_.size(), options_.w);
      }
      if (!done_) {
        EXPECT_LT(acked_.size(), options_.w);
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
  std::set<size_t> waiting_, sent_, acked_;
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

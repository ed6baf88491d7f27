// SPDX-License-Identifier: Apache-2.0
// The proof of the sweep under random schedules: three replicas of one key and two stand-ins, late
// and repeated messages, hints, members that are away for any time and come back with old data,
// records that a former owner has yet to clean up. What was deleted never shows again, and what can
// be purged is purged in the end. Sweeps with a step left out are found.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <map>
#include <set>

#include "base/prng.h"
#include "repair/sweep/sweep_core.h"

namespace lariat::repair {
namespace {

using base::Instant;
using base::Millis;
using causal::Object;
using wire::SweepState;
using wire::SweepStep;

constexpr size_t kReplicas = 3;
constexpr size_t kMembers = 5;
constexpr int64_t kLifeMs = 120;  // of a message
constexpr int64_t kCallMs = 40;   // after which nobody waits for a reply
constexpr base::WallTime kNow{1'000'000};
const std::string kKey = "k";

// Left out of the proof.
struct Bugs {
  bool no_second_hints = false;
  bool without_one_replica = false;
  bool by_time_alone = false;
  bool no_pauses = false;
  bool uncleaned_ignored = false;
};

class Schedule {
 public:
  Schedule(uint64_t seed, Bugs bugs) : random_(seed), bugs_(bugs) {}

  // Random events, then a time in which everything works. False: something deleted was seen.
  bool Round() {
    const uint64_t steps = 20 + random_.Below(1500);
    for (uint64_t i = 0; i < steps; ++i) {
      if (i % 200 == 0) weather_ = DrawWeather();
      Step();
    }
    return Settle();
  }
  uint64_t folded() const { return folded_; }
  uint64_t storm() const { return storm_; }
  bool stuck() const { return stuck_; }
  const std::string& trouble() const { return trouble_; }

 private:
  struct Member {
    bool alive = true;
    std::optional<Object> record;
    std::optional<causal::Actor> own_actor;
    std::map<size_t, Object> hints;  // by target
    std::optional<Object> leftover;  // of a range that is not its own any more
  };
  struct Weather {  // chances of each step
    double writes = 0, deaths = 0, moves = 0, hints = 0;
  };
  Weather DrawWeather() {
    const auto one_of = [this](double a, double b, double c) {
      const uint64_t choice = random_.Below(3);
      return choice == 0 ? a : choice == 1 ? b : c;
    };
    return {one_of(0, 0.01, 0.05), one_of(0, 0, 0.03), one_of(0, 0.003, 0.01),
            one_of(0, 0.05, 0.1)};
  }
  struct Message {
    Instant due;
    size_t to = 0;
    std::function<void()> run;
  };

  Instant Later(int64_t ms_max) {
    return now_ + Millis(static_cast<int64_t>(random_.Below(static_cast<uint64_t>(ms_max))));
  }
  // Arrives once, twice or never; never later than a message can be under way.
  void Send(size_t to, std::function<void()> run) {
    if (random_.Chance(0.15)) return;
    const size_t times = random_.Chance(0.1) ? 2 : 1;
    // Most are fast, so that those that are not can be overtaken.
    for (size_t i = 0; i < times; ++i) {
      messages_.push_back({Later(random_.Chance(0.6) ? 10 : kLifeMs), to, run});
    }
  }
  void SendState(size_t to, const Object& state) {
    Send(to, [this, to, state] { JoinInto(to, state); });
  }
  void JoinInto(size_t to, const Object& state) {
    auto& record = members_[to].record;
    if (!record) {
      record = state;
    } else {
      ASSERT_TRUE(record->Join(state));
    }
  }

  void Step() {
    now_ += Millis(static_cast<int64_t>(random_.Below(8)));
    Deliver();
    RunSweep();
    // Proofs need some calm, and what they are to be deceived by needs some storm.
    if (random_.Chance(weather_.writes)) Write(false);
    if (random_.Chance(weather_.writes)) Write(true);
    if (random_.Chance(weather_.deaths)) members_[random_.Below(kMembers)].alive = false;
    if (random_.Chance(0.05)) members_[random_.Below(kMembers)].alive = true;
    if (random_.Chance(0.05)) Exchange();
    if (random_.Chance(weather_.hints)) DeliverHint();
    if (random_.Chance(weather_.moves)) MoveAway();
    if (random_.Chance(weather_.moves / 4)) CleanUp();
    if (random_.Chance(weather_.moves)) ComeBack();
    if (!batch_ && random_.Chance(0.3)) StartSweep();
  }
  void Deliver() {
    for (size_t i = 0; i < messages_.size();) {
      if (messages_[i].due > now_) {
        ++i;
        continue;
      }
      Message message = std::move(messages_[i]);
      messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(i));
      if (members_[message.to].alive) message.run();
    }
  }

  void Write(bool remove) {
    const size_t at = random_.Below(kReplicas);
    Member& member = members_[at];
    if (!member.alive) return;
    if (!member.record) {
      member.record = Object(causal::Kind::kSiblings);
      member.own_actor.reset();
    }
    if (!member.own_actor) member.own_actor = causal::Actor{at, 1, ++mints_};
    causal::DvvSet& set = *member.record->dvv();
    causal::Value value;
    value.tombstone = remove;
    if (!remove) value.bytes = "v" + std::to_string(++tokens_);
    const bool aware = remove || random_.Chance(0.5);
    if (aware) {
      for (const auto& v : set.values()) gone_.insert(v.value.bytes);
    }
    set.Update(aware ? set.history() : causal::DotSet{}, std::move(value), *member.own_actor);
    const Object state = *member.record;
    for (size_t to = 0; to < kReplicas; ++to) {
      if (to == at) continue;
      if (members_[to].alive && random_.Chance(0.6)) {
        SendState(to, state);
      } else if (random_.Chance(0.7)) {
        const size_t holder = kReplicas + random_.Below(kMembers - kReplicas);
        Send(holder, [this, holder, to, state] {
          const auto [hint, is_new] = members_[holder].hints.emplace(to, state);
          EXPECT_TRUE(is_new || hint->second.Join(state));
        });
      }
    }
  }
  void Exchange() {
    const size_t from = random_.Below(kReplicas);
    const size_t to = random_.Below(kReplicas);
    if (!members_[from].alive || !members_[from].record || from == to) return;
    SendState(to, *members_[from].record);
  }
  void DeliverHint() {
    const size_t holder = kReplicas + random_.Below(kMembers - kReplicas);
    Member& member = members_[holder];
    if (!member.alive || member.hints.empty()) return;
    const auto [target, state] = *member.hints.begin();
    Send(target, [this, holder, target = target, state = state] {
      JoinInto(target, state);
      Send(holder, [this, holder, target, state] {
        auto& hints = members_[holder].hints;
        const auto hint = hints.find(target);
        if (hint != hints.end() && hint->second == state) hints.erase(hint);
      });
    });
  }
  // A stand-in was an owner earlier.
  void MoveAway() {
    const auto& record = members_[random_.Below(kReplicas)].record;
    Member& former = members_[kReplicas + random_.Below(kMembers - kReplicas)];
    if (record && !former.leftover) former.leftover = record;
  }
  void CleanUp() {
    Member& former = members_[kReplicas + random_.Below(kMembers - kReplicas)];
    if (former.alive) former.leftover.reset();
  }
  // It becomes an owner again, with what it has, and others copy from it.
  void ComeBack() {
    Member& former = members_[kReplicas + random_.Below(kMembers - kReplicas)];
    if (!former.leftover || !former.alive) return;
    SendState(random_.Below(kReplicas), *former.leftover);
    former.leftover.reset();
  }

  // --- the sweeper, at replica 0 ---

  void StartSweep() {
    const Member& self = members_[0];
    if (!self.alive || !self.record) return;
    const auto verdict = JudgeForSweep(*self.record, kNow, 0);
    SweepBatchPlan plan;
    if (verdict.decision == SweepDecision::kFold) {
      plan.step = SweepStep::kFold;
    } else if (verdict.decision != SweepDecision::kPurge) {
      return;
    }
    plan.self = 0;
    for (size_t i = 0; i < kMembers; ++i) plan.members.push_back(i);
    for (size_t i = 0; i < kReplicas; ++i) plan.replicas.push_back(i);
    plan.keys.push_back({kKey, DigestOf(*self.record)});
    SweepTimes times;
    times.settle = Millis(bugs_.no_pauses ? 0 : kLifeMs + kCallMs);
    batch_.emplace(std::move(plan), times);
    life_ = ++lives_;
    hints_ = 0;
  }
  static base::Hash128 DigestOf(const Object& object) { return Object::Digest(object.Encode()); }

  void RunSweep() {
    // A sweeper that dies forgets what it knew.
    if (batch_ && !members_[0].alive) batch_.reset();
    if (!batch_) return;
    for (SweepBatch::Ask& ask : batch_->Next(now_)) {
      if (const auto* hints = std::get_if<wire::HintsRequest>(&ask.request)) {
        ++hints_;
        AskHints(ask, *hints);
      } else {
        AskSweep(ask, std::get<wire::SweepRequest>(ask.request));
      }
    }
    if (batch_->Done()) FinishSweep();
  }
  void FinishSweep() {
    if (batch_->plan().step == SweepStep::kFold) folded_ += batch_->removed().size();
    if (!quiet_) storm_ += batch_->removed().size();
    for (const auto& unequal : batch_->unequal()) {
      if (members_[unequal.member].record && members_[0].alive) {
        SendState(0, *members_[unequal.member].record);
      }
      if (members_[0].record) SendState(unequal.member, *members_[0].record);
    }
    batch_.reset();
  }
  // Runs `use` for the batch that asked, if it still exists.
  template <typename Use>
  void Back(Use use) {
    messages_.push_back({Later(kCallMs / 5), 0, [this, life = life_, use] {
                           if (batch_ && life_ == life) use();
                         }});
  }
  void AskHints(const SweepBatch::Ask& ask, const wire::HintsRequest&) {
    const auto answer = [this, ask](const base::Result<wire::HintsReply>& reply) {
      Back([this, ask, reply] { batch_->OnHints(ask.member, ask.ticket, reply, now_); });
    };
    const bool second = hints_ > kMembers;
    if (bugs_.by_time_alone || (bugs_.no_second_hints && second)) return answer(wire::HintsReply{});
    Call(
        ask.member,
        [this, ask, answer] {
          const Member& member = members_[ask.member];
          wire::HintsReply reply;
          if (!member.hints.empty()) reply.hinted.push_back(kKey);
          if (member.leftover && !bugs_.uncleaned_ignored) reply.unclean = "it has old records";
          answer(reply);
        },
        [answer] { answer(base::Fail(base::Code::kTimeout, "silent")); });
  }
  void AskSweep(const SweepBatch::Ask& ask, const wire::SweepRequest& request) {
    const auto answer = [this, ask](const base::Result<wire::SweepReply>& reply) {
      Back([this, ask, reply] { batch_->OnSweep(ask.member, ask.ticket, reply, now_); });
    };
    const bool confirm = request.step == SweepStep::kConfirm;
    const bool unseen = bugs_.without_one_replica && ask.member == 1;
    if (unseen || (confirm && bugs_.by_time_alone)) {
      wire::SweepReply reply;
      reply.states = {SweepState::kSame};
      return answer(reply);
    }
    Call(
        ask.member,
        [this, ask, request, answer] {
          wire::SweepReply reply;
          reply.states = {Do(ask.member, request)};
          answer(reply);
        },
        [answer] { answer(base::Fail(base::Code::kTimeout, "silent")); });
  }
  // What a replica does; it may come long after the sweeper has given up.
  SweepState Do(size_t at, const wire::SweepRequest& request) {
    Member& member = members_[at];
    if (!member.record) return SweepState::kAbsent;
    const bool same = DigestOf(*member.record) == request.keys[0].digest;
    const auto decision = JudgeForSweep(*member.record, kNow, 0).decision;
    if (bugs_.by_time_alone ? decision != SweepDecision::kPurge : !same) {
      return SweepState::kDifferent;
    }
    if (request.step == SweepStep::kFold) member.record->Fold();
    if (request.step == SweepStep::kPurge) member.record.reset();
    if (request.step != SweepStep::kConfirm) member.own_actor.reset();
    return SweepState::kSame;
  }
  void Call(size_t to, std::function<void()> serve, std::function<void()> silent) {
    messages_.push_back({now_ + Millis(kCallMs), 0, std::move(silent)});
    if (!quiet_ && random_.Chance(0.03)) return;
    // Sometimes it is served after it was given up.
    const bool late = !quiet_ && random_.Chance(0.05);
    const Instant due = late ? now_ + Millis(kLifeMs) : Later(kCallMs / 5);
    messages_.push_back({due, to, std::move(serve)});
  }

  // --- a time in which everything works ---

  bool Settle() {
    quiet_ = true;
    for (Member& member : members_) member.alive = true;
    for (Member& member : members_) member.leftover.reset();
    for (int i = 0; i < 10; ++i) {
      Calm();
      if (Shown()) return false;
      if (!batch_ && !Purgeable()) break;
      StartSweep();
    }
    quiet_ = false;
    stuck_ = stuck_ || Purgeable();
    return true;
  }
  // Until nothing is under way any more and all replicas hold the same.
  void Calm() {
    while (batch_ || !messages_.empty()) {
      now_ += Millis(10);
      Deliver();
      RunSweep();
    }
    for (Member& member : members_) {
      for (const auto& [target, state] : member.hints) JoinInto(target, state);
      member.hints.clear();
    }
    for (int i = 0; i < 2; ++i) {
      for (size_t from = 0; from < kReplicas; ++from) {
        for (size_t to = 0; to < kReplicas; ++to) {
          if (members_[from].record && from != to) JoinInto(to, *members_[from].record);
        }
      }
    }
  }
  bool Purgeable() const {
    return members_[0].record &&
           JudgeForSweep(*members_[0].record, kNow, 0).decision != SweepDecision::kNothing;
  }
  bool Shown() {
    for (size_t i = 0; i < kReplicas; ++i) {
      if (!members_[i].record) continue;
      for (const auto& view : members_[i].record->LiveValues(kNow)) {
        if (gone_.contains(view.value->bytes)) trouble_ = view.value->bytes + " is back";
      }
    }
    return !trouble_.empty();
  }

  base::Prng random_;
  Bugs bugs_;
  Weather weather_;
  Instant now_{};
  std::array<Member, kMembers> members_;
  std::vector<Message> messages_;
  bool quiet_ = false;
  bool stuck_ = false;  // what could be purged was not
  std::optional<SweepBatch> batch_;
  uint64_t life_ = 0, lives_ = 0;
  size_t hints_ = 0;
  uint64_t mints_ = 0, tokens_ = 0;
  std::set<std::string> gone_;       // values that a client has deleted or replaced
  uint64_t folded_ = 0, storm_ = 0;  // storm: proven in bad weather
  std::string trouble_;
};

struct Outcome {
  std::string back;  // the first seed in which something deleted was seen; empty: none
  int stuck = 0;     // seeds in which something stayed that could go
  uint64_t folded = 0, storm = 0;
};
Outcome RunSeeds(uint64_t seeds, Bugs bugs) {
  Outcome outcome;
  for (uint64_t seed = 1; seed <= seeds && outcome.back.empty(); ++seed) {
    Schedule schedule(seed, bugs);
    bool good = true;
    for (int round = 0; round < 4 && good; ++round) good = schedule.Round();
    outcome.folded += schedule.folded();
    outcome.storm += schedule.storm();
    outcome.stuck += schedule.stuck() ? 1 : 0;
    if (!good) outcome.back = fmt::format("seed {}: {}", seed, schedule.trouble());
  }
  return outcome;
}
bool IsFound(Bugs bugs) { return !RunSeeds(5000, bugs).back.empty(); }

// Guards M12, M13: 1,000 seeds.
TEST(SweepSchedule, WhatIsDeletedStaysDeletedAndIsPurged) {
  const Outcome outcome = RunSeeds(1000, {});
  EXPECT_EQ(outcome.back, "");
  EXPECT_EQ(outcome.stuck, 0) << "what can be purged was not";
  EXPECT_GT(outcome.folded, 1000U);
  EXPECT_GT(outcome.storm, 100U) << "nothing is proven while the weather is bad";
}

// Guards M12, M45: 5 mutants.
TEST(SweepSchedule, SlowASweepWithAStepLeftOutIsFound) {
  EXPECT_TRUE(IsFound({.no_second_hints = true}));
  EXPECT_TRUE(IsFound({.without_one_replica = true}));
  EXPECT_TRUE(IsFound({.by_time_alone = true}));
  EXPECT_TRUE(IsFound({.no_pauses = true}));
  EXPECT_TRUE(IsFound({.uncleaned_ignored = true}));
}

}  // namespace
}  // namespace lariat::repair

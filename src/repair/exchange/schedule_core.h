// SPDX-License-Identifier: Apache-2.0
// With whom this node compares its records next. Pure; one comparison at a time. In this order:
//
//   1. what somebody asked for (`lariat repair`)
//   2. pairs in doubt: this node may have lost records, and refuses reads until it is done
//   3. pairs with a dirty mark: hints for the partner were dropped
//   4. partners that came back, and all of them when this node itself has started
//   5. each pair every repair.interval_s, a tenth sooner or later by chance
//
// A pair that failed waits, longer each time. When a node comes back both it and its partner know:
// the one with the smaller number begins at once, the other a few seconds later and then finds
// nothing to do.
//
// What was asked for is done when each pair had a complete comparison that began afterwards, and
// when nothing that one of them brought is missing from a partner that was compared before.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/prng.h"
#include "base/time.h"
#include "repair/exchange/exchange_core.h"
#include "repair/exchange/ranges.h"

namespace lariat::repair {

enum class Urgency : uint8_t { kDirty = 0, kBack = 1, kDoubt = 2 };

struct ScheduleOptions {
  bool enabled = true;  // false: only what is asked for, and pairs in doubt
  base::Duration interval = base::Seconds(600);
  base::Duration backoff_min = base::Seconds(2);
  base::Duration backoff_max = base::Seconds(120);
  base::Duration patience = base::Seconds(60);            // of a task with a silent partner
  base::Duration patience_unknown = base::Seconds(1800);  // with one that reads its data
  uint32_t rounds_max = 8;                                // comparisons of a pair for one task
};

struct RepairOrder {
  std::optional<uint32_t> bucket;        // nothing: all
  std::string bucket_name;               // for people
  std::optional<wire::TokenSpan> range;  // nothing: all that is held
};

struct RepairTask {
  uint64_t id = 0;
  RepairOrder order;
  enum class State : uint8_t { kRunning, kDone, kFailed } state = State::kRunning;
  int64_t asked_ms = 0;
  int64_t ended_ms = 0;
  std::string trouble;  // why it failed, or what it waits for
  uint64_t keys_received = 0, keys_sent = 0, bytes_sent = 0;
  struct Part {
    double share = 0;  // of the token space
    bool needed = true;
    bool given_up = false;
    bool reads_data = false;  // the trouble: a hash tree is being built, which takes its time
    uint32_t rounds = 0;
    std::optional<base::Instant> trouble_since;
    std::string trouble;
  };
  std::map<ExchangePair, Part> parts;
  ExchangePair last;                       // whose turn it was
  std::optional<base::Instant> looked_at;  // all of them

  double Share() const;
  double ShareDone() const;
  bool AnyOpen() const;  // looks first behind `last`: most of those before are done
};

struct PairStatus {
  int64_t last_pass_ms = 0;  // wall clock when the last complete one began; 0: none
  bool running = false, dirty = false, back = false, doubt = false, alive = false;
  std::string trouble;  // of the last one that was not complete
};

class ScheduleCore {
 public:
  static constexpr uint64_t kTaskBase = uint64_t{1} << 40;  // ids of tasks are above
  static constexpr size_t kTasksMax = 32;                   // remembered

  // `self`: this member's number.
  ScheduleCore(uint64_t seed, uint64_t self) : prng_(seed), self_(self) {}
  void SetOptions(ScheduleOptions options) { options_ = options; }

  // What is to be compared from now on. `passes`: when complete ones began, as stored for this
  // fence. Tasks begin anew with the pairs that there are now. Ends what was handed out.
  void SetPairs(std::map<ExchangePair, std::vector<wire::TokenSpan>> pairs,
                const std::map<ExchangePair, int64_t>& passes, base::Instant now);
  void SetNames(std::map<uint64_t, std::string> names) { names_ = std::move(names); }
  // Nothing is compared until SetPairs, or pairs in doubt alone: tasks wait, and say for what.
  void Suspend(std::string why, bool doubts_go_on = false);
  void SetAlive(uint64_t partner, bool alive, base::Instant now);
  // A later comparison that is complete takes it off again.
  void Mark(const ExchangePair& pair, Urgency urgency, base::Instant now);

  uint64_t AddTask(RepairOrder order, base::WallTime wall);  // gives its id

  struct Pick {
    ExchangePair pair;
    std::vector<wire::TokenSpan> ranges;
    uint64_t task = 0;  // 0: nobody asked
    bool whole = true;  // all ranges of the pair
    base::Instant began{};
    base::WallTime began_wall;
  };
  // Handed out until OnEnded, SetPairs or Suspend.
  std::optional<Pick> Next(base::Instant now, base::WallTime wall);
  struct Result {
    ExchangeEnd end = ExchangeEnd::kFailed;
    std::string why;
    ExchangeFigures figures;
    uint64_t bytes_sent = 0;
  };
  // True: a complete comparison of all that the pair holds, to be stored.
  bool OnEnded(const Result& result, base::Instant now, base::WallTime wall);

  const std::optional<Pick>& running() const { return running_; }
  const std::deque<RepairTask>& tasks() const { return tasks_; }  // oldest first
  PairStatus StatusOf(const ExchangePair& pair) const;
  const std::string& suspended() const { return suspended_; }  // why; empty if it is not

 private:
  struct Pair {
    std::vector<wire::TokenSpan> ranges;
    int64_t last_pass_ms = 0;
    base::Instant due{};
    base::Instant not_before{};
    uint32_t failures = 0;
    std::array<std::optional<base::Instant>, 3> urgent;  // by urgency: when it was said
    std::optional<base::Instant>& At(Urgency urgency) {
      return urgent[static_cast<size_t>(urgency)];
    }
    bool Has(Urgency urgency) const { return urgent[static_cast<size_t>(urgency)].has_value(); }
    base::Instant back_from{};  // kBack: not before this
    std::string trouble;
  };

  void BeginTask(RepairTask* task);
  std::optional<Pick> NextOfTask(RepairTask* task, base::Instant now, base::WallTime wall);
  void LookAtTask(RepairTask* task, base::Instant now, base::WallTime wall);
  void EndTask(RepairTask* task, base::WallTime wall);
  void NoteInTask(RepairTask* task, const ExchangePair& pair, const Result& result,
                  base::Instant now);
  std::optional<int> RankOf(const Pair& pair, base::Instant now) const;
  void PassDone(Pair* pair, base::Instant now);
  void PassFailed(Pair* pair, const Result& result, base::Instant now);
  bool IsAlive(uint64_t partner) const { return alive_.contains(partner); }
  base::Duration Random(base::Duration max);

  base::Prng prng_;
  uint64_t self_;
  ScheduleOptions options_;
  std::map<ExchangePair, Pair> pairs_;
  std::map<uint64_t, std::string> names_;  // of members, for people
  std::set<uint64_t> alive_;
  std::set<uint64_t> met_;  // partners that were alive at some time
  bool started_ = false;    // pairs were known once
  std::string suspended_ = "this node is not in a cluster yet";
  bool doubts_go_on_ = false;  // though it is suspended
  std::deque<RepairTask> tasks_;
  uint64_t last_task_ = kTaskBase;
  std::optional<Pick> running_;
};

}  // namespace lariat::repair

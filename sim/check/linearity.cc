// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "sim/check/reads.h"

namespace lariat::sim {
namespace {

constexpr base::Instant kNeverEnded = base::Instant::max();

// The operations of one value: its write and the reads of it.
struct Zone {
  std::string name;
  base::Instant first_answer = kNeverEnded;
  base::Instant last_start{};
  bool wanted = false;  // acknowledged or read: it has to have a place

  bool IsForward() const { return first_answer < last_start; }
  base::Instant Low() const { return std::min(first_answer, last_start); }
  base::Instant High() const { return std::max(first_answer, last_start); }
  void Add(base::Instant started, base::Instant ended) {
    first_answer = std::min(first_answer, ended);
    last_start = std::max(last_start, started);
    wanted = true;
  }
};

// In a forward zone the register has that value throughout; in the others it has it at some moment.
bool Clash(const Zone& a, const Zone& b) {
  if (!a.IsForward()) return false;
  return b.IsForward() ? a.Low() < b.High() && b.Low() < a.High()
                       : a.Low() < b.Low() && b.High() < a.High();
}

class LinearityJudge {
 public:
  LinearityJudge(const KeyHistory& history, const DotRegistry& dots) : history_(history) {
    zones_.push_back({.name = "nothing"});
    zones_[0].first_answer = {};
    for (size_t i = 0; i < history.writes.size(); ++i) AddWrite(static_cast<int>(i), dots);
    for (const Read& read : history.reads) AddRead(read);
  }

  // What has no order, or nothing.
  std::optional<std::pair<const Zone*, const Zone*>> Find() const {
    for (const Zone& a : zones_) {
      for (const Zone& b : zones_) {
        if (&a != &b && a.wanted && b.wanted && Clash(a, b)) return {{&a, &b}};
      }
    }
    return std::nullopt;
  }

 private:
  // A stamp tells which write a read has met: a write has more than one if it was ordered anew.
  void AddWrite(int token, const DotRegistry& dots) {
    const Write& write = history_.writes[static_cast<size_t>(token)];
    if (write.outcome == Outcome::kNotDone) return;
    Zone zone{fmt::format("t{}", token), kNeverEnded, write.sent};
    // A repeated request that made two events, or whose first answer came late, stands for both.
    const bool done = write.outcome == Outcome::kDone && write.attempts == 1;
    if (done) zone.Add(write.started, write.done);
    if (write.is_delete) {
      if (!write.stamp) unknown_delete_ = std::min(unknown_delete_, write.sent);
    } else {
      for (const causal::Dot& dot : dots.DotsOf(TokenText(history_.key, token))) {
        zone_of_[{{dot.counter}, dot.actor.node}] = zones_.size();
      }
    }
    if (write.stamp) zone_of_[*write.stamp] = zones_.size();
    zones_.push_back(std::move(zone));
  }

  void AddRead(const Read& read) {
    const bool nothing = !read.stamp && read.shown.empty();
    if (nothing) return zones_[0].Add(read.started, read.ended);
    if (!read.stamp) return;
    const auto found = zone_of_.find(*read.stamp);
    if (found != zone_of_.end()) return zones_[found->second].Add(read.started, read.ended);
    // A delete that nobody was told of.
    zone_of_[*read.stamp] = zones_.size();
    Zone zone{"a delete", kNeverEnded, std::min(unknown_delete_, read.started)};
    zone.Add(read.started, read.ended);
    zones_.push_back(std::move(zone));
  }

  const KeyHistory& history_;
  std::vector<Zone> zones_;
  std::map<Stamp, size_t> zone_of_;
  base::Instant unknown_delete_ = kNeverEnded;
};

}  // namespace

void CheckLinearizable(const KeyHistory& history, const DotRegistry& dots, const Options& options,
                       Report* report) {
  // What was purged reads like what never was, and what was forgotten may be read like that.
  const bool judged = options.Atomic() && 2 * options.w > options.NMax() && options.n_later == 0 &&
                      !options.Purges() && !history.damaged;
  if (!judged) return;
  report->Count("checks: registers linearizable");
  const LinearityJudge judge(history, dots);
  const auto clash = judge.Find();
  if (!clash) return;
  report->Fail("linear", history.key,
               fmt::format("there is no order: {} is the value throughout, and {} has no place",
                           clash->first->name, clash->second->name),
               std::max(clash->first->Low(), clash->second->Low()));
}

}  // namespace lariat::sim

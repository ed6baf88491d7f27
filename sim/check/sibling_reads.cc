// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "sim/check/reads.h"
#include "sim/model/token_set.h"
#include "sim/world/scheduler.h"

namespace lariat::sim {
namespace {

constexpr base::Instant kNever = base::Instant::max();

class Judge {
 public:
  Judge(const KeyHistory& history, const DotRegistry& dots, const Options& options, Report* report)
      : history_(history), options_(options), report_(report) {
    const size_t size = history.writes.size();
    for (size_t i = 0; i < size; ++i) {
      const std::string value = TokenText(history.key, static_cast<int>(i));
      twice_.push_back(dots.DotsOf(value).size() > 1);
      expiries_.push_back(dots.ExpiryOf(value));
      surely_.emplace_back(size);
      perhaps_.emplace_back(size);
    }
    for (size_t i = 0; i < size; ++i) FindCovered(i);
  }

  void JudgeAll() {
    for (const Read& read : history_.reads) {
      const bool weakened = history_.damaged && read.ended >= *history_.damaged;
      if (!read.all_replicas && (weakened || !options_.Regular())) continue;
      report_->Count("checks: reads judged");
      JudgeMissing(read);
      JudgeReturned(read);
      JudgeTogether(read);
      JudgeExpired(read);
    }
  }

 private:
  const Write& W(size_t i) const { return history_.writes[i]; }
  base::Instant EndOf(const Write& write) const {
    const bool known = write.outcome == Outcome::kDone || write.outcome == Outcome::kNotDone;
    return known ? write.ended : kNever;
  }
  bool DoneBefore(const Write& write, base::Instant when) const {
    return write.outcome == Outcome::kDone && write.done < when;
  }
  // What earlier reads have shown counts as if it had been acknowledged.
  bool ReadsCount() const { return options_.Atomic() && !history_.damaged; }

  TokenSet Empty() const { return TokenSet(history_.writes.size()); }
  void AddSentBefore(base::Instant when, TokenSet* set) const {
    for (size_t i = 0; i < history_.writes.size(); ++i) {
      if (W(i).sent < when) set->Add(static_cast<int>(i));
    }
  }

  // surely_: covered by write i if it took effect. perhaps_: what it may have covered at most.
  void FindCovered(size_t i) {
    const Write& write = W(i);
    if (write.covers_what_it_found) {
      AddSentBefore(EndOf(write), &perhaps_[i]);
      if (history_.damaged || options_.sloppy != 0) return;
      for (size_t t = 0; t < history_.writes.size(); ++t) {
        const bool found = !W(t).is_delete && DoneBefore(W(t), write.started);
        if (found) surely_[i].Add(static_cast<int>(t));
      }
      return;
    }
    for (const int t : write.seen) {
      const auto at = static_cast<size_t>(t);
      surely_[i].Add(t);
      surely_[i].Join(surely_[at]);
      perhaps_[i].Add(t);
      perhaps_[i].Join(perhaps_[at]);
    }
  }

  // Tokens that were acknowledged, or shown where that counts, before `when`.
  TokenSet KnownBefore(base::Instant when) const {
    TokenSet known = Empty();
    for (size_t i = 0; i < history_.writes.size(); ++i) {
      if (!W(i).is_delete && DoneBefore(W(i), when)) known.Add(static_cast<int>(i));
    }
    if (!ReadsCount()) return known;
    for (const Read& read : history_.reads) {
      if (read.ended >= when) break;
      for (const int t : read.shown) known.Add(t);
    }
    return known;
  }

  void JudgeMissing(const Read& read) const {
    TokenSet explained = Empty();
    for (const int t : read.shown) {
      explained.Add(t);
      explained.Join(perhaps_[static_cast<size_t>(t)]);
    }
    for (size_t i = 0; i < history_.writes.size(); ++i) {
      const Write& write = W(i);
      if (!write.is_delete || write.outcome == Outcome::kNotDone || write.sent >= read.ended) {
        continue;
      }
      explained.Join(perhaps_[i]);
    }
    // An expired value is not shown, and goes on covering what it covered.
    for (size_t i = 0; i < history_.writes.size(); ++i) {
      const auto& expiry = expiries_[i];
      if (!expiry || expiry->first_ms - options_.ClockErrorMs() > WallAt(read.ended).ms) continue;
      explained.Add(static_cast<int>(i));
      explained.Join(perhaps_[i]);
    }
    const int lost = KnownBefore(read.started).FirstNotIn(explained);
    if (lost < 0) return;
    Complain(read, read.all_replicas ? "lost" : "regular",
             fmt::format("t{} ({}) is missing, and nothing shown covers it", lost,
                         OutcomeName(W(static_cast<size_t>(lost)).outcome)));
  }

  void JudgeReturned(const Read& read) const {
    TokenSet covered = Empty();
    const TokenSet known = KnownBefore(read.started);
    for (size_t i = 0; i < history_.writes.size(); ++i) {
      const bool in_effect =
          W(i).is_delete ? DoneBefore(W(i), read.started) : known.Has(static_cast<int>(i));
      if (in_effect) covered.Join(surely_[i]);
    }
    for (const int t : read.shown) {
      if (covered.Has(t) && !twice_[static_cast<size_t>(t)]) {
        Complain(read, "returned", fmt::format("t{} is back after it was overwritten", t));
      }
    }
  }

  void JudgeTogether(const Read& read) const {
    for (const int a : read.shown) {
      for (const int b : read.shown) {
        const bool excused = twice_[static_cast<size_t>(a)] || twice_[static_cast<size_t>(b)];
        if (!excused && surely_[static_cast<size_t>(b)].Has(a)) {
          Complain(read, "siblings", fmt::format("t{} is a sibling of t{}, which covers it", a, b));
        }
      }
    }
  }

  void JudgeExpired(const Read& read) const {
    for (const int t : read.shown) {
      const auto& expiry = expiries_[static_cast<size_t>(t)];
      if (!expiry || expiry->last_ms + options_.ClockErrorMs() > WallAt(read.started).ms) continue;
      Complain(read, "expired", fmt::format("t{} is shown after it has expired", t));
    }
  }

  void Complain(const Read& read, const char* checker, const std::string& what) const {
    std::string shown;
    for (const int t : read.shown) shown += fmt::format(" t{}", t);
    report_->Fail(checker, history_.key,
                  fmt::format("{}; the read of {:.6f} to {:.6f} s{} shows{}", what,
                              base::ToSeconds(read.started.time_since_epoch()),
                              base::ToSeconds(read.ended.time_since_epoch()),
                              read.all_replicas ? " of all replicas" : "",
                              shown.empty() ? " nothing" : shown),
                  read.ended);
  }

  const KeyHistory& history_;
  const Options& options_;
  Report* report_;
  std::vector<bool> twice_;  // tokens that a repeated request stored twice
  std::vector<std::optional<DotRegistry::Expiry>> expiries_;
  std::vector<TokenSet> surely_;
  std::vector<TokenSet> perhaps_;
};

}  // namespace

void CheckSiblingReads(const KeyHistory& history, const DotRegistry& dots, const Options& options,
                       Report* report) {
  Judge(history, dots, options, report).JudgeAll();
}

}  // namespace lariat::sim

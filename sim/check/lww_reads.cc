// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "sim/check/reads.h"
#include "sim/world/scheduler.h"

namespace lariat::sim {

namespace {

// Whether nothing may be left of the key: a delete that is not known to be older, or the value with
// the greatest stamp of those known, expired.
bool MayBePurged(const KeyHistory& history, const DotRegistry& dots, const Read& read) {
  std::pair<Stamp, bool> newest;  // and whether it is gone
  for (size_t i = 0; i < history.writes.size(); ++i) {
    const Write& write = history.writes[i];
    if (write.sent >= read.ended || write.outcome == Outcome::kNotDone) continue;
    if (write.is_delete && !write.stamp) return true;
    const auto expiry = dots.ExpiryOf(TokenText(history.key, static_cast<int>(i)));
    const bool expired = expiry && expiry->first_ms <= WallAt(read.ended).ms;
    if (expired && !write.stamp) return true;
    if (write.stamp) newest = std::max(newest, {*write.stamp, write.is_delete || expired});
  }
  return newest.second;
}

}  // namespace

void CheckLwwReads(const KeyHistory& history, const DotRegistry& dots, const Options& options,
                   Report* report) {
  const bool reads_count = options.Atomic() && !history.damaged;
  for (const Read& read : history.reads) {
    const bool weakened = history.damaged && read.ended >= *history.damaged;
    if (!read.all_replicas && (weakened || !options.Regular())) continue;
    report->Count("checks: reads judged");
    Stamp newest;
    for (const Write& write : history.writes) {
      const bool before = write.outcome == Outcome::kDone && write.done < read.started;
      if (before && write.stamp) newest = std::max(newest, *write.stamp);
    }
    for (const Read& earlier : history.reads) {
      if (!reads_count || earlier.ended >= read.started) break;
      if (earlier.stamp) newest = std::max(newest, *earlier.stamp);
    }
    const Stamp given = read.stamp.value_or(Stamp{});
    const bool nothing = !read.stamp && read.shown.empty();
    if (nothing && options.Purges() && MayBePurged(history, dots, read)) continue;
    if (given < newest) {
      report->Fail(read.all_replicas ? "lost" : "regular", history.key,
                   fmt::format("a read gives the stamp {}.{}, older than {}.{} known before it",
                               given.stamp.WallMs(), given.stamp.packed & 0xffff,
                               newest.stamp.WallMs(), newest.stamp.packed & 0xffff),
                   read.ended);
    }
    for (const int t : read.shown) {
      const auto expiry = dots.ExpiryOf(TokenText(history.key, t));
      if (expiry && expiry->last_ms + options.ClockErrorMs() <= WallAt(read.started).ms) {
        report->Fail("expired", history.key, fmt::format("t{} is shown after it has expired", t),
                     read.ended);
      }
      // A repeated request may have stored it under two stamps.
      bool stamped_so = false;
      for (const causal::Dot& dot : dots.DotsOf(TokenText(history.key, t))) {
        stamped_so |= read.stamp == Stamp{{dot.counter}, dot.actor.node};
      }
      if (stamped_so) continue;
      report->Fail("dots", history.key, fmt::format("t{} is shown with another stamp", t),
                   read.ended);
    }
  }
}

}  // namespace lariat::sim

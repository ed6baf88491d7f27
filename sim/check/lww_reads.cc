// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "sim/check/reads.h"

namespace lariat::sim {

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
    if (given < newest) {
      report->Fail(read.all_replicas ? "lost" : "regular", history.key,
                   fmt::format("a read gives the stamp {}.{}, older than {}.{} known before it",
                               given.stamp.WallMs(), given.stamp.packed & 0xffff,
                               newest.stamp.WallMs(), newest.stamp.packed & 0xffff),
                   read.ended);
    }
    for (const int t : read.shown) {
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

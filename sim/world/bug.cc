// SPDX-License-Identifier: Apache-2.0
#include "sim/world/bug.h"

#include <array>

namespace lariat::sim {

namespace {

// In the order of Bug.
constexpr std::array<std::string_view, static_cast<size_t>(Bug::kCount)> kNames = {
    "none",
    "no_sync",
    "ack_before_durable",
    "error_is_absent",
    "stale_read",
    "skip_write_back",
    "ack_without_write",
    "dot_only",
    "repeated_forward",
    "reused_incarnation",
    "forgotten_clock",
    "unknown_is_not_done",
    "context_covers_unseen",
    "stale_accepted",
    "stream_skips",
    "step_untold",
    "not_removed",
    "leaver_untold",
    "purged_by_time",
    "confirm_skipped",
    "hints_unseen",
    "fallback_counted",
    "only_keys_compared",
    "ttl_by_arrival",
    "damage_unseen",
    "damage_is_absent",
    "flush_only_syncs",
    "cut_untold",
    "part_taken_for_end",
    "anyone_taken",
    "apart_unwritten",
    "greater_untold",
    "clock_agrees",
    "twin_untold",
    "old_untold",
    "page_cut_short",
};
static_assert(!kNames.back().empty());

}  // namespace

std::string_view BugName(Bug bug) {
  const auto index = static_cast<size_t>(bug);
  return index < kNames.size() ? kNames[index] : "?";
}

std::optional<Bug> BugFromName(std::string_view name) {
  for (int i = 0; i < static_cast<int>(Bug::kCount); ++i) {
    const Bug bug = static_cast<Bug>(i);
    if (BugName(bug) == name) return bug;
  }
  return std::nullopt;
}

}  // namespace lariat::sim

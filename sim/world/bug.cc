// SPDX-License-Identifier: Apache-2.0
#include "sim/world/bug.h"

namespace lariat::sim {

std::string_view BugName(Bug bug) {
  switch (bug) {
    case Bug::kNone:
      return "none";
    case Bug::kNoSync:
      return "no_sync";
    case Bug::kAckBeforeDurable:
      return "ack_before_durable";
    case Bug::kErrorIsAbsent:
      return "error_is_absent";
    case Bug::kStaleRead:
      return "stale_read";
    case Bug::kSkipWriteBack:
      return "skip_write_back";
    case Bug::kAckWithoutWrite:
      return "ack_without_write";
    case Bug::kDotOnly:
      return "dot_only";
    case Bug::kRepeatedForward:
      return "repeated_forward";
    case Bug::kReusedIncarnation:
      return "reused_incarnation";
    case Bug::kForgottenClock:
      return "forgotten_clock";
    case Bug::kUnknownIsNotDone:
      return "unknown_is_not_done";
    case Bug::kContextCoversUnseen:
      return "context_covers_unseen";
    case Bug::kStaleAccepted:
      return "stale_accepted";
    case Bug::kStreamSkips:
      return "stream_skips";
    case Bug::kStepUntold:
      return "step_untold";
    case Bug::kNotRemoved:
      return "not_removed";
    case Bug::kLeaverUntold:
      return "leaver_untold";
    case Bug::kPurgedByTime:
      return "purged_by_time";
    case Bug::kConfirmSkipped:
      return "confirm_skipped";
    case Bug::kHintsUnseen:
      return "hints_unseen";
    case Bug::kFallbackCounted:
      return "fallback_counted";
    case Bug::kOnlyKeysCompared:
      return "only_keys_compared";
    case Bug::kTtlByArrival:
      return "ttl_by_arrival";
    case Bug::kDamageUnseen:
      return "damage_unseen";
    case Bug::kDamageIsAbsent:
      return "damage_is_absent";
    case Bug::kFlushOnlySyncs:
      return "flush_only_syncs";
    case Bug::kCutUntold:
      return "cut_untold";
    case Bug::kPartTakenForEnd:
      return "part_taken_for_end";
    case Bug::kAnyoneTaken:
      return "anyone_taken";
    case Bug::kApartUnwritten:
      return "apart_unwritten";
    case Bug::kGreaterUntold:
      return "greater_untold";
    case Bug::kCount:
      break;
  }
  return "?";
}

std::optional<Bug> BugFromName(std::string_view name) {
  for (int i = 0; i < static_cast<int>(Bug::kCount); ++i) {
    const Bug bug = static_cast<Bug>(i);
    if (BugName(bug) == name) return bug;
  }
  return std::nullopt;
}

}  // namespace lariat::sim

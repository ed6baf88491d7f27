// SPDX-License-Identifier: Apache-2.0
// Bugs that can be planted into the simulated world, to see that the checkers find them. The code
// under test is never changed: the world lies to it, or about it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace lariat::sim {

enum class Bug : uint8_t {
  kNone,
  kNoSync,               // the disk says "synced" and has done nothing
  kAckBeforeDurable,     // the disk says "synced" before it is
  kErrorIsAbsent,        // a read error is shown as "no such record"
  kStaleRead,            // the disk sometimes gives the version before the last one
  kSkipWriteBack,        // replicas acknowledge read repairs and drop them
  kAckWithoutWrite,      // replicas acknowledge some writes and drop them
  kDotOnly,              // replicas are sent the new value alone, without the history it replaces
  kRepeatedForward,      // a forwarded write arrives twice, as two requests
  kReusedIncarnation,    // a restarted process draws the same random numbers again
  kForgottenClock,       // the durable limit of the clock is lost at a restart
  kUnknownIsNotDone,     // a client is told "not done" when it is not known
  kContextCoversUnseen,  // a write's reply carries the context of all there is
  kStaleAccepted,        // replicas accept requests that were planned by another topology
  kStreamSkips,          // pages of moving ranges arrive without their records
  kStepUntold,           // members never tell that they know of a step
  kNotRemoved,           // the disk keeps what it is told to remove
  kLeaverUntold,         // nobody tells a node that it is out of the cluster
  kPurgedByTime,         // the disk drops tombstones when their grace is over
  kConfirmSkipped,       // a replica confirms whatever the sweep asks about
  kHintsUnseen,          // nobody tells the sweep of hints
  kFallbackCounted,      // a client is told of stand-ins as if they were replicas
  kOnlyKeysCompared,     // comparisons do not see that values differ
  kTtlByArrival,         // a value lives from when it arrives
  kDamageUnseen,         // damaged records have the checksum of what they are now
  kDamageIsAbsent,       // what is damaged is shown as "no such record"
  kFlushOnlySyncs,       // the disk says "in files" of what lies in its log alone
  kCutUntold,            // nobody tells a node that its log was cut
  kPartTakenForEnd,      // what came of a large message before a lost part is taken for all of it
  kAnyoneTaken,          // whoever answers at an address is taken for who was there
  kApartUnwritten,       // the disk says "written" of the file apart and has done nothing
  kGreaterUntold,        // replicas do not tell that they hold a greater register
  kClockAgrees,          // the others' clocks are told to say what the own one says
  kTwinUntold,           // nobody is told of another run of a node in handshakes
  kOldUntold,            // nobody is told how far an earlier run of a node had got
  kPageCutShort,         // pages of lists arrive as if nothing were left behind them
  kCount,
};

std::string_view BugName(Bug bug);
std::optional<Bug> BugFromName(std::string_view name);

}  // namespace lariat::sim

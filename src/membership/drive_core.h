// SPDX-License-Identifier: Apache-2.0
// What moves a change of the topology from step to step (change_core.h has the picture). The lowest
// live voter that stays drives; two that think so harm nothing, since consensus takes one proposal
// for an epoch.
//
// A dead member that takes part in the running change holds it up. If a committed removal or
// replacement of it waits, it is given up instead: a step of its own (from stream back to prepare),
// with a new fence, after which nobody waits for it. It may gain ranges that it never fetched and
// miss what is in force, so there is no way back: a replica refuses another fence than its own, and
// whoever learns that it is given up serves no more; thus nothing that it says is counted again. To
// take only the waiting removal for a reason to go on is not enough: that can be cancelled, and the
// member is back. The member that the running change itself takes out needs none of this: it gains
// nothing, and a cancelled change leads back to the lists that it was in.
//
// A member in doubt (it lives, and may have lost records) is compared with the others before ranges
// move, since what is copied from it alone would look whole at the receiver; if it comes to be in
// doubt while they do, it gives nothing such before it was compared. The removal or replacement of
// a dead member does not wait for that, because the doubt may wait for the dead one: its receivers
// copy from all other holders, so they get whatever is left. Only if a receiver would copy from the
// member in doubt alone does it wait.
//
// Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "membership/change_core.h"
#include "ring/allocation.h"
#include "wire/messages.h"

namespace lariat::membership {

// What a member said of itself last.
using Reports = std::map<base::Uuid, wire::ProgressReply>;

struct Drive {
  std::optional<Topology> next;  // to be proposed
  std::string waiting_for;       // or why not; empty if there is nothing to do at all
};
// The next step of the running change, or the start of the first of the queue that can start.
Drive DriveOn(const Topology& now, const Reports& reports, const Asked& asked,
              const ring::AllocationOptions& allocation);
// Voters that may drive; the first that lives does. Not those that the running change takes out:
// whoever learns first that it is out would be alone with that.
std::vector<base::Uuid> Drivers(const Topology& now);
// Whether every member that holds data has adopted the document's fence.
bool AllKnowTheFence(const Topology& now, const Reports& reports, std::string* missing);
// Members that hold data before or after the operation and are not dead for good: who is asked.
std::vector<base::Uuid> Participants(const Topology& now);
// The document as if every change that has not ended were done: for showing what a plan comes to.
Topology AfterAll(const Topology& now, const ring::AllocationOptions& allocation);

}  // namespace lariat::membership

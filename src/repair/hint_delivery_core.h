// SPDX-License-Identifier: Apache-2.0
// Which hints are to be looked at next, and what is to be done with each. Pure; time and the
// present state of the members are arguments.
//
// The hints of a target are walked page by page in key order, one page at a time for each target,
// different targets side by side. A walk begins when the target has become usable, when there is
// a new topology, when hints may have become too old, and, while hints that can be delivered are
// left, after a pause that doubles as long as nothing gets through. That pause does not hold up
// what is too old: a walk in it takes the target as away, so nothing is tried in vain.
//
//   target          its hint                        step
//   usable          it is a replica of the key      kSend      the state, to the target
//   away            it is a replica of the key      kKeep
//                   ... and soon nobody could       kReroute   as below; the hint stays
//                   deliver it any more
//   in either case  it is none (any more), or the   kReroute   what was written here in its place
//                   target is no member                        goes to all present replicas
//                   ... and nothing was written     kDrop      the record itself is with them
//   any             older than the limit            kExpire    dropped, its range is marked dirty
//                   ... by the wall clock alone     kKeep      somebody has set the clock
//
// Soon nobody could: this node leaves the cluster, or the hint is nearly too old. What a stand-in
// keeps may be the only copy of an acknowledged write if all replicas were away then, so those that
// are back get it before it is dropped. The limit is that of M19: a hint that is older than the
// time for which deletes are kept could bring back what was deleted, so it is never delivered.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/time.h"

namespace lariat::repair {

enum class HintStep : uint8_t { kSend, kKeep, kReroute, kDrop, kExpire };

struct HintCase {
  int64_t age_ms = 0;         // by the wall clock
  int64_t steady_age_ms = 0;  // by a clock that nobody sets; a restart begins it anew from the wall
  int64_t age_max_ms = 0;     // the smaller of hints.window_s and the bucket's gc_grace_s
  bool usable = false;        // the target can be reached
  bool is_replica = false;    // the target holds the key by the present topology, in either list
  bool has_object = false;    // something was written here in its place
  bool leaving = false;       // this node leaves the cluster
};
HintStep StepFor(const HintCase& hint);

// What is kept for a member, and the member as it is now.
struct HintTarget {
  int64_t hints = 0;
  int64_t oldest_ms = 0;  // wall clock; 0: unknown
  bool member = false;
  bool usable = false;
};

class HintDeliveryCore {
 public:
  // `age_min_ms`: the smallest age at which any hint is too old.
  void SetAgeLimit(int64_t age_min_ms) { age_min_ms_ = age_min_ms; }
  // All targets that have hints. One that has become usable is walked at once.
  void OnTargets(const std::map<uint64_t, HintTarget>& targets, base::Instant now,
                 base::WallTime wall);
  // Other replicas, other buckets: everything is to be looked at again, at once.
  void OnView(base::Instant now);

  struct Page {
    uint64_t target = 0;
    std::string after;  // go on after this key
    bool usable = false;
  };
  // The next page to be read; its end is told by OnPage. Targets take turns.
  std::optional<Page> Next(base::Instant now);
  struct PageEnd {
    std::string last_key;
    bool done = false;      // nothing is left behind it
    bool failed = false;    // some of it has to be tried again later
    bool stopped = false;   // the target does not take anything: the walk ends here
    bool refused = false;   // it is by another topology: so does it, until the next view
    int64_t oldest_ms = 0;  // of the hints that are left of the page; 0: none
  };
  void OnPage(uint64_t target, const PageEnd& end, base::Instant now);

  // Of the last complete walk: wall clock of the oldest hint that it left; 0: none was left.
  std::optional<int64_t> TakeOldest(uint64_t target);
  bool Walking(uint64_t target) const;

 private:
  struct State {
    HintTarget target;
    bool walking = false;
    bool reading = false;  // a page is under way
    bool again = false;    // something happened during the walk
    bool ages = false;     // the walk is for what is too old, in the pause between two others
    bool failed = false;   // in this walk
    bool fresh = true;     // not walked since the last view
    std::string after;
    int64_t oldest_ms = 0;  // met in this walk
    std::optional<int64_t> oldest_of_walk;
    int failures = 0;     // walks in a row that got nothing further
    base::Instant due{};  // no page before this
    std::optional<base::Instant> expired_looked;
  };
  bool WantsWalk(const State& state, base::Instant now) const;
  bool MayBeTooOld(const State& state, base::Instant now) const;
  base::Duration ExpiryPause() const;
  void EndWalk(State* state, base::Instant now);

  std::map<uint64_t, State> targets_;
  uint64_t last_ = 0;  // the target whose turn was last
  int64_t age_min_ms_ = 0;
  base::WallTime wall_{};
};

}  // namespace lariat::repair

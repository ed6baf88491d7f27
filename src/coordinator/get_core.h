// SPDX-License-Identifier: Apache-2.0
// One read of one key over its replicas, as a value: replies and time-outs in, actions out.
//
// Plan: full data from one replica, digests from as many more as r asks for. If they agree, done.
// If not, fetch the data of those that differ, merge, and give the merged state to every replica
// that lacks it. A strict read answers only when r replicas hold durably what it returns: without
// that a value that reached one replica could be read once and then not again (M15).
//
//   n=3 r=2: A data v2, B digest v1 -> fetch B -> merged v2 -> write B -> B acks -> answer v2
//
// With 2r > n two such reads share a replica, so a later one never returns older data. With r=1
// there is nothing to compare, and a read is only as new as its replica.
//
// There may be several lists (lists.h), each with its needs. The read list is asked; what it says
// is shown once as many of each other list hold it too: a value that only the old owners hold would
// vanish when the new ones are read instead. A replica that is not in the read list is asked for
// its digest, to see whether it holds that. What it may have beyond that is not shown:
//
//   read A B C, move B C D, r=2: B data v1, C digest v1 -> answer v1: both are in both lists
//   read A B, move C D, r=2: A data v1, B, C, D digests; C and B v1, D none -> write D -> D acks
//   read A B r=1, a list for another datacenter C D r=1: A data v1, C digest none -> write C
//
// A replica that fails or is late is replaced by the next one that was not asked. When a sloppy
// read has no replica left to ask, fallbacks stand in, one for each that is dead or failed: they
// say what they keep for it. That counts towards r, never towards pr. A sloppy read brings what it
// returns to the replicas that it asked, but does not fail when they cannot take it, and never
// makes fallbacks keep more.
//
// A read that is not strict (r + w <= n) answers at once. AfterAnswer compares what was asked, or
// all replicas, and brings what is joined to those that lack it:
//
//   n=3 r=1: A data v2 -> answer v2; digests from B and C: C has v1 -> data v1 -> write C
//
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "causal/object.h"
#include "coordinator/internal/get_replicas.h"
#include "wire/messages.h"

namespace lariat::coordinator {

class GetCore {
 public:
  using Needs = GetNeeds;
  using Options = GetOptions;
  using ActionKind = GetActionKind;
  using Action = GetAction;
  using Actions = GetActions;
  static constexpr size_t kNoReplica = GetReplicas::kNone;

  // `usable`: for each replica whether it is believed alive, in the order to prefer. `sets`: the
  // lists of each; empty if all are in the read list and there is no other. REQUIRES: those of the
  // read list come first, fallbacks (usable, in the read list) next.
  GetCore(Options options, const std::vector<bool>& usable, const std::vector<ListSet>& sets = {});

  Actions Start();
  Actions OnReadReply(size_t replica, wire::ReadReply reply);
  Actions OnWriteBackReply(size_t replica, bool ok);
  // The replica holds a greater register and may never have held the one written back. If that one
  // was needed: kFail with kStaleEpoch, the read has to begin again. Counting on it could show a
  // value that its writer is about to give a greater stamp (put_core.h).
  Actions OnOvertaken(size_t replica);
  // The replica cannot be reached.
  Actions OnFailure(size_t replica, base::Error error);
  // An answer is late: ask one more, if one is left.
  Actions OnHedge();
  // No time left: kFail with the reason, unless it is done.
  Actions OnTimeout();
  // Once, after kDone of a read that is not strict. With `all` the replicas that were not asked are
  // compared too. No end is told.
  Actions AfterAnswer(bool all);

  bool finished() const { return finished_; }
  // After kDone. The state to show, empty if the key was never written.
  const causal::Object& object() const { return joined_.object; }
  causal::Object TakeObject() { return std::move(joined_.object); }  // nothing follows
  const std::string& encoded() const { return joined_.bytes; }
  // After kFail.
  const base::Error& error() const { return error_; }
  // Of the read list, fallbacks included.
  uint32_t Answered() const { return replicas_.Answered(); }
  uint32_t FallbacksAnswered() const { return replicas_.FallbacksAnswered(); }
  // An answer recorded under the idempotency key by a replica whose data is in object().
  const std::string& idempotency_answer() const { return joined_.idempotency_answer; }
  bool disagreed() const { return disagreed_; }

 private:
  using State = GetReplicas::State;
  using WriteState = GetReplicas::WriteState;
  using Replica = GetReplicas::Replica;

  // There is the list, and what is shown has to be held in it.
  bool Counts(size_t list) const {
    return list == 0 || (options_.strict && IsIn(replicas_.lists(), list));
  }
  bool CheckUsable(size_t list, Actions* actions);
  void AskEnoughHolders(Actions* actions);
  void OnHolderReply(Replica* replica, const wire::ReadReply& reply, Actions* actions);
  bool Enough(bool with_outstanding) const;
  void Progress(Actions* actions);
  void Resolve(Actions* actions);
  void Compare(Actions* actions);
  void WriteBack(Actions* actions);
  void CheckHolders(Actions* actions);
  bool Recruit(size_t list, Actions* actions);
  void Finish(Actions* actions);
  void GiveUp(base::Error error, Actions* actions);

  Options options_;
  GetReplicas replicas_;
  Joined joined_;
  bool writing_back_ = false;
  bool comparing_ = false;  // after the answer
  bool disagreed_ = false;
  bool overtaken_ = false;
  bool finished_ = false;
  base::Error error_;
  base::Error last_failure_;
};

}  // namespace lariat::coordinator

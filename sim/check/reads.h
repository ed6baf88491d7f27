// SPDX-License-Identifier: Apache-2.0
// Judges the reads of a finished run, key by key.
//
// Siblings. Each write covers tokens: those that its writer had been shown with the context that it
// sent, and what those covered. A read has to show every token that was acknowledged before it
// began, or one that covers it, or a delete has to cover it; and none that is covered by something
// that was acknowledged before. Where 2r > n the same goes for what earlier reads have shown.
//
//   t1 acked, t2 (seen t1) acked:   a read shows {t2}; {t1,t2} and {t1} and {} are wrong
//   t3 (seen t1), t2 not seen:      a read shows {t2,t3}: covering t1 does not excuse losing t2
//   t4 unknown, shown once:         from then on as if it had been acknowledged
//
// LWW. A read may not give an older stamp than any write acknowledged, or read, before it began.
// And writes and reads together have to be linearizable, whatever their stamps say. Every write has
// a value of its own, so it is enough to look at pairs (Gibbons and Korach, "Testing Shared
// Memories", 1997): take the operations of a value together. If its first answer comes before its
// last beginning, then the register has the value all the while between, and two such times may not
// meet. Otherwise it has it at some moment from that beginning to that answer, which may not lie
// within the time of another value. A write without an answer may take effect later, or never.
//
// The last reads (all replicas, after every fault has ended) are judged the same way also where
// r + w <= n or a disk was damaged: they must find everything acknowledged.
#pragma once

#include "sim/check/dot_registry.h"
#include "sim/model/history.h"
#include "sim/options.h"
#include "sim/report/report.h"

namespace lariat::sim {

void CheckSiblingReads(const KeyHistory& history, const DotRegistry& dots, const Options& options,
                       Report* report);
void CheckLwwReads(const KeyHistory& history, const DotRegistry& dots, const Options& options,
                   Report* report);
void CheckLinearizable(const KeyHistory& history, const DotRegistry& dots, const Options& options,
                       Report* report);

}  // namespace lariat::sim

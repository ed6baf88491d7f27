// SPDX-License-Identifier: Apache-2.0
// How many files and sockets the process may have open, and who gets them: what the store and the
// other nodes need is set aside before clients are counted, so that no number of clients can take
// the files from under the store. For the start of a program, before it has threads.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace lariat::env::posix {

// Opens on /dev/null what is closed of standard input, output and error. Otherwise the next file
// opened would take the number, and get what is printed. Before anything else opens a file. What is
// then written is swallowed, or fails: a command whose output nobody can have has not done its
// work.
enum class ClosedOutput : uint8_t { kSwallowed, kFails };
void OpenStandardDescriptors(ClosedOutput closed = ClosedOutput::kSwallowed);

// Raises the soft limit of open files to the hard one. Result: the limit from now on.
uint64_t RaiseDescriptorLimit();

struct DescriptorNeeds {
  uint64_t shards = 1;
  uint64_t members = 1;             // of the cluster, this node included; as far as known
  uint64_t background_threads = 2;  // of the store
  uint64_t clients_wanted = 10000;
};
struct DescriptorPlan {
  uint64_t allowed = 0;
  uint64_t own = 0;      // loops, listeners, logs, the directory, what the store opens for a moment
  uint64_t store = 0;    // table files that the store keeps open
  uint64_t peers = 0;    // connections from and to other nodes
  uint64_t clients = 0;  // what is left, at most what is wanted; a multiple of the shards
};
// kInvalidArgument if too little is allowed for a node; the message says what to do.
base::Result<DescriptorPlan> PlanDescriptors(uint64_t allowed, const DescriptorNeeds& needs);

}  // namespace lariat::env::posix

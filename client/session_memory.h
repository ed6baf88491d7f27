// SPDX-License-Identifier: Apache-2.0
// What a session has seen of each key, and what that asks of its next reads. Thread-safe.
//
// Nodes do not tell (yet) whether an answer covers a context, and contexts are opaque. So an answer
// counts as covering what was seen
//   - if its context is, letter for letter, the one that was seen, however few replicas answered;
//   - if what was seen is held by so many replicas that every majority has one of them, and a
//     majority was asked (strict quorums: docs/client.md);
//   - if all replicas were asked.
// The first is the usual case, and costs one replica. Example, n = 3: this session wrote v1 at
// QUORUM, and then reads at ONE. Replica c, which lags behind, shows v0: another context, so the
// read is repeated at QUORUM, which at least one of a and b answers. Had the session written at
// ONE, only a might hold v1, b and c would be a majority without it, and the read is repeated at
// ALL.
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "client/policy.h"
#include "client/topology.h"

namespace lariat::client {

// Whether a read (or write) at the level asks so many replicas that every majority has one of them.
bool IsWide(Consistency level, const std::optional<BucketView>& bucket, bool is_read);

class SessionMemory {
 public:
  SessionMemory(size_t keys_max, Bug bug) : keys_max_(keys_max), bug_(bug) {}

  struct Seen {
    std::string context;      // for writes; empty: nothing was seen, or it is not known
    bool is_exact = true;     // `context` is all that was seen
    bool is_wide = true;      // every majority has it
    uint64_t generation = 0;  // of this entry; 0: none
  };

  // Of bucket and key; also notes the use.
  Seen Look(const std::string& bucket, const std::string& key);

  // Whether an answer with this context covers what was seen. `is_wide`: a majority was asked;
  // `is_all`: all were.
  bool Covers(const Seen& seen, const std::string& context, bool is_wide, bool is_all) const;
  // Notes what an operation that began with `before` has shown or written. `context` empty: not
  // told. What was noted meanwhile stays, and is exact no more.
  void Note(const std::string& bucket, const std::string& key, const Seen& before,
            const std::optional<std::string>& context, bool is_wide);

 private:
  struct Entry {
    std::string name;
    Seen seen;
  };
  const size_t keys_max_;
  const Bug bug_;
  std::mutex mutex_;
  uint64_t generation_ = 0;
  std::list<Entry> entries_;  // used last first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_name_;
};

}  // namespace lariat::client

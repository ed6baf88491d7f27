// SPDX-License-Identifier: Apache-2.0
// What time the members think it is, so that a node can tell a wrong clock of its own from a right
// one. Some of them are asked now and then, and each answer is kept as the difference between that
// wall clock and our monotonic one: a difference does not age, and it says what time it is also in
// the very moment in which the own wall clock jumps.
//
//   own wall - monotonic 1000 s, B's 999.9, C's 1000.2:  time is monotonic + 1000 s
//   own jumps to 87400:                                  still 1000.2: we are a day ahead
//
// The median of those asked and of the own. Where two are in the middle, the one that is nearer to
// what was known before: of two members whose clocks agreed, the one that jumps is wrong. If
// nothing was known the lower: who is ahead does the harm, for its stamps win over others. Pure;
// one instance per node, used by one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/time.h"

namespace lariat::membership {

class PeerTimeCore {
 public:
  // Answers that took longer say too little.
  explicit PeerTimeCore(base::Duration round_trip_max) : round_trip_max_(round_trip_max) {}

  // The members to ask, by number, those of this node's own left out. Others are forgotten.
  void SetPeers(std::vector<uint64_t> peers);
  // Whom to ask next; nobody if there are no peers.
  std::optional<uint64_t> Next();
  void OnAnswer(uint64_t peer, base::WallTime theirs, base::Instant asked, base::Instant now);
  // Wall clock minus monotonic clock in microseconds, by most of the members; nothing as long as
  // none was heard for kHeardFor. `own`: of this node itself.
  std::optional<int64_t> Difference(int64_t own, base::Instant now);
  // How far the peer is ahead of that, as last heard.
  std::optional<int64_t> AheadMs(uint64_t peer) const;
  bool HasPeers() const { return !peers_.empty(); }

  static constexpr size_t kAskedMax = 16;
  // The clocks that a difference comes from may be set meanwhile.
  static constexpr base::Duration kHeardFor = base::Seconds(3600);
  static constexpr base::Duration kFreshFor = base::Seconds(60);

 private:
  struct Heard {
    int64_t difference = 0;
    base::Duration round_trip{};
    base::Instant at{};
  };

  base::Duration round_trip_max_;
  std::vector<uint64_t> peers_;
  size_t turn_ = 0;
  std::map<uint64_t, Heard> heard_;
  std::optional<int64_t> difference_;
  base::Instant last_heard_{};
};

}  // namespace lariat::membership

// SPDX-License-Identifier: Apache-2.0
// Requests that wait for a peer's reply: by id, with a deadline. Every callback comes exactly once.
// A shard's thread.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_function.h"
#include "coordinator/deadlines.h"
#include "peers/transport.h"

namespace lariat::peers {

class Calls {
 public:
  using Done = base::UniqueFunction<void(base::Result<wire::Body>)>;
  // `first_id`: random, so that a reply to an earlier life of this shard finds nothing.
  explicit Calls(uint64_t first_id) : next_id_(first_id) {}

  uint64_t Add(PeerHandle peer, base::Instant due, Done done);
  // The request was not sent after all: its callback is given back.
  Done Withdraw(uint64_t id);
  // False: nobody waits (late, repeated, or of an earlier life).
  bool Resolve(uint64_t id, wire::Body&& body);
  void Refuse(uint64_t id, base::Error why);
  void Expire(base::Instant now);
  // Fails what waits for the peer: whether it was done is not known.
  void OnPeerDown(PeerHandle peer, const base::Error& why);
  size_t Waiting() const { return calls_.size(); }

 private:
  struct Call {
    PeerHandle peer;
    Done done;
  };
  // Flat: one of nodes would allocate for each question.
  boost::unordered_flat_map<uint64_t, Call> calls_;
  coordinator::Deadlines<uint64_t> deadlines_;
  uint64_t next_id_;
};

}  // namespace lariat::peers

// SPDX-License-Identifier: Apache-2.0
// How much all connections of one frontend hold for their clients, and who may be read on.
//
// An example with output_bytes_max = 8, and replies of 1: four clients that do not read ask for ten
// values each. Each gets its first reply, as it holds nothing; then each may hold another as long
// as all of them hold less than half, 4. So 4 are held and the rest waits unread. A fifth client
// that reads is served one request at a time. Were there four more that do not read, they would use
// up the other half, and from then on reads are refused at once instead of waiting for somebody who
// may never read. One limit without the half would be used up by the first two clients, and the
// others would wait for them.
//
// A value: no thread, no clock. Bytes are counted as each connection told last.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

namespace lariat::frontend::connection {

class Connection;
struct Clients;

// What may outlive a connection and still has to find it. Co-owned by the connection, by its
// requests in work and by Room::queues.
struct Link {
  Connection* connection;            // nullptr once it is gone
  std::shared_ptr<Clients> clients;  // co-owners: see Clients
  std::array<bool, 2> queued{};      // in Room::queues
};

struct Room {
  // Of `queues`: connections that hold nothing for their clients, and the others.
  static constexpr size_t kFirst = 0;
  static constexpr size_t kMore = 1;

  // One more request of such a connection may be taken. A shard that holds nothing takes one
  // request, however large its reply may be.
  bool Allows(size_t queue) const;
  // Of what clients do not take: it may be long until there is room.
  bool IsFull() const { return waiting + expected > output_bytes_max && waiting > 0; }
  // Whoever holds nothing does not wait for what may never come: its requests are read to be
  // refused.
  bool MayGoOn(size_t queue) const { return Allows(queue) || (queue == kFirst && IsFull()); }
  // Too much is half received already.
  bool PartialIsFull() const { return partial > partial_bytes_max; }

  // A reply of `size` bytes has come for which `reckoned` were counted in `fetching`. False if
  // it is not to be kept: many at once were larger than all of late.
  bool Redeem(size_t reckoned, size_t size);

  // Calls OnRoom of the connection later, unless there is room now.
  void Wait(const std::shared_ptr<Link>& link, size_t queue);
  bool SomebodyWaits() const { return !queues[kFirst].empty() || !queues[kMore].empty(); }

  uint64_t output_bytes_max = 0;
  uint64_t partial_bytes_max = 0;
  // What the reply of a read may have: the largest of late, which fades.
  uint64_t expected = 0;
  uint64_t waiting = 0;   // replies that clients have not taken yet
  uint64_t fetching = 0;  // expected of those that are being fetched
  uint64_t partial = 0;   // of requests that are half received
  std::array<std::deque<std::shared_ptr<Link>>, 2> queues;
  bool wake_posted = false;
};

}  // namespace lariat::frontend::connection

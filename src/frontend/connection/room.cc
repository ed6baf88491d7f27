// SPDX-License-Identifier: Apache-2.0
#include "frontend/connection/room.h"

#include <algorithm>

namespace lariat::frontend::connection {
namespace {

constexpr uint64_t kFading = 256;  // replies after which Room::expected has lost two thirds

}  // namespace

bool Room::Allows(size_t queue) const {
  const uint64_t used = waiting + fetching;
  const uint64_t most = queue == kFirst ? output_bytes_max : output_bytes_max / 2;
  return used == 0 || used + expected <= most;
}

bool Room::Redeem(size_t reckoned, size_t size) {
  fetching -= reckoned;
  expected = std::max<uint64_t>(size, expected - expected / kFading);
  return size <= reckoned || waiting == 0 || waiting + size <= output_bytes_max;
}

void Room::Wait(const std::shared_ptr<Link>& link, size_t queue) {
  if (link->queued[queue] || MayGoOn(queue)) return;
  link->queued[queue] = true;
  queues[queue].push_back(link);
}

}  // namespace lariat::frontend::connection

// SPDX-License-Identifier: Apache-2.0
// The 16,384 slots that clients of a Redis cluster reckon with. Pure.
//
// Lariat places keys by another hash, so a slot does not say where a key lies; it says which node a
// client is to send the key's commands to. Any node serves any key: what the map is for is to
// spread clients over the nodes that are alive, by their share of the ring.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace lariat::frontend::resp {

inline constexpr uint32_t kSlots = 16384;

// CRC16 (XMODEM) of the key, or of what its first non-empty {hash tag} holds.
uint32_t SlotOf(std::string_view key);

struct SlotRange {
  uint32_t first = 0, last = 0;  // inclusive; an empty one has first > last
};
// Divides all slots by the shares, in their order. REQUIRES: at least one share, none negative.
std::vector<SlotRange> DivideSlots(std::span<const double> shares);

}  // namespace lariat::frontend::resp

// SPDX-License-Identifier: Apache-2.0
// The two replica lists of a key whose range moves (membership::View::Replicas): reads ask the read
// list; what is written, and what a strict read returns, has to be held in both. A node may be in
// both and then counts in both. Pure.
#pragma once

#include <cstdint>

namespace lariat::coordinator {

// Bits: which lists a replica is in. 0: none any more.
using ListSet = uint8_t;
inline constexpr ListSet kInRead = 1;
inline constexpr ListSet kInOther = 2;
inline constexpr ListSet kInBoth = kInRead | kInOther;

}  // namespace lariat::coordinator

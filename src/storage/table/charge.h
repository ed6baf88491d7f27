// SPDX-License-Identifier: Apache-2.0
// What an allocation is counted as. The allocators of the programs and of the tests are not asked;
// both are estimated by the size classes of jemalloc: steps of 16 bytes up to 128, then four
// classes for each doubling, so at most a quarter is lost. glibc adds 8 bytes and rounds to 16,
// which is more for 128 bytes and some other sizes and less for most. Not counted: the allocators'
// own tables and the pages that they keep back, some per cent in a steady state.
#pragma once

#include <bit>
#include <cstddef>

namespace lariat::storage::table {

constexpr size_t Charge(size_t bytes) {
  const size_t below = bytes > 0 ? bytes - 1 : 0;
  const size_t step = bytes <= 128 ? 16 : size_t{1} << (std::bit_width(below) - 3);
  return (below | (step - 1)) + 1;
}

}  // namespace lariat::storage::table

// SPDX-License-Identifier: Apache-2.0
#include "storage/log/internal/segments.h"

#include <algorithm>

#include "base/check.h"

namespace lariat::storage::log {

bool Segments::IsFree(uint64_t slot) const {
  return slot < state_.slots &&
         std::none_of(state_.live.begin(), state_.live.end(),
                      [&](uint64_t segment) { return segment % shape_.slots_max == slot; });
}

base::Result<uint64_t> Segments::Start(Lsn prev_end, Lsn durable) {
  for (uint64_t number = state_.highest + 1; number <= state_.highest + shape_.slots_max;
       ++number) {
    const uint64_t slot = number % shape_.slots_max;
    if (!IsFree(slot)) continue;
    const std::string block = EncodeHeader(shape_, {number, prev_end, durable, cut()});
    auto written = disk_->WriteDurably(FileOfSlot(slot), 0, block);
    if (!written) return base::Fail(written.error());
    state_.highest = number;
    state_.live.insert(number);
    return number;
  }
  return base::Fail(base::Code::kStalled, "the log is full");
}

Control Segments::NextControl(Lsn cut, Lsn durable) const {
  return {state_.control.sequence + 1, cut, durable};
}

void Segments::SetControl(const Control& control) {
  LARIAT_CHECK(control.cut >= state_.control.cut, "a cut does not go back");
  state_.control = control;
  if (control.cut == 0) return;
  const uint64_t first = SegmentBefore(control.cut, shape_.segment_bytes);
  state_.live.erase(state_.live.begin(), state_.live.lower_bound(first));
}

}  // namespace lariat::storage::log

// SPDX-License-Identifier: Apache-2.0
// The bytes of values. Each put has a number and a value of its own, which tells key and number, so
// that a reader can say whose value it got. Half of a value is noise: compression finds something,
// but not everything. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lariat::cli::load {

class Values {
 public:
  // A shorter value has no room for key and number.
  static constexpr size_t kMarkBytes = 30;

  explicit Values(size_t bytes);
  // Valid until the next call.
  std::string_view Make(uint64_t key, uint64_t number);
  // Which put made `value`; nothing if none of this key did. REQUIRES: kMarkBytes or more a value.
  std::optional<uint64_t> NumberOf(uint64_t key, std::string_view value);

 private:
  std::string pool_;  // values are cut out of it
  std::string value_;
};

}  // namespace lariat::cli::load

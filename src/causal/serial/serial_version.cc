// SPDX-License-Identifier: Apache-2.0
#include "causal/serial/serial_version.h"

#include <charconv>
#include <optional>
#include <utility>

#include "causal/context.h"

namespace lariat::causal {
namespace {

std::optional<uint64_t> NumberIn(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

base::Result<uint64_t> SerialVersionOf(std::string_view text, std::string_view bucket,
                                       std::string_view key) {
  if (const auto number = NumberIn(text)) return *number;
  auto context = DecodeContext(text, bucket, key);
  if (!context) return base::Fail(std::move(context.error()));
  if (!context->seen.Empty() || context->lww_node != 0) {
    return base::Fail(base::Code::kInvalidArgument, "the context is of another kind of bucket");
  }
  return context->lww_stamp.packed;
}

}  // namespace lariat::causal

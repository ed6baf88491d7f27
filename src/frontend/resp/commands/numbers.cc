// SPDX-License-Identifier: Apache-2.0
// Values that are numbers.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <utility>

#include "frontend/resp/internal/handlers.h"
#include "frontend/resp/internal/keyspace.h"

namespace lariat::frontend::resp::commands {
namespace {

std::optional<long double> ParseFloat(std::string_view text) {
  long double value = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || std::isnan(value)) {
    return std::nullopt;
  }
  return value;
}

// 17 digits behind the point, without the zeros at their end, as Redis prints one.
std::string FloatText(long double value) {
  std::string text = fmt::format("{:.17f}", value);
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
  }
  return text == "-0" ? "0" : text;
}

}  // namespace

void Incr(Call call, Args args) {
  std::optional<int64_t> by = args.size() > 2 ? ParseInt(args[2]) : 1;
  if (!by) return call.NotAnInteger();
  if (call.command().name.starts_with("decr")) {
    if (*by == INT64_MIN) return call.Error("ERR decrement would overflow");
    by = -*by;
  }
  UpdateKey(std::move(call), args[1],
            [by = *by](Found& found, ReplyWriter& reply) -> std::optional<ClientWrite> {
              const auto old = found.exists ? ParseInt(found.value) : 0;
              int64_t sum = 0;
              if (!old) {
                reply.Error("ERR value is not an integer or out of range");
                return std::nullopt;
              }
              if (__builtin_add_overflow(*old, by, &sum)) {
                reply.Error("ERR increment or decrement would overflow");
                return std::nullopt;
              }
              reply.Int(sum);
              return Replace(found, std::to_string(sum));
            });
}

void IncrByFloat(Call call, Args args) {
  const auto by = ParseFloat(args[2]);
  if (!by) return call.Error("ERR value is not a valid float");
  UpdateKey(std::move(call), args[1],
            [by = *by](Found& found, ReplyWriter& reply) -> std::optional<ClientWrite> {
              const auto old = found.exists ? ParseFloat(found.value) : 0;
              if (!old) {
                reply.Error("ERR value is not a valid float");
                return std::nullopt;
              }
              const long double sum = *old + by;
              if (!std::isfinite(sum)) {
                reply.Error("ERR increment would produce NaN or Infinity");
                return std::nullopt;
              }
              std::string text = FloatText(sum);
              reply.Bulk(text);
              return Replace(found, std::move(text));
            });
}

}  // namespace lariat::frontend::resp::commands

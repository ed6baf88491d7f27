// SPDX-License-Identifier: Apache-2.0
#include "frontend/resp/internal/expiry.h"

#include <limits>

#include "frontend/resp/internal/command.h"

namespace lariat::frontend::resp {
namespace {

constexpr std::string_view kSyntax = "ERR syntax error";

struct UnitName {
  std::string_view name;
  ExpiryUnit unit;
};
constexpr UnitName kUnits[] = {{"ex", ExpiryUnit::kSeconds},
                               {"px", ExpiryUnit::kMillis},
                               {"exat", ExpiryUnit::kUnixSeconds},
                               {"pxat", ExpiryUnit::kUnixMillis}};

const UnitName* UnitOf(std::string_view word) {
  for (const UnitName& unit : kUnits) {
    if (EqualsIgnoringCase(word, unit.name)) return &unit;
  }
  return nullptr;
}

bool TakeFlag(std::string_view word, OptionsFor what, StringOptions* options) {
  const auto take = [&](std::string_view name, OptionsFor whose, bool* flag) {
    if (what != whose || !EqualsIgnoringCase(word, name)) return false;
    return *flag = true;
  };
  return take("nx", OptionsFor::kSet, &options->if_absent) ||
         take("xx", OptionsFor::kSet, &options->if_present) ||
         take("get", OptionsFor::kSet, &options->get) ||
         take("keepttl", OptionsFor::kSet, &options->keep_ttl) ||
         take("persist", OptionsFor::kGetEx, &options->persist);
}

}  // namespace

std::optional<int64_t> ExpiryAt(int64_t amount, ExpiryUnit unit, base::WallTime now) {
  int64_t ms = amount;
  const bool seconds = unit == ExpiryUnit::kSeconds || unit == ExpiryUnit::kUnixSeconds;
  if (seconds && __builtin_mul_overflow(amount, int64_t{1000}, &ms)) return std::nullopt;
  const bool relative = unit == ExpiryUnit::kSeconds || unit == ExpiryUnit::kMillis;
  if (relative && __builtin_add_overflow(ms, now.ms, &ms)) return std::nullopt;
  return ms;
}

std::string_view ParseOptions(Args args, OptionsFor what, base::WallTime now,
                              StringOptions* options) {
  for (size_t i = 0; i < args.size(); ++i) {
    if (TakeFlag(args[i], what, options)) continue;
    const UnitName* unit = UnitOf(args[i]);
    if (unit == nullptr || options->expires_ms || i + 1 == args.size()) return kSyntax;
    const auto amount = ParseInt(args[++i]);
    if (!amount) return "ERR value is not an integer or out of range";
    options->expires_ms = *amount > 0 ? ExpiryAt(*amount, unit->unit, now) : std::nullopt;
    if (!options->expires_ms) {
      return what == OptionsFor::kSet ? "ERR invalid expire time in 'set' command"
                                      : "ERR invalid expire time in 'getex' command";
    }
  }
  const int expiries =
      int{options->keep_ttl} + int{options->persist} + int{options->expires_ms.has_value()};
  if (expiries > 1 || (options->if_absent && options->if_present)) return kSyntax;
  return {};
}

}  // namespace lariat::frontend::resp

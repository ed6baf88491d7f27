// SPDX-License-Identifier: Apache-2.0
// The command table: commands.def as values. What is looked up lives as long as the program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "access/access_service.h"
#include "frontend/resp/internal/parser.h"
#include "telemetry/labels.h"

namespace lariat::frontend::resp {

class Call;
using Group = telemetry::RespGroup;
// Answers the call, now or later. The arguments begin with the command's name; they are gone when
// it returns.
using Handler = void (*)(Call call, Args args);

// Flags of a command.
inline constexpr uint32_t kReadonly = 1 << 0;
inline constexpr uint32_t kWrite = 1 << 1;
inline constexpr uint32_t kDeletes = 1 << 2;   // counted as a delete
inline constexpr uint32_t kFast = 1 << 3;      // of COMMAND
inline constexpr uint32_t kAdmin = 1 << 4;     // of COMMAND
inline constexpr uint32_t kAlone = 1 << 5;     // waits for the commands before it
inline constexpr uint32_t kInBucket = 1 << 6;  // names a bucket before its key
inline constexpr uint32_t kSecret = 1 << 7;    // its arguments are shown to nobody

struct KeySpec {
  int first = 0;  // 0: it has no keys; positions count the command's name
  int last = 0;   // negative: from the end
  int step = 0;
};

struct Command {
  std::string_view name;  // "get"; "client|id" for a subcommand
  Handler handler;
  access::Door door;  // of LARIAT.ONCE: the inner command has its own
  int arity;  // arguments with the name (of a subcommand: with both); negative: that many or more
  uint32_t flags;
  KeySpec keys;
  Group group;
  std::string_view since;  // version of Redis that brought it; empty: Redis has none
  std::string_view arguments;
  std::string_view summary;

  bool UsesDatabase() const { return (flags & (kReadonly | kWrite)) != 0 && !(flags & kInBucket); }
  std::string_view container() const;   // of a subcommand, otherwise empty
  std::string_view short_name() const;  // of a subcommand its own
};

// What Redis has and Lariat does not, with the reason.
struct RefusedCommand {
  std::string_view name;
  bool later;  // not yet; otherwise never
  std::string_view why;
};

std::span<const Command> CommandTable();
std::span<const RefusedCommand> RefusedTable();
// Names in any case, "client" or "client|id". nullptr: there is none.
const Command* FindCommand(std::string_view name);
std::vector<const Command*> SubcommandsOf(const Command& container);

// The command that the arguments ask for; nullptr with the error's text.
const Command* Lookup(Args args, std::string* error);

// Calls use(key) for each key among the arguments. REQUIRES: Lookup gave the command.
template <typename Use>
void ForEachKey(const Command& command, Args args, Use use) {
  if (command.keys.first == 0) return;
  const auto count = static_cast<int>(args.size());
  const int last = command.keys.last < 0 ? count + command.keys.last : command.keys.last;
  for (int i = command.keys.first; i <= last && i < count; i += command.keys.step) {
    use(args[static_cast<size_t>(i)]);
  }
}

bool EqualsIgnoringCase(std::string_view a, std::string_view lower);
std::string UpperCase(std::string_view text);

// docs/redis.md.
std::string RedisMarkdown();

}  // namespace lariat::frontend::resp

// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <unordered_map>

#include "frontend/resp/internal/command.h"
#include "frontend/resp/internal/handlers.h"

namespace lariat::frontend::resp {
namespace {

constexpr Command kCommands[] = {
#define LARIAT_COMMAND(name, handler, door, arity, flags, first, last, step, group, since, \
                       arguments, summary)                                                 \
  {name,                                                                                   \
   &commands::handler,                                                                     \
   access::Door::door,                                                                     \
   arity,                                                                                  \
   static_cast<uint32_t>(flags),                                                           \
   {first, last, step},                                                                    \
   Group::group,                                                                           \
   since,                                                                                  \
   arguments,                                                                              \
   summary},
#include "frontend/resp/commands.def"
#undef LARIAT_COMMAND
};

constexpr size_t kNameBytesMax = 64;
// Of an unknown command, in its error.
constexpr size_t kShownBytesMax = 128;

char LowerOf(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::vector<RefusedCommand> MakeRefused() {
  constexpr bool Later = true;
  constexpr bool Never = false;
  std::vector<RefusedCommand> all;
  const auto add = [&all](std::string_view names, bool later, std::string_view why) {
    while (!names.empty()) {
      const size_t end = std::min(names.find(' '), names.size());
      all.push_back({names.substr(0, end), later, why});
      names.remove_prefix(std::min(end + 1, names.size()));
    }
  };
#define LARIAT_REFUSED(names, later, why) add(names, later, why);
#include "frontend/resp/refused.def"
#undef LARIAT_REFUSED
  return all;
}

std::string Unknown(Args args, std::string_view lower) {
  for (const RefusedCommand& refused : RefusedTable()) {
    if (refused.name != lower) continue;
    std::string text = refused.later ? "ERR not supported yet: " : "ERR unsupported: ";
    return text + UpperCase(lower) + " (" + std::string(refused.why) + ")";
  }
  std::string text = "ERR unknown command '" + std::string(args[0].substr(0, kShownBytesMax)) +
                     "', with args beginning with: ";
  for (const std::string_view arg : args.subspan(1)) {
    if (text.size() > 2 * kShownBytesMax) break;
    text += "'" + std::string(arg.substr(0, kShownBytesMax)) + "' ";
  }
  return text;
}

bool FitsArity(const Command& command, size_t count) {
  const auto given = static_cast<int>(count);
  return command.arity >= 0 ? given == command.arity : given >= -command.arity;
}

}  // namespace

std::string_view Command::container() const {
  const size_t bar = name.find('|');
  return bar == std::string_view::npos ? std::string_view() : name.substr(0, bar);
}

std::string_view Command::short_name() const { return name.substr(name.find('|') + 1); }

std::span<const Command> CommandTable() { return kCommands; }

std::span<const RefusedCommand> RefusedTable() {
  static const std::vector<RefusedCommand> kRefused = MakeRefused();
  return kRefused;
}

const Command* FindCommand(std::string_view name) {
  static const std::unordered_map<std::string_view, const Command*> kByName = [] {
    std::unordered_map<std::string_view, const Command*> all;
    for (const Command& command : kCommands) all.emplace(command.name, &command);
    return all;
  }();
  std::array<char, kNameBytesMax> lower;
  if (name.size() > lower.size()) return nullptr;
  std::transform(name.begin(), name.end(), lower.begin(), LowerOf);
  const auto found = kByName.find(std::string_view(lower.data(), name.size()));
  return found == kByName.end() ? nullptr : found->second;
}

std::vector<const Command*> SubcommandsOf(const Command& container) {
  std::vector<const Command*> all;
  for (const Command& command : kCommands) {
    if (command.container() == container.name) all.push_back(&command);
  }
  return all;
}

const Command* Lookup(Args args, std::string* error) {
  const Command* command =
      args[0].find('|') == std::string_view::npos ? FindCommand(args[0]) : nullptr;
  if (command == nullptr) {
    std::string lower(args[0].substr(0, kNameBytesMax));
    std::transform(lower.begin(), lower.end(), lower.begin(), LowerOf);
    *error = Unknown(args, lower);
    return nullptr;
  }
  // Containers stand before their subcommands.
  const Command* const next = command + 1;
  const bool has_more = next != std::end(kCommands) && next->container() == command->name;
  if (has_more && args.size() > 1 && FitsArity(*command, args.size())) {
    std::string name = std::string(command->name) + "|" + std::string(args[1].substr(0, 32));
    const Command* sub = args[1].size() > 32 ? nullptr : FindCommand(name);
    if (sub == nullptr) {
      *error = "ERR unknown subcommand '" + std::string(args[1].substr(0, kShownBytesMax)) +
               "'. Try " + UpperCase(command->name) + " HELP.";
      return nullptr;
    }
    command = sub;
  }
  if (FitsArity(*command, args.size())) return command;
  *error = "ERR wrong number of arguments for '" + std::string(command->name) + "' command";
  return nullptr;
}

bool EqualsIgnoringCase(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() && std::equal(a.begin(), a.end(), lower.begin(),
                                                [](char c, char l) { return LowerOf(c) == l; });
}

std::string UpperCase(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return upper;
}

}  // namespace lariat::frontend::resp

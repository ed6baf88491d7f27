// SPDX-License-Identifier: Apache-2.0
// COMMAND and HELP: the command table for clients.
#include <algorithm>
#include <utility>

#include "frontend/resp/internal/handlers.h"

namespace lariat::frontend::resp::commands {
namespace {

struct FlagName {
  uint32_t flag;
  std::string_view name;
};
constexpr FlagName kFlagNames[] = {
    {kReadonly, "readonly"}, {kWrite, "write"}, {kFast, "fast"}, {kAdmin, "admin"}};

bool IsContained(const Command& command) { return !command.container().empty(); }

std::vector<const Command*> TopCommands() {
  std::vector<const Command*> all;
  for (const Command& command : CommandTable()) {
    if (!IsContained(command)) all.push_back(&command);
  }
  return all;
}

void WriteFlags(ReplyWriter& writer, const Command& command) {
  std::vector<std::string_view> names;
  for (const FlagName& flag : kFlagNames) {
    if ((command.flags & flag.flag) != 0) names.push_back(flag.name);
  }
  writer.Set(names.size());
  for (const std::string_view name : names) writer.Simple(name);
}

void WriteCategories(ReplyWriter& writer, const Command& command) {
  std::vector<std::string> names = {"@" + std::string(LabelText(command.group))};
  if ((command.flags & kReadonly) != 0) names.emplace_back("@read");
  if ((command.flags & kWrite) != 0) names.emplace_back("@write");
  names.emplace_back((command.flags & kFast) != 0 ? "@fast" : "@slow");
  writer.Set(names.size());
  for (const std::string& name : names) writer.Simple(name);
}

void WriteInfo(ReplyWriter& writer, const Command& command) {
  writer.Array(10).Bulk(command.name).Int(command.arity);
  WriteFlags(writer, command);
  writer.Int(command.keys.first).Int(command.keys.last).Int(command.keys.step);
  WriteCategories(writer, command);
  writer.Array(0).Array(0);  // tips and specifications of keys
  const auto subcommands = SubcommandsOf(command);
  writer.Array(subcommands.size());
  for (const Command* sub : subcommands) WriteInfo(writer, *sub);
}

void WriteDocs(ReplyWriter& writer, const Command& command) {
  const auto subcommands = SubcommandsOf(command);
  writer.Bulk(command.name).Map(3 + (subcommands.empty() ? 0 : 1));
  writer.Bulk("summary").Bulk(command.summary).Bulk("since").Bulk(command.since);
  writer.Bulk("group").Bulk(LabelText(command.group));
  if (subcommands.empty()) return;
  writer.Bulk("subcommands").Map(subcommands.size());
  for (const Command* sub : subcommands) WriteDocs(writer, *sub);
}

}  // namespace

void CommandAll(Call call, Args) {
  const auto all = TopCommands();
  ReplyWriter writer = call.Writer();
  writer.Array(all.size());
  for (const Command* command : all) WriteInfo(writer, *command);
  call.Answer(writer);
}

void CommandCount(Call call, Args) { call.Int(static_cast<int64_t>(TopCommands().size())); }

void CommandInfo(Call call, Args args) {
  if (args.size() == 2) return CommandAll(std::move(call), args);
  ReplyWriter writer = call.Writer();
  writer.Array(args.size() - 2);
  for (const std::string_view name : args.subspan(2)) {
    if (const Command* command = FindCommand(name)) {
      WriteInfo(writer, *command);
    } else {
      writer.NullArray();
    }
  }
  call.Answer(writer);
}

void CommandDocs(Call call, Args args) {
  std::vector<const Command*> wanted;
  for (const std::string_view name : args.subspan(2)) {
    if (const Command* command = FindCommand(name)) wanted.push_back(command);
  }
  if (args.size() == 2) wanted = TopCommands();
  ReplyWriter writer = call.Writer();
  writer.Map(wanted.size());
  for (const Command* command : wanted) WriteDocs(writer, *command);
  call.Answer(writer);
}

void CommandList(Call call, Args) {
  const auto all = TopCommands();
  ReplyWriter writer = call.Writer();
  writer.Array(all.size());
  for (const Command* command : all) writer.Bulk(command->name);
  call.Answer(writer);
}

void CommandGetKeys(Call call, Args args) {
  std::string error;
  const Args asked = args.subspan(2);
  const Command* command = Lookup(asked, &error);
  if (command == nullptr) return call.Error("ERR Invalid command specified");
  std::vector<std::string_view> keys;
  ForEachKey(*command, asked, [&keys](std::string_view key) { keys.push_back(key); });
  if (keys.empty()) return call.Error("ERR The command has no key arguments");
  ReplyWriter writer = call.Writer();
  writer.Array(keys.size());
  for (const std::string_view key : keys) writer.Bulk(key);
  call.Answer(writer);
}

void Help(Call call, Args args) {
  const Command& container = *FindCommand(args[0]);
  const auto subcommands = SubcommandsOf(container);
  ReplyWriter writer = call.Writer();
  const std::string name = UpperCase(container.name);
  writer.Array(1 + 2 * subcommands.size());
  writer.Simple(name + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const Command* sub : subcommands) {
    std::string line = UpperCase(sub->short_name());
    if (!sub->arguments.empty()) line += " " + std::string(sub->arguments);
    writer.Simple(line).Simple("    " + std::string(sub->summary));
  }
  call.Answer(writer);
}

// Never called: a container is answered by its subcommands, or refused when none is named.
void NeedsSubcommand(Call call, Args) { call.SyntaxError(); }

}  // namespace lariat::frontend::resp::commands

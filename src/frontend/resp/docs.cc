// SPDX-License-Identifier: Apache-2.0
// docs/redis.md: what people have to know, and the command table.
#include <fmt/format.h>

#include "frontend/resp/internal/handlers.h"
#include "frontend/resp/internal/server_facts.h"

namespace lariat::frontend::resp {
namespace {

constexpr std::string_view kPreface = R"(# The Redis protocol

XX
)";

std::string GroupTitle(Group group) {
  std::string title(LabelText(group));
  title[0] = static_cast<char>(title[0] - 'a' + 'A');
  return title;
}

std::string CodeText(const Command& command) {
  std::string code = UpperCase(command.container().empty()
                                   ? command.name
                                   : command.container());
  if (!command.container().empty()) code += " " + UpperCase(command.short_name());
  if (!command.arguments.empty()) code += " " + std::string(command.arguments);
  std::string escaped;
  for (const char c : code) {
    if (c == '|') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

}  // namespace

std::string RedisMarkdown() {
  std::string page(kPreface);
  for (size_t g = 0; g < static_cast<size_t>(Group::kUnknown); ++g) {
    const auto group = static_cast<Group>(g);
    std::string rows;
    for (const Command& command : CommandTable()) {
      if (command.group != group || !SubcommandsOf(command).empty()) continue;
      rows += fmt::format("| `{}` | {} |\n", CodeText(command), command.summary);
    }
    if (rows.empty()) continue;
    page += fmt::format("\n### {}\n\n| command | what it does |\n| --- | --- |\n{}",
                        GroupTitle(group), rows);
  }
  page += "\n## What is refused, and what to do instead\n";
  for (const bool later : {true, false}) {
    page += later ? "\nNot yet:\n\n" : "\nNever:\n\n";
    std::string_view why;
    for (const RefusedCommand& refused : RefusedTable()) {
      if (refused.later != later) continue;
      if (refused.why != why) page += fmt::format("{}- {}: ", why.empty() ? "" : "\n", refused.why);
      if (refused.why == why) page += ", ";
      why = refused.why;
      page += "`" + UpperCase(refused.name) + "`";
    }
    page += "\n";
  }
  return page;
}

}  // namespace lariat::frontend::resp

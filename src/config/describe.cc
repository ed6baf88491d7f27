// SPDX-License-Identifier: Apache-2.0
#include "config/describe.h"

#include <fmt/format.h>

#include <cstdint>
#include <iterator>

#include "config/value.h"

namespace lariat::config {
namespace {

std::string_view TakesEffect(const SettingInfo& info) {
  return info.live == Live::kLive ? "on SIGHUP" : "at restart";
}

// "unit bytes, 1 to 64, default 3, changes at restart"; a choice's unit is its list of values.
std::string Facts(const SettingInfo& info) {
  std::string facts;
  if (!info.unit.empty()) {
    facts += fmt::format("{} {}, ", info.is_choice() ? "one of" : "unit", info.unit);
  }
  if (info.type() == Type::kInt || info.type() == Type::kDouble) facts += Allowed(info) + ", ";
  return facts +
         fmt::format("default {}, changes {}", FormatToml(DefaultValue(info)), TakesEffect(info));
}

// Calls begin(section), then each(info) for the section's settings, section by section.
template <typename Begin, typename Each>
void ForEachSection(Begin begin, Each each) {
  for (const std::string_view section : Sections()) {
    begin(section);
    for (const SettingInfo& info : SettingTable()) {
      if (info.section == section) each(info);
    }
  }
}

// An origin holds a file's name, and a line break in it would end the comment.
std::string OneLine(std::string text) {
  for (char& c : text) {
    if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

// '|' would end the cell.
std::string Cell(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') cell += '\\';
    cell += c;
  }
  return cell;
}

std::string AllowedCell(const SettingInfo& info) {
  std::string allowed = Allowed(info);
  return Cell(allowed.empty() ? std::string(TypeName(info.type())) : allowed);
}

}  // namespace

std::string PrintConfig(const SettingsBuilder& builder) {
  std::string text;
  auto out = std::back_inserter(text);
  ForEachSection(
      [&](std::string_view section) {
        fmt::format_to(out, "{}[{}]\n", text.empty() ? "" : "\n", section);
      },
      [&](const SettingInfo& info) {
        const SettingsBuilder::Entry entry = builder.Lookup(info);
        fmt::format_to(out, "# {}\n# {}; from {}\n{} = {}\n", info.doc, Facts(info),
                       OneLine(entry.origin), info.name, FormatToml(entry.value));
      });
  return text;
}

std::string SampleToml() {
  std::string text =
      "# The settings of lariatd, each at its default. Uncomment a line to change it.\n"
      "# A flag (--set section.key=value) beats the environment (LARIAT_SECTION__KEY), which "
      "beats\n"
      "# this file. Sizes may also be written as \"256MiB\". Generated from "
      "src/config/settings.def.\n";
  auto out = std::back_inserter(text);
  ForEachSection([&](std::string_view section) { fmt::format_to(out, "\n[{}]\n", section); },
                 [&](const SettingInfo& info) {
                   fmt::format_to(out, "# {}\n# {}\n#{} = {}\n", info.doc, Facts(info), info.name,
                                  FormatToml(DefaultValue(info)));
                 });
  return text;
}

std::string SettingsMarkdown() {
  std::string text =
      "# Settings\n\n"
      "This page is generated from `src/config/settings.def`; a test fails when it is out of "
      "date.\n"
      "\n"
      "A value comes from, strongest first: a flag (`--set section.key=value` or a flag of its "
      "own),\n"
      "an environment variable (`LARIAT_SECTION__KEY`, for example `LARIAT_STORAGE__IO_THREADS`), "
      "the\n"
      "TOML file given by `--config`, the default. `lariatd --print-config` shows every value and\n"
      "where it came from. Keys with the unit bytes or bytes/s also take texts such as "
      "`\"256MiB\"`\n"
      "(B, KiB, MiB, GiB, TiB; KB, MB, GB, TB are powers of 1000). Lists are comma separated in\n"
      "flags and environment variables. Changes marked SIGHUP apply when the running server gets\n"
      "that signal; the others need a restart.\n";
  auto out = std::back_inserter(text);
  ForEachSection(
      [&](std::string_view section) {
        fmt::format_to(out,
                       "\n## {}\n\n| key | default | allowed | unit | changes | meaning |\n"
                       "| --- | --- | --- | --- | --- | --- |\n",
                       section);
      },
      [&](const SettingInfo& info) {
        fmt::format_to(out, "| `{}` | `{}` | {} | {} | {} | {} |\n", info.key(),
                       FormatToml(DefaultValue(info)), AllowedCell(info),
                       info.is_choice() ? std::string() : Cell(info.unit), TakesEffect(info),
                       Cell(info.doc));
      });
  return text;
}

}  // namespace lariat::config

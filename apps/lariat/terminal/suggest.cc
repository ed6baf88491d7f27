// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/terminal/suggest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

namespace lariat::cli {
namespace {

// Letters to insert, drop, replace or swap with their neighbour.
size_t TypingErrors(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> errors(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) errors[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) errors[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t other = a[i - 1] == b[j - 1] ? 0 : 1;
      errors[i][j] =
          std::min({errors[i - 1][j] + 1, errors[i][j - 1] + 1, errors[i - 1][j - 1] + other});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) errors[i][j] = std::min(errors[i][j], errors[i - 2][j - 2] + 1);
    }
  }
  return errors[a.size()][b.size()];
}

std::vector<std::string> CommandsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  return names;
}

std::vector<std::string> OptionsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// Whether the word after this option is its value.
bool TakesValue(const CLI::App& app, const std::string& word) {
  if (word.find('=') != std::string::npos) return false;
  const CLI::Option* option = app.get_option_no_throw(word);
  return option != nullptr && option->get_items_expected_max() > 0;
}

const CLI::App* CommandOf(const CLI::App& app, const std::string& name) {
  const auto commands = app.get_subcommands(nullptr);
  const auto found = std::find_if(commands.begin(), commands.end(), [&](const CLI::App* command) {
    return command->get_name() == name;
  });
  return found == commands.end() ? nullptr : *found;
}

// For each command its path and the words that may follow.
void AddCases(const CLI::App& app, const std::string& path, std::vector<std::string>* paths,
              std::string* cases) {
  std::vector<std::string> words = CommandsOf(app);
  const std::vector<std::string> options = OptionsOf(app);
  words.insert(words.end(), options.begin(), options.end());
  paths->push_back("'" + path + "'");
  *cases += fmt::format("    '{}') words='{}' ;;\n", path, fmt::join(words, " "));
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    AddCases(*command, path + " " + command->get_name(), paths, cases);
  }
}

}  // namespace

std::string Nearest(std::string_view typed, const std::vector<std::string>& candidates) {
  std::string nearest;
  size_t least = std::min<size_t>(2, typed.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t errors = TypingErrors(typed, candidate);
    if (errors < least) nearest = candidate, least = errors;
  }
  return nearest;
}

std::string DidYouMean(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* at = &app;
  for (size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    const std::string& word = words[i];
    if (word.starts_with("--")) {
      const std::string name = word.substr(0, word.find('='));
      if (at->get_option_no_throw(name) != nullptr) {
        if (TakesValue(*at, word)) ++i;
        continue;
      }
      const std::string nearest = Nearest(name, OptionsOf(*at));
      return nearest.empty() ? "" : fmt::format("did you mean {}?", nearest);
    }
    if (word.starts_with('-')) {
      if (TakesValue(*at, word)) ++i;
      continue;
    }
    const std::vector<std::string> commands = CommandsOf(*at);
    if (commands.empty()) continue;  // an argument
    if (const CLI::App* next = CommandOf(*at, word)) {
      at = next;
      continue;
    }
    const std::string nearest = Nearest(word, commands);
    return nearest.empty() ? "" : fmt::format("did you mean '{}'?", nearest);
  }
  return "";
}

std::string BashCompletion(const CLI::App& app) {
  std::vector<std::string> paths;
  std::string cases;
  AddCases(app, app.get_name(), &paths, &cases);
  return fmt::format(
      R"sh(# Completion of {0} for bash. To use it:  eval "$({0} completion)"
# In zsh first:  autoload -U +X bashcompinit && bashcompinit
_{0}() {{
  local path='{0}' words='' word i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${{COMP_WORDS[i]}}
    case "$path $word" in {1}) path="$path $word" ;; esac
  done
  case "$path" in
{2}  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}")
}}
complete -o default -F _{0} {0}
)sh",
      app.get_name(), fmt::join(paths, "|"), cases);
}

}  // namespace lariat::cli

// SPDX-License-Identifier: Apache-2.0
// Help for what was mistyped, and the commands as a shell completes them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace lariat::cli {

// The candidate that is at most two typing errors away (a third of a short word), or none.
std::string Nearest(std::string_view typed, const std::vector<std::string>& candidates);

// "did you mean ...?" for the first word of a command line that is no command or option; else
// empty. `words` without the program.
std::string DidYouMean(const CLI::App& app, const std::vector<std::string>& words);

// A script for bash (zsh runs it by bashcompinit) that completes commands and options.
std::string BashCompletion(const CLI::App& app);

}  // namespace lariat::cli

// SPDX-License-Identifier: Apache-2.0
// Standard output and standard error. All output goes through here, so that one check at the end of
// every command sees what could not be written. The first failure is told on standard error, once;
// a reader that has closed its pipe ('| head -1') is none to tell of. Standard error itself may
// fail: there is nobody to tell. Single-threaded.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace lariat::cli {

void Write(std::string_view bytes);

template <typename... T>
void Print(fmt::format_string<T...> format, T&&... args) {
  Write(fmt::format(format, std::forward<T>(args)...));
}

// To standard error.
void TellText(std::string_view text);

template <typename... T>
void Tell(fmt::format_string<T...> format, T&&... args) {
  TellText(fmt::format(format, std::forward<T>(args)...));
}

// A line, handed over at once.
void PrintLine(std::string_view text);

// Hands over what was written; false if anything since ResetOutput could not be. For commands that
// go on after they have said something, and for the check at the end.
bool FlushOutput();
bool OutputWorks();
void ResetOutput();

}  // namespace lariat::cli

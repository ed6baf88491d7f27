// SPDX-License-Identifier: Apache-2.0
// Small pieces of text for people. Pure, but for IsTerminal and TerminalColumns.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lariat::cli {

bool IsTerminal(int descriptor);
size_t TerminalColumns(int descriptor);  // 80 where it does not say
// At most so many characters, for a line that has to stay one.
std::string_view Clip(std::string_view text, size_t columns);
bool IsUtf8(std::string_view bytes);
// Bytes as they may stand on a terminal: control characters and bad UTF-8 as \xNN.
std::string Printable(std::string_view bytes);
std::string BytesText(uint64_t bytes);    // "1.5 MiB"
std::string CountText(uint64_t count);    // "1,234,567"
std::string PercentText(double share);    // "33.3 %"
std::string SecondsText(double seconds);  // "0.62 s", "3 min 05 s"

}  // namespace lariat::cli

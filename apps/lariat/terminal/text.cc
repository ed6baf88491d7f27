// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/terminal/text.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>

namespace lariat::cli {

namespace {

// Length of the UTF-8 sequence at the front, 0 if there is none (over-long forms, surrogates and
// code points past U+10FFFF are none).
size_t SequenceLength(std::string_view s) {
  auto at = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
  auto continues = [&](size_t n) {
    if (s.size() < n) return false;
    for (size_t i = 1; i < n; ++i) {
      if ((at(i) & 0xC0) != 0x80) return false;
    }
    return true;
  };
  unsigned char first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(2) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!continues(3) || (first == 0xE0 && at(1) < 0xA0) || (first == 0xED && at(1) > 0x9F)) {
      return 0;
    }
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!continues(4) || (first == 0xF0 && at(1) < 0x90) || (first == 0xF4 && at(1) > 0x8F)) {
      return 0;
    }
    return 4;
  }
  return 0;
}

}  // namespace

bool IsTerminal(int descriptor) { return isatty(descriptor) == 1; }

size_t TerminalColumns(int descriptor) {
  winsize size{};
  const bool told = ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return told ? size.ws_col : 80;
}

std::string_view Clip(std::string_view text, size_t columns) {
  size_t end = 0;
  for (size_t shown = 0; end < text.size() && shown < columns; ++shown) {
    do {
      ++end;
    } while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  }
  return text.substr(0, end);
}

bool IsUtf8(std::string_view bytes) {
  while (!bytes.empty()) {
    size_t length = SequenceLength(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string Printable(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    size_t length = SequenceLength(bytes);
    auto first = static_cast<unsigned char>(bytes[0]);
    if (length == 0 || first < 0x20 || first == 0x7F) {
      out += fmt::format("\\x{:02x}", first);
      length = 1;
    } else {
      out += bytes.substr(0, length);
    }
    bytes.remove_prefix(length);
  }
  return out;
}

std::string BytesText(uint64_t bytes) {
  static constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string CountText(uint64_t count) {
  std::string digits = std::to_string(count);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string PercentText(double share) { return fmt::format("{:.1f} %", share * 100); }

std::string SecondsText(double seconds) {
  if (seconds < 10) return fmt::format("{:.2f} s", seconds);
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  auto whole = static_cast<uint64_t>(seconds);
  if (whole < 7200) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

}  // namespace lariat::cli

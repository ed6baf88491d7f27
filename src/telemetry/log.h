// SPDX-License-Identifier: Apache-2.0
// Log events as values: the core says what happened, the program decides where it goes (spdlog in
// lariatd, the trace in the simulator). Nothing on the hot path logs.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lariat::telemetry {

enum class LogLevel : uint8_t { kTrace, kDebug, kInfo, kWarn, kError };

// The texts of the setting log.level: "trace", "debug", "info", "warn", "error".
std::string_view LevelText(LogLevel level);
std::optional<LogLevel> LevelFromText(std::string_view text);

class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual bool Enabled(LogLevel level) const = 0;
  // Thread-safe.
  virtual void Write(LogLevel level, std::string_view module, std::string text) = 0;

  template <typename... Args>
  void Log(LogLevel level, std::string_view module, fmt::format_string<Args...> format,
           Args&&... args) {
    if (Enabled(level)) Write(level, module, fmt::format(format, std::forward<Args>(args)...));
  }
};

// Drops everything; for tests.
LogSink& NullLog();

}  // namespace lariat::telemetry

// SPDX-License-Identifier: Apache-2.0
#include "telemetry/log.h"

namespace lariat::telemetry {
namespace {

class DroppingSink final : public LogSink {
 public:
  bool Enabled(LogLevel /*level*/) const override { return false; }
  void Write(LogLevel /*level*/, std::string_view /*module*/, std::string /*text*/) override {}
};

}  // namespace

std::string_view LevelText(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return "trace";
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "";
}

std::optional<LogLevel> LevelFromText(std::string_view text) {
  for (const LogLevel level :
       {LogLevel::kTrace, LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    if (text == LevelText(level)) return level;
  }
  return std::nullopt;
}

LogSink& NullLog() {
  static DroppingSink sink;  // has no state
  return sink;
}

}  // namespace lariat::telemetry

// SPDX-License-Identifier: Apache-2.0
#include "apps/lariatd/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>

namespace lariat::lariatd {

struct StderrLog::Impl {
  spdlog::logger logger{"lariatd", std::make_shared<spdlog::sinks::stderr_sink_mt>()};
  std::atomic<telemetry::LogLevel> level{telemetry::LogLevel::kInfo};
};

namespace {

spdlog::level::level_enum ToSpdlog(telemetry::LogLevel level) {
  switch (level) {
    case telemetry::LogLevel::kTrace:
      return spdlog::level::trace;
    case telemetry::LogLevel::kDebug:
      return spdlog::level::debug;
    case telemetry::LogLevel::kInfo:
      return spdlog::level::info;
    case telemetry::LogLevel::kWarn:
      return spdlog::level::warn;
    case telemetry::LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

StderrLog::StderrLog(const std::string& level) : impl_(std::make_unique<Impl>()) {
  impl_->logger.set_level(spdlog::level::trace);  // filtered here, by our own level
  impl_->logger.set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
  impl_->logger.flush_on(spdlog::level::info);
  SetLevel(level);
}

StderrLog::~StderrLog() = default;

void StderrLog::SetLevel(const std::string& level) {
  if (auto parsed = telemetry::LevelFromText(level)) impl_->level = *parsed;
}

bool StderrLog::Enabled(telemetry::LogLevel level) const { return level >= impl_->level.load(); }

void StderrLog::Write(telemetry::LogLevel level, std::string_view module, std::string text) {
  impl_->logger.log(ToSpdlog(level), "{}: {}", module, text);
}

void StderrLog::Flush() { impl_->logger.flush(); }

}  // namespace lariat::lariatd

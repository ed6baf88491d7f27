// SPDX-License-Identifier: Apache-2.0
#include "apps/lariatd/log.h"

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <mutex>

#include "env/posix/line_output.h"

namespace lariat::lariatd {

using env::posix::LineOutput;

namespace {

constexpr const char* kPattern = "%Y-%m-%dT%H:%M:%S.%e%z %l %v";

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

class QueueSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit QueueSink(const config::Settings& settings)
      : output_({.bytes_max = static_cast<size_t>(settings.log_queue_bytes),
                 .dropped_line = DroppedLine}) {}
  LineOutput& output() { return output_; }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const bool heavy = message.level >= spdlog::level::err;
    output_.Write(LineOutput::To::kError, Format(message),
                  heavy ? LineOutput::Weight::kHeavy : LineOutput::Weight::kUsual);
  }
  void flush_() override {}

 private:
  std::string Format(const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    return fmt::to_string(line);
  }
  // Called by whoever finds room again, with the lock of the queue and not with this sink's.
  static std::string DroppedLine(uint64_t count) {
    spdlog::pattern_formatter formatter(kPattern);
    spdlog::memory_buf_t line;
    const std::string text =
        fmt::format("log: {} lines were dropped here, because nobody read them", count);
    formatter.format({"lariatd", spdlog::level::warn, text}, line);
    return fmt::to_string(line);
  }

  LineOutput output_;
};

}  // namespace

struct StderrLog::Impl {
  explicit Impl(const config::Settings& settings)
      : sink(std::make_shared<QueueSink>(settings)), logger("lariatd", sink) {}

  std::shared_ptr<QueueSink> sink;  // co-owned by the logger
  spdlog::logger logger;
  std::atomic<telemetry::LogLevel> level{telemetry::LogLevel::kInfo};
};

StderrLog::StderrLog(const config::Settings& settings) : impl_(std::make_unique<Impl>(settings)) {
  impl_->logger.set_level(spdlog::level::trace);  // filtered here, by our own level
  impl_->logger.set_pattern(kPattern);
  SetLevel(settings.log_level);
}

StderrLog::~StderrLog() = default;

void StderrLog::SetLevel(const std::string& level) {
  if (auto parsed = telemetry::LevelFromText(level)) impl_->level = *parsed;
}

bool StderrLog::Enabled(telemetry::LogLevel level) const { return level >= impl_->level.load(); }

void StderrLog::Write(telemetry::LogLevel level, std::string_view module, std::string text) {
  impl_->logger.log(ToSpdlog(level), "{}: {}", module, text);
}

void StderrLog::Flush(base::Duration limit) { impl_->sink->output().Flush(limit); }

void StderrLog::Say(std::string line) {
  impl_->sink->output().Write(LineOutput::To::kOut, std::move(line));
}

uint64_t StderrLog::dropped() const { return impl_->sink->output().dropped(); }

}  // namespace lariat::lariatd

// SPDX-License-Identifier: Apache-2.0
// Log events to stderr through spdlog. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "telemetry/log.h"

namespace lariat::lariatd {

class StderrLog final : public telemetry::LogSink {
 public:
  explicit StderrLog(const std::string& level);
  ~StderrLog() override;
  bool Enabled(telemetry::LogLevel level) const override;
  void Write(telemetry::LogLevel level, std::string_view module, std::string text) override;
  void SetLevel(const std::string& level);
  void Flush();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lariat::lariatd

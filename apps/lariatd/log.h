// SPDX-License-Identifier: Apache-2.0
// What the server says: log events to standard error, formatted by spdlog and written by a thread
// of its own, and the line that it is ready to standard output. Nothing here waits for who reads
// it. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "base/time.h"
#include "config/settings.h"
#include "telemetry/log.h"

namespace lariat::lariatd {

class StderrLog final : public telemetry::LogSink {
 public:
  explicit StderrLog(const config::Settings& settings);
  // Waits a short while for what was logged to be read.
  ~StderrLog() override;
  bool Enabled(telemetry::LogLevel level) const override;
  void Write(telemetry::LogLevel level, std::string_view module, std::string text) override;
  void SetLevel(const std::string& level);
  void Flush(base::Duration limit);  // before an end without a destructor
  void Say(std::string line);        // to standard output
  uint64_t dropped() const;          // lines that nobody read in time

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lariat::lariatd

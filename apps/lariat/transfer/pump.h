// SPDX-License-Identifier: Apache-2.0
// Drives many requests at once: reads records as connections become free, so that memory stays
// constant; spreads the connections over the nodes; moves a connection to the next node when its
// own is gone, and leaves out for a while one that hangs; tries again what a busy or broken cluster
// did not do. One thread.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "apps/lariat/net/connection.h"
#include "apps/lariat/terminal/progress.h"
#include "apps/lariat/transfer/job.h"
#include "apps/lariat/transfer/tally.h"
#include "apps/lariat/transfer/tracker.h"
#include "base/prng.h"

namespace lariat::cli::transfer {

struct PumpOptions {
  std::vector<net::Address> nodes;
  size_t concurrency = 32;
  net::Waits waits;
  std::string authorization = {};            // that each request brings; empty: none
  std::shared_ptr<const net::Trust> trust;   // null: no TLS
  std::chrono::milliseconds give_up{60000};  // how long one record is tried
  uint64_t errors_max = 1000;                // failed records after which no more are read
  std::string source;                        // the file's name, for the places of failed records
  // Hears of each failed record, besides the tally.
  std::function<void(const Record& record, const std::string& reason, const std::string& detail)>
      on_failed;
};

class Pump {
 public:
  // All must outlive the pump. `each_second` is called while it runs.
  Pump(PumpOptions options, RecordReader& reader, Job& job, Tracker& tracker, Progress& progress,
       std::function<void()> each_second);
  // Until all records have ended, or too many have failed. Empty text, or why it ended early.
  std::string Run();
  const Tally& tally() const { return tally_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Lane {
    size_t node = 0;
    std::optional<net::Connection> connection;
    Record record;
    uint64_t ticket = 0;
    unsigned attempts = 0;
    Clock::time_point first_sent;
    bool busy = false;
  };

  void FillIdle();
  bool ReadInto(Lane& lane);
  void Send(Lane& lane);
  void OnOutcome(Lane& lane, net::Outcome outcome);
  void Retry(Lane& lane, const std::string& reason, std::chrono::milliseconds at_least);
  void MoveOn(Lane& lane, bool hung);
  void Finish(Lane& lane);
  void FailRecord(const Record& record, const std::string& reason, const std::string& detail);
  void Tick();

  PumpOptions options_;
  RecordReader& reader_;
  Job& job_;
  Tracker& tracker_;
  Progress& progress_;
  std::function<void()> each_second_;
  net::Loop loop_;
  std::vector<Lane> lanes_;
  std::vector<Clock::time_point> avoid_until_;  // of each node: it hung a moment ago
  Tally tally_;
  base::Prng jitter_;
  size_t busy_ = 0;
  bool reading_ = true;
  std::string stopped_because_;
};

}  // namespace lariat::cli::transfer

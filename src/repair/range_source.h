// SPDX-License-Identifier: Apache-2.0
// The giving side of a topology change: answers RangePull with pages of this node's records. A page
// is read from one snapshot or a few (replica/range_reader.h says why that is enough).
//
// A record that fails its checksum is not in its page, and the page says kCorruption although it
// carries the others and may be gone on after: the receiver takes them, goes on and does not finish
// until it got that record. Where the disk cannot be read at all the page is empty, has no last_key
// and only says why.
//
// Threads: one shard's thread. Any shard of the node gives the same pages.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "config/settings.h"
#include "repair/throttle_core.h"
#include "replica/range_reader.h"
#include "telemetry/metrics.h"
#include "wire/messages.h"

namespace lariat::repair {

class RangeSource {
 public:
  RangeSource(replica::RangeReader& reader, telemetry::Metrics& metrics,
              const config::Settings& settings);

  using Done = base::UniqueFunction<void(wire::RangePage)>;
  // A page that gives nothing and says why.
  static wire::RangePage Refusal(base::Code code, std::string why);
  // `streaming`: number of the change that is in its streaming phase by this node's document and
  // whose fence all its shards work by; 0: none. Other requests are refused with kStaleEpoch.
  // REQUIRES: the sender is a member.
  void Serve(const wire::RangePull& request, uint64_t streaming, base::Instant now, Done done);
  // Once a second: while the clients of this node are slow it gives out pages slowly.
  void OnLatency(std::optional<base::Duration> latency, base::Instant now) {
    throttle_.OnLatency(latency, now);
  }
  void ApplySettings(const config::Settings& settings);

 private:
  void Answer(base::Result<replica::RecordPage> read, base::Instant asked, Done done);

  replica::RangeReader& reader_;
  telemetry::Metrics& metrics_;
  Throttle throttle_;
  size_t page_bytes_max_ = 0;
  size_t reading_ = 0;
  std::shared_ptr<bool> alive_;  // watched by callbacks
};

}  // namespace lariat::repair

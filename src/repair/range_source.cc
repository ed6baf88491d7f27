// SPDX-License-Identifier: Apache-2.0
#include "repair/range_source.h"

#include <algorithm>
#include <utility>

namespace lariat::repair {

using base::Code;

namespace {

constexpr size_t kReadingMax = 64;  // pages being read at once

ThrottleOptions SourceThrottle(const config::Settings& settings) {
  // The fixed limit is the receiver's: only it knows all that it receives.
  ThrottleOptions options;
  options.latency_max = base::Millis(settings.stream_latency_ms);
  return options;
}

wire::RangePage PageOf(replica::RecordPage read) {
  wire::RangePage page;
  page.entries.reserve(read.records.size());
  for (auto& record : read.records) {
    page.entries.push_back({std::move(record.key), std::move(record.object)});
  }
  page.last_key = std::move(read.last_key);
  page.done = read.done;
  page.checksum = wire::PageChecksum(page.entries);
  if (read.damaged > 0) {
    page.outcome = {Code::kCorruption,
                    std::to_string(read.damaged) + " damaged records (" + read.damage + ")"};
  }
  return page;
}

}  // namespace

wire::RangePage RangeSource::Refusal(Code code, std::string why) {
  wire::RangePage page;
  page.outcome = {code, std::move(why)};
  page.checksum = wire::PageChecksum(page.entries);
  return page;
}

RangeSource::RangeSource(replica::RangeReader& reader, telemetry::Metrics& metrics,
                         const config::Settings& settings)
    : reader_(reader),
      metrics_(metrics),
      throttle_(SourceThrottle(settings)),
      alive_(std::make_shared<bool>(true)) {
  ApplySettings(settings);
}

void RangeSource::ApplySettings(const config::Settings& settings) {
  throttle_.SetOptions(SourceThrottle(settings));
  page_bytes_max_ = static_cast<size_t>(settings.stream_page_bytes);
}

void RangeSource::Serve(const wire::RangePull& request, uint64_t streaming, base::Instant now,
                        Done done) {
  if (request.change == 0 || request.change != streaming) {
    return done(Refusal(Code::kStaleEpoch, "it does not give out ranges for this change now"));
  }
  if (reading_ >= kReadingMax || !throttle_.MayGo(now)) {
    return done(Refusal(Code::kOverloaded, "it is busy with its clients"));
  }
  const replica::RecordRange range = {request.bucket, {{request.from_token}, {request.to_token}}};
  replica::PageOptions options;
  options.bytes_max = std::clamp<size_t>(request.bytes_max, 1, page_bytes_max_);
  ++reading_;
  reader_.Next(range, request.after_key, options,
               [this, now, done = std::move(done), alive = std::weak_ptr<bool>(alive_)](
                   base::Result<replica::RecordPage> read) mutable {
                 if (!alive.expired()) Answer(std::move(read), now, std::move(done));
               });
}

void RangeSource::Answer(base::Result<replica::RecordPage> read, base::Instant asked, Done done) {
  --reading_;
  if (!read) return done(Refusal(read.error().code, read.error().message));
  wire::RangePage page = PageOf(std::move(*read));
  uint64_t bytes = 0;
  for (const auto& entry : page.entries) bytes += entry.key.size() + entry.object.size();
  metrics_.stream_sent_bytes.Add(bytes);
  throttle_.Take(bytes, asked);
  done(std::move(page));
}

}  // namespace lariat::repair

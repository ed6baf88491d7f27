// SPDX-License-Identifier: Apache-2.0
#include "replica/range_reader.h"

#include <utility>

#include "base/coding.h"

namespace lariat::replica {

using base::Code;
using base::Fail;
using storage::BucketId;

std::string KeyAfterToken(BucketId bucket, uint64_t token) {
  if (token != UINT64_MAX) return storage::DataKey(bucket, token + 1, "");
  return bucket == UINT32_MAX ? "" : storage::DataKey(bucket + 1, 0, "");
}

namespace {

struct Stretch {
  std::string from, to;  // keys, as Engine::Scan takes them
};

// The range as stretches of keys, in key order.
std::vector<Stretch> StretchesOf(const RecordRange& range) {
  const auto up_to = [&](uint64_t token) { return KeyAfterToken(range.bucket, token); };
  const std::string first = storage::DataKey(range.bucket, 0, "");
  const auto [from, to] = range.tokens;
  if (from == to) return {{first, up_to(UINT64_MAX)}};
  if (from < to) return {{up_to(from.value), up_to(to.value)}};
  std::vector<Stretch> stretches = {{first, up_to(to.value)}};
  if (from.value != UINT64_MAX) stretches.push_back({up_to(from.value), up_to(UINT64_MAX)});
  return stretches;
}

}  // namespace

struct RangeReader::Scan {
  std::vector<Stretch> stretches;
  size_t at = 0;  // the stretch being read
  PageOptions options;
  size_t bytes = 0;
  size_t entries = 0;
  RecordPage page;
  Done done;
};

RangeReader::RangeReader(storage::Engine& engine, storage::CompletionQueue& queue,
                         telemetry::Metrics& metrics)
    : engine_(engine), queue_(queue), metrics_(metrics) {}

void RangeReader::Next(const RecordRange& range, std::string after, PageOptions options,
                       Done done) {
  auto scan = std::make_shared<Scan>();  // co-owned by the engine's callbacks
  scan->stretches = StretchesOf(range);
  scan->options = options;
  scan->done = std::move(done);
  if (!after.empty()) {
    const std::string start = after + '\0';
    for (Stretch& stretch : scan->stretches) stretch.from = std::max(stretch.from, start);
  }
  scan->page.last_key = std::move(after);
  Step(std::move(scan));
}

void RangeReader::Step(std::shared_ptr<Scan> scan) {
  const Stretch& stretch = scan->stretches[scan->at];
  const storage::ScanLimits limits = {scan->options.entries_max - scan->entries,
                                      scan->options.bytes_max - scan->bytes};
  engine_.Scan(storage::Space::kData, stretch.from, stretch.to, limits, &queue_,
               lifetime_.Guard([this, scan](base::Result<std::vector<storage::Entry>> entries) {
                 if (entries) return OnEntries(scan, std::move(*entries));
                 const bool busy = entries.error().code == Code::kOverloaded;
                 if (!busy) metrics_.replica_read_errors.Add();
                 scan->done(Fail(std::move(entries.error())));
               }));
}

void RangeReader::OnEntries(const std::shared_ptr<Scan>& scan,
                            std::vector<storage::Entry> entries) {
  // What such an engine shows may never have reached the disk.
  if (engine_.health() == storage::Health::kDead) {
    return scan->done(Fail(Code::kIo, "the storage engine has failed"));
  }
  RecordPage& page = scan->page;
  bool full = false;
  for (storage::Entry& entry : entries) {
    const size_t bytes = entry.key.size() + entry.value.size();
    // A scan gives one entry however little room is left.
    full = scan->entries > 0 && scan->bytes + bytes > scan->options.bytes_max;
    if (full) break;
    scan->bytes += bytes;
    ++scan->entries;
    page.last_key = entry.key;
    if (scan->options.keys_only) {
      page.records.push_back({std::move(entry.key), "", bytes});
      continue;
    }
    const auto record = storage::ParseRecord(entry.value);
    if (record) {
      page.records.push_back({std::move(entry.key), std::string(record->object), bytes});
      continue;
    }
    metrics_.replica_read_errors.Add();
    if (page.damaged++ == 0) page.damage = record.error().message;
  }
  if (entries.empty()) {
    ++scan->at;
    page.done = scan->at == scan->stretches.size();
  } else {
    scan->stretches[scan->at].from = page.last_key + '\0';
  }
  // Nearly full is full: one more scan would bring next to nothing.
  full = full || scan->entries >= scan->options.entries_max ||
         scan->bytes >= scan->options.bytes_max - scan->options.bytes_max / 8;
  if (page.done || full) return scan->done(std::move(page));
  Step(scan);
}

}  // namespace lariat::replica

// SPDX-License-Identifier: Apache-2.0
#include "replica/hint_reader.h"

#include <utility>

#include "replica/hint.h"
#include "storage/record.h"

namespace lariat::replica {

using base::Code;
using base::Fail;

namespace {

HintPage::Entry EntryOf(const storage::Entry& stored, std::string_view data_key) {
  HintPage::Entry entry;
  entry.data_key = std::string(data_key);
  const auto hint = ParseHint(stored.value);
  if (!hint) return entry;
  if (!hint->record.empty()) {
    const auto record = storage::ParseRecord(hint->record);
    if (!record) return entry;
    entry.object = std::string(record->object);
  }
  entry.version = hint->version;
  entry.stored_ms = hint->stored_ms;
  entry.reference = hint->reference;
  return entry;
}

}  // namespace

HintReader::HintReader(storage::Engine& engine, storage::CompletionQueue& queue,
                       telemetry::Metrics& metrics)
    : engine_(engine), queue_(queue), metrics_(metrics) {}

void HintReader::Next(uint64_t target, std::string after, HintPageLimits limits, Done done) {
  const std::string from = HintKey(target, after.empty() ? after : after + '\0');
  const std::string to = target == UINT64_MAX ? "" : HintKey(target + 1, "");
  const storage::ScanLimits scan = {limits.entries_max, limits.bytes_max};
  auto take = [this, after = std::move(after),
               done = std::move(done)](base::Result<std::vector<storage::Entry>> entries) mutable {
    done(PageOf(std::move(entries), std::move(after)));
  };
  engine_.Scan(storage::Space::kHints, from, to, scan, &queue_, lifetime_.Guard(std::move(take)));
}

base::Result<HintPage> HintReader::PageOf(base::Result<std::vector<storage::Entry>> entries,
                                          std::string after) {
  if (!entries) {
    if (entries.error().code != Code::kOverloaded) metrics_.replica_read_errors.Add();
    return Fail(std::move(entries.error()));
  }
  // What such an engine shows may never have reached the disk.
  if (engine_.health() == storage::Health::kDead) {
    return Fail(Code::kIo, "the storage engine has failed");
  }
  HintPage page;
  page.last_key = std::move(after);
  page.done = entries->empty();
  for (const storage::Entry& stored : *entries) {
    const auto parts = ParseHintKey(stored.key);
    page.last_key = stored.key.substr(kHintTargetSize);
    if (!parts) continue;
    page.entries.push_back(EntryOf(stored, parts->data_key));
    if (page.entries.back().version == 0) metrics_.replica_read_errors.Add();
  }
  return page;
}

}  // namespace lariat::replica

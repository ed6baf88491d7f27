// SPDX-License-Identifier: Apache-2.0
#include "replica/record/record_watch.h"

#include <string>
#include <utility>

#include "storage/record.h"

namespace lariat::replica {
namespace {

constexpr int64_t kSayEveryMs = 10000;
constexpr size_t kKeyShown = 64;  // bytes of it

std::string Printable(std::string_view bytes) {
  std::string text(bytes.substr(0, kKeyShown));
  for (char& c : text) {
    const bool plain = c >= ' ' && c <= '~';
    if (!plain) c = '?';
  }
  return bytes.size() > kKeyShown ? text + "..." : text;
}

}  // namespace

base::Status RecordWatch::CheckSize(size_t before, size_t after) {
  if (after > limits_.object_bytes && after > before) {
    metrics_.objects_refused.Add();
    return base::Fail(base::Code::kObjectTooLarge,
                      "the key's concurrent values would have " + std::to_string(after) +
                          " bytes; the limit is " + std::to_string(limits_.object_bytes) +
                          ": read it and write back one value with the context");
  }
  metrics_.object_bytes_max.RaiseTo(static_cast<int64_t>(after));
  return {};
}

void RecordWatch::OnValues(std::string_view data_key, size_t before, size_t after,
                           base::WallTime now) {
  if (after <= limits_.siblings_warn || after <= before) return;
  metrics_.siblings_warned.Add();
  ++unsaid_;
  const int64_t since_ms = now.ms - said_.ms;
  if (since_ms >= 0 && since_ms < kSayEveryMs) return;
  said_ = now;
  const auto parts = storage::ParseDataKey(data_key);
  log_.Log(telemetry::LogLevel::kWarn, "replica",
           "key '{}' of bucket {:08x} has {} concurrent values (limits.siblings_warn is {}), {} "
           "such writes since this was said last: clients resolve them when they write back what "
           "they have read, with its context",
           Printable(parts ? parts->key : data_key), parts ? parts->bucket : 0, after,
           limits_.siblings_warn, std::exchange(unsaid_, 0));
}

}  // namespace lariat::replica

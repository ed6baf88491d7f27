// SPDX-License-Identifier: Apache-2.0
#include "telemetry/hot_keys.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace lariat::telemetry {
namespace {

double SecondsOf(base::Duration duration) {
  return static_cast<double>(duration / base::Millis(1)) / 1000;
}

void Shorten(std::vector<HotKey>* keys, size_t limit) {
  std::sort(keys->begin(), keys->end(), [](const HotKey& a, const HotKey& b) {
    if (a.figure != b.figure) return a.figure > b.figure;
    return std::tie(a.bucket, a.key) < std::tie(b.bucket, b.key);
  });
  if (keys->size() > limit) keys->resize(limit);
}

}  // namespace

HotKeys::Entry* HotKeys::Sketch::Find(std::string_view bucket, std::string_view key) {
  for (Entry& entry : entries_) {
    if (entry.key == key && entry.bucket == bucket) return &entry;
  }
  return nullptr;
}

void HotKeys::Sketch::Add(std::string_view bucket, std::string_view key, uint64_t count) {
  if (Entry* entry = Find(bucket, key)) {
    entry->count += count;
    return;
  }
  if (entries_.size() < kKeys) {
    entries_.push_back({std::string(bucket), std::string(key), count});
    return;
  }
  Entry& least =
      *std::min_element(entries_.begin(), entries_.end(),
                        [](const Entry& a, const Entry& b) { return a.count < b.count; });
  least = {std::string(bucket), std::string(key), least.count + count};
}

void HotKeys::Sketch::Keep(std::string_view bucket, std::string_view key, uint64_t size) {
  if (Entry* entry = Find(bucket, key)) {
    entry->count = size;
    return;
  }
  if (entries_.size() < kKeys) {
    entries_.push_back({std::string(bucket), std::string(key), size});
    return;
  }
  Entry& least =
      *std::min_element(entries_.begin(), entries_.end(),
                        [](const Entry& a, const Entry& b) { return a.count < b.count; });
  if (least.count < size) least = {std::string(bucket), std::string(key), size};
}

bool HotKeys::Ended(const Window& window, base::Instant now) {
  return now - window.began >= kWindow;
}

void HotKeys::Roll(base::Instant now) {
  if (present_.began == base::Instant()) present_.began = now;
  if (!Ended(present_, now)) return;
  const Sketch& operations = present_.sketches[static_cast<size_t>(HotBy::kOperations)];
  if (!operations.Empty()) {
    present_.lasted = kWindow;
    std::swap(last_, present_);
    // What is large is no matter of the last seconds.
    auto& sizes = present_.sketches[static_cast<size_t>(HotBy::kSize)];
    sizes = last_.sketches[static_cast<size_t>(HotBy::kSize)];
  }
  for (size_t by = 0; by < static_cast<size_t>(HotBy::kSize); ++by) present_.sketches[by].Clear();
  present_.began = now;
}

void HotKeys::Note(base::Instant now, std::string_view bucket, std::string_view key,
                   const HotNote& note) {
  Roll(now);
  const auto sketch = [this](HotBy by) -> Sketch& {
    return present_.sketches[static_cast<size_t>(by)];
  };
  sketch(HotBy::kOperations).Add(bucket, key, 1);
  if (note.bytes > 0) sketch(HotBy::kBytes).Add(bucket, key, note.bytes);
  if (note.conflict) sketch(HotBy::kConflicts).Add(bucket, key, 1);
  if (note.miss) sketch(HotBy::kMisses).Add(bucket, key, 1);
  if (note.size > 0) sketch(HotBy::kSize).Keep(bucket, key, note.size);
}

std::vector<HotKey> HotKeys::Top(base::Instant now, HotBy by, size_t limit) const {
  // A window that has ended without a request since is the last whole one.
  const bool whole = present_.began != base::Instant() && Ended(present_, now) &&
                     !present_.sketches[static_cast<size_t>(HotBy::kOperations)].Empty();
  const bool size = by == HotBy::kSize;
  const bool first = last_.lasted == base::Duration();
  const Window& shown = whole || size || first ? present_ : last_;
  const base::Duration lasted =
      whole || !first ? kWindow : std::max(now - shown.began, base::Duration(base::Seconds(1)));
  const double scale = size ? 1 : kSample / SecondsOf(lasted);
  std::vector<HotKey> top;
  for (const Entry& entry : shown.sketches[static_cast<size_t>(by)].entries()) {
    top.push_back({entry.bucket, entry.key, static_cast<double>(entry.count) * scale});
  }
  Shorten(&top, limit);
  return top;
}

std::vector<HotKey> MergeHot(std::vector<HotKey> all, HotBy by, size_t limit) {
  std::sort(all.begin(), all.end(), [](const HotKey& a, const HotKey& b) {
    return std::tie(a.bucket, a.key) < std::tie(b.bucket, b.key);
  });
  std::vector<HotKey> merged;
  for (HotKey& key : all) {
    const bool same =
        !merged.empty() && merged.back().bucket == key.bucket && merged.back().key == key.key;
    if (!same) {
      merged.push_back(std::move(key));
    } else if (by == HotBy::kSize) {
      merged.back().figure = std::max(merged.back().figure, key.figure);
    } else {
      merged.back().figure += key.figure;
    }
  }
  Shorten(&merged, limit);
  return merged;
}

}  // namespace lariat::telemetry

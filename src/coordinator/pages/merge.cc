// SPDX-License-Identifier: Apache-2.0
#include "coordinator/pages/merge.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace lariat::coordinator {
namespace {

using Entry = wire::ScanReply::Entry;

// The end of what all of them looked at; empty: they looked at everything.
std::string LeastEnd(const std::vector<wire::ScanReply>& pages) {
  std::string end;
  for (const wire::ScanReply& page : pages) {
    if (!page.next.empty() && (end.empty() || page.next < end)) end = page.next;
  }
  return end;
}

class Merger {
 public:
  Merger(std::vector<wire::ScanReply>& pages, std::string end)
      : pages_(pages), end_(std::move(end)), at_(pages.size(), 0) {}

  // The least key that was not taken yet, with what each replica says of it (null: it lacks it).
  std::optional<std::string> Next(std::vector<Entry*>* said) {
    const std::string* least = nullptr;
    for (size_t i = 0; i < pages_.size(); ++i) {
      const Entry* entry = EntryAt(i);
      if (entry != nullptr && (least == nullptr || entry->key < *least)) least = &entry->key;
    }
    if (least == nullptr) return std::nullopt;
    std::string key = *least;
    said->assign(pages_.size(), nullptr);
    for (size_t i = 0; i < pages_.size(); ++i) {
      Entry* entry = EntryAt(i);
      if (entry == nullptr || entry->key != key) continue;
      (*said)[i] = entry;
      ++at_[i];
    }
    return key;
  }

 private:
  Entry* EntryAt(size_t page) {
    if (at_[page] == pages_[page].entries.size()) return nullptr;
    Entry& entry = pages_[page].entries[at_[page]];
    return end_.empty() || entry.key < end_ ? &entry : nullptr;
  }

  std::vector<wire::ScanReply>& pages_;
  const std::string end_;
  std::vector<size_t> at_;
};

bool Agree(const std::vector<Entry*>& said) {
  return std::all_of(said.begin(), said.end(), [&](const Entry* entry) {
    const bool readable = entry != nullptr && entry->digest != base::Hash128{};
    return readable && entry->digest == said.front()->digest;
  });
}

}  // namespace

MergedPages MergePages(std::vector<wire::ScanReply> pages, bool with_live, MergeLimits limits) {
  MergedPages merged;
  merged.next = LeastEnd(pages);
  Merger merger(pages, merged.next);
  std::vector<Entry*> said;
  size_t bytes = 0;
  while (auto key = merger.Next(&said)) {
    JudgedKey judged{*key, Agree(said)};
    bool live = !judged.agreed || !with_live;
    for (Entry* entry : said) {
      if (!judged.agreed || entry == nullptr) continue;
      live |= entry->live;
      if (!entry->object.empty()) judged.object = std::move(entry->object);
    }
    bytes += judged.object.size();
    const bool full = merged.keys.size() == limits.keys_max || bytes > limits.bytes_max;
    if (live && full && !merged.keys.empty()) {
      merged.next = std::move(*key);
      return merged;
    }
    ++merged.examined;
    if (live) merged.keys.push_back(std::move(judged));
  }
  return merged;
}

}  // namespace lariat::coordinator

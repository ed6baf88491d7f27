// SPDX-License-Identifier: Apache-2.0
#include "client/session_memory.h"

namespace lariat::client {

namespace {

// No bucket's name has a slash.
std::string NameIn(const std::string& bucket, const std::string& key) { return bucket + '/' + key; }

}  // namespace

bool IsWide(Consistency level, const std::optional<BucketView>& bucket, bool is_read) {
  if (level == Consistency::Quorum || level == Consistency::Serial || level == Consistency::All) {
    return true;
  }
  if (!bucket) return false;
  uint32_t count = 1;  // of one datacenter only, or of none in particular
  if (level == Consistency::Default) count = is_read ? bucket->r : bucket->w;
  if (level == Consistency::Two) count = 2;
  if (level == Consistency::Three) count = 3;
  return count + bucket->n / 2 + 1 > bucket->n;
}

SessionMemory::Seen SessionMemory::Look(const std::string& bucket, const std::string& key) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = by_name_.find(NameIn(bucket, key));
  if (found == by_name_.end()) return {};
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->seen;
}

bool SessionMemory::Covers(const Seen& seen, const std::string& context, bool is_wide,
                           bool is_all) const {
  if (is_all || bug_ == Bug::kTrustsOtherContexts) return true;
  if (seen.is_exact && (seen.context.empty() || seen.context == context)) return true;
  return seen.is_wide && is_wide;
}

void SessionMemory::Note(const std::string& bucket, const std::string& key, const Seen& before,
                         const std::optional<std::string>& context, bool is_wide) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::string name = NameIn(bucket, key);
  auto found = by_name_.find(name);
  if (found == by_name_.end()) {
    entries_.push_front({name, {}});
    found = by_name_.emplace(name, entries_.begin()).first;
  }
  Seen& seen = found->second->seen;
  const bool meanwhile = seen.generation != before.generation;
  seen.is_exact = context.has_value() && !meanwhile;
  // What was seen before and is told again is as wide as it was.
  const bool again = before.is_exact && before.is_wide && context == before.context;
  seen.is_wide = (is_wide || again) && (!meanwhile || seen.is_wide);
  if (!meanwhile) seen.context = context.value_or("");
  seen.generation = ++generation_;
  entries_.splice(entries_.begin(), entries_, found->second);
  while (entries_.size() > keys_max_) {
    by_name_.erase(entries_.back().name);
    entries_.pop_back();
  }
}

}  // namespace lariat::client

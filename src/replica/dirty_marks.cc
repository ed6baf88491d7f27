// SPDX-License-Identifier: Apache-2.0
#include "replica/dirty_marks.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "base/coding.h"

namespace lariat::replica {
namespace {

constexpr std::string_view kPrefix = "dirty/";

void AppendHex(uint64_t number, size_t digits, std::string* out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (size_t i = digits; i-- > 0;) out->push_back(kDigits[number >> (4 * i) & 15]);
}

std::string NameOf(const DirtyMark& mark) {
  std::string name(kPrefix);
  AppendHex(mark.target, 16, &name);
  name += '/';
  AppendHex(mark.bucket, 8, &name);
  name += '/';
  AppendHex(mark.part, 2, &name);
  return name;
}

std::optional<DirtyMark> MarkNamed(std::string_view name) {
  const auto number = [&](size_t at, size_t digits) {
    uint64_t value = 0;
    std::from_chars(name.data() + at, name.data() + at + digits, value, 16);
    return value;
  };
  if (name.size() != kPrefix.size() + 16 + 1 + 8 + 1 + 2) return std::nullopt;
  const size_t at = kPrefix.size();
  const DirtyMark mark = {number(at, 16), static_cast<storage::BucketId>(number(at + 17, 8)),
                          static_cast<uint8_t>(number(at + 26, 2))};
  if (NameOf(mark) != name) return std::nullopt;
  return mark;
}

std::string ValueOf(int64_t since_ms) {
  std::string value;
  base::ByteWriter(&value).U64(static_cast<uint64_t>(since_ms));
  return value;
}

}  // namespace

DirtyMarks::DirtyMarks(storage::Engine& engine, storage::CompletionQueue& queue)
    : meta_(engine, queue) {}

void DirtyMarks::Load() {
  if (std::exchange(loading_, true)) return;
  meta_.List(std::string(kPrefix), [this](base::Result<MetaStore::Values> values) {
    loading_ = false;
    if (!values) return;  // the next tick tries again
    for (const auto& [name, value] : *values) {
      const auto mark = MarkNamed(name);
      if (!mark) continue;
      const auto since = static_cast<int64_t>(base::ByteReader(value).U64());
      State& state = marks_[*mark];
      if (state.since_ms == 0 || since < state.since_ms) state.since_ms = since;
      if (state.times == 0) state.times = state.born = ++times_;
      state.stored = true;
    }
    loaded_ = true;
  });
}

void DirtyMarks::Tick() {
  if (!loaded_) Load();
  std::vector<DirtyMark> unsaved;
  for (const auto& [mark, state] : marks_) {
    if (!state.stored) unsaved.push_back(mark);
  }
  if (!unsaved.empty()) Store(std::move(unsaved), [](const base::Status&) {});
  Remove(std::exchange(to_remove_, {}));
}

void DirtyMarks::Mark(const std::vector<DirtyMark>& marks, base::WallTime now, StatusDone done) {
  std::vector<DirtyMark> fresh;
  for (const DirtyMark& mark : marks) {
    State& state = marks_[mark];
    if (state.times == 0) {
      state.since_ms = now.ms;
      state.born = times_ + 1;
    }
    state.times = ++times_;
    if (!state.stored) fresh.push_back(mark);
  }
  if (fresh.empty()) return done({});
  Store(std::move(fresh), std::move(done));
}

void DirtyMarks::Store(std::vector<DirtyMark> marks, StatusDone done) {
  std::vector<MetaStore::Update> updates;
  std::vector<std::pair<DirtyMark, uint64_t>> stored;
  for (const DirtyMark& mark : marks) {
    const State& state = marks_[mark];
    updates.push_back({NameOf(mark), ValueOf(state.since_ms)});
    stored.emplace_back(mark, state.times);
    std::erase(to_remove_, mark);
  }
  meta_.Apply(std::move(updates), [this, stored = std::move(stored),
                                   done = std::move(done)](base::Status status) mutable {
    for (const auto& [mark, times] : stored) {
      const auto found = marks_.find(mark);
      // One that was cleared and set again meanwhile is stored by whoever set it.
      if (status && found != marks_.end() && found->second.born <= times) {
        found->second.stored = true;
      }
    }
    done(std::move(status));
  });
}

std::vector<DirtyMarks::Seen> DirtyMarks::List() const {
  std::vector<Seen> seen;
  for (const auto& [mark, state] : marks_) seen.push_back({mark, state.since_ms, state.times});
  return seen;
}

void DirtyMarks::Clear(const std::vector<Seen>& seen) {
  std::vector<DirtyMark> gone;
  for (const Seen& one : seen) {
    const auto found = marks_.find(one.mark);
    if (found == marks_.end() || found->second.times != one.times) continue;
    marks_.erase(found);
    gone.push_back(one.mark);
  }
  Remove(std::move(gone));
}

// Until it is done a restart finds them again: that costs a comparison.
void DirtyMarks::Remove(std::vector<DirtyMark> marks) {
  if (marks.empty()) return;
  std::vector<MetaStore::Update> updates;
  for (const DirtyMark& mark : marks) {
    if (!marks_.contains(mark)) updates.push_back({NameOf(mark), std::nullopt});
  }
  if (updates.empty()) return;
  meta_.Apply(std::move(updates), [this, marks = std::move(marks)](const base::Status& status) {
    if (!status) to_remove_.insert(to_remove_.end(), marks.begin(), marks.end());
  });
}

}  // namespace lariat::replica

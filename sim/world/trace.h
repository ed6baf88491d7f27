// SPDX-License-Identifier: Apache-2.0
// What happened, as one hash over everything and, when asked for, as lines for people. Two runs of
// one seed have to give the same hash; if they differ, something depends on more than the seed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/time.h"

namespace lariat::sim {

class Trace {
 public:
  struct Entry {
    base::Instant at;
    int machine = 0;      // -1: none
    std::string subject;  // the key concerned, or empty for what concerns all
    std::string text;
  };

  explicit Trace(bool recording) : recording_(recording) {}

  // Adds to the hash. `bytes`: whatever tells this event from another of its kind.
  void Mix(base::Instant at, int machine, std::string_view kind, std::string_view bytes);
  // The same, and a line. `text` is called only while recording.
  template <typename Text>
  void Note(base::Instant at, int machine, std::string_view subject, std::string_view bytes,
            Text text) {
    Mix(at, machine, subject, bytes);
    if (recording_) lines_.push_back({at, machine, std::string(subject), text()});
  }

  // A line alone, for what the hash covers in another way.
  void Line(base::Instant at, int machine, std::string text) {
    if (recording_) lines_.push_back({at, machine, {}, std::move(text)});
  }

  uint64_t hash() const { return hash_; }
  bool recording() const { return recording_; }
  const std::vector<Entry>& lines() const { return lines_; }

 private:
  bool recording_;
  uint64_t hash_ = 0;
  std::vector<Entry> lines_;
};

}  // namespace lariat::sim

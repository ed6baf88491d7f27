// SPDX-License-Identifier: Apache-2.0
// Judges the history of one linearizable key. The versions that operations tell are the order that
// they claim to have had, so nothing has to be searched: it is enough that this order is one that a
// single register could have had, and that it agrees with real time.
//
//  * a version has one value; a value, each of which only one write has, has one version
//  * a write that was done has the version that it told; one that was not done has none; one whose
//    outcome is unknown may have one, whenever that is
//  * an operation that began after another had ended has no lower version, a write a greater one
//  * nobody is shown a write that begins only later
//  * a condition held, or failed, by the value and version that it is said to have met
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lariat::serial {

struct Event {
  enum class Kind : uint8_t { kRead, kPut, kDelete };
  enum class End : uint8_t { kDone, kLost, kNotDone, kUnknown };
  Kind kind = Kind::kRead;
  std::string value;  // of a put; unique
  std::optional<uint64_t> if_version;
  bool if_none = false;
  End end = End::kUnknown;
  int64_t began = 0, ended = 0;
  uint64_t version = 0;              // kDone, kLost
  std::optional<std::string> shown;  // reads and kLost
  bool shows = true;                 // false: what it was shown is not known any more
};

class HistoryCheck {
 public:
  // Empty: linearizable. Otherwise what is wrong, in words.
  static std::string Judge(const std::vector<Event>& events) {
    HistoryCheck check;
    for (const Event& event : events) check.Collect(event);
    for (const Event& event : events) check.JudgeEnd(event);
    check.JudgeOrder(events);
    check.JudgeFuture(events);
    return check.wrong_;
  }

 private:
  static bool Tells(const Event& e) {
    return e.end == Event::End::kDone || e.end == Event::End::kLost;
  }
  static bool Writes(const Event& e) {
    return e.kind != Event::Kind::kRead && e.end == Event::End::kDone;
  }

  void Say(const std::string& what) {
    if (wrong_.empty()) wrong_ = what;
  }
  void Hold(uint64_t version, const std::optional<std::string>& value) {
    const auto [it, fresh] = values_.try_emplace(version, value);
    if (!fresh && it->second != value) {
      Say("version " + std::to_string(version) + " has two values: " + it->second.value_or("none") +
          " and " + value.value_or("none"));
    }
    if (!value) return;
    const auto [at, is_new] = versions_.try_emplace(*value, version);
    if (!is_new && at->second != version) Say("value " + *value + " has two versions");
  }
  void Collect(const Event& e) {
    if (!Tells(e)) return;
    if (!e.shows) return;
    if (e.kind == Event::Kind::kRead || e.end == Event::End::kLost) return Hold(e.version, e.shown);
    if (e.kind == Event::Kind::kPut) {
      if (!writers_.emplace(e.version, &e).second) Say("two writes have one version");
      return Hold(e.version, e.value);
    }
    Hold(e.version, std::nullopt);
  }
  void JudgeEnd(const Event& e) {
    if (e.kind == Event::Kind::kPut && e.end == Event::End::kNotDone &&
        versions_.contains(e.value)) {
      Say("a write that was not done is there: " + e.value);
    }
    const bool writes = Writes(e);
    if (writes && e.if_version && e.version != *e.if_version + 1) {
      Say("a write on version " + std::to_string(*e.if_version) + " made version " +
          std::to_string(e.version));
    }
    const auto before = values_.find(e.version - 1);
    if (e.kind == Event::Kind::kPut && writes && e.if_none && before != values_.end() &&
        before->second) {
      Say("a write that wanted no value met one");
    }
    if (e.end != Event::End::kLost || !e.shows) return;
    const bool held =
        (e.if_version && e.shown && *e.if_version == e.version) || (e.if_none && !e.shown);
    if (held) Say("a condition that held was called lost");
  }
  void JudgeOrder(const std::vector<Event>& events) {
    std::vector<const Event*> by_begin, by_end;
    for (const Event& e : events) {
      if (Tells(e)) by_begin.push_back(&e);
    }
    by_end = by_begin;
    std::sort(by_begin.begin(), by_begin.end(),
              [](const Event* a, const Event* b) { return a->began < b->began; });
    std::sort(by_end.begin(), by_end.end(),
              [](const Event* a, const Event* b) { return a->ended < b->ended; });
    uint64_t done = 0;
    size_t at = 0;
    for (const Event* e : by_begin) {
      for (; at < by_end.size() && by_end[at]->ended < e->began; ++at) {
        done = std::max(done, by_end[at]->version);
      }
      const bool grows = Writes(*e) && e->kind == Event::Kind::kPut;
      if (e->version < done || (grows && e->version == done)) {
        Say("version " + std::to_string(e->version) + " was told after " + std::to_string(done));
      }
    }
  }
  // By value, so that writes whose outcome is unknown are held to it too.
  void JudgeFuture(const std::vector<Event>& events) {
    std::map<uint64_t, int64_t> first_told;  // version -> when it, or a later one, was told first
    for (const Event& e : events) {
      if (!Tells(e)) continue;
      const auto [it, fresh] = first_told.try_emplace(e.version, e.ended);
      if (!fresh) it->second = std::min(it->second, e.ended);
    }
    int64_t earliest = INT64_MAX;
    for (auto it = first_told.rbegin(); it != first_told.rend(); ++it) {
      it->second = earliest = std::min(earliest, it->second);
    }
    for (const Event& e : events) {
      const auto version = versions_.find(e.value);
      if (e.kind != Event::Kind::kPut || version == versions_.end()) continue;
      const auto told = first_told.lower_bound(version->second);
      if (told != first_told.end() && told->second < e.began) Say("a write was seen too early");
    }
  }

  std::map<uint64_t, std::optional<std::string>> values_{{0, std::nullopt}};  // by version
  std::map<std::string, uint64_t> versions_;                                  // by value
  std::map<uint64_t, const Event*> writers_;
  std::string wrong_;
};

}  // namespace lariat::serial

// SPDX-License-Identifier: Apache-2.0
// A replica for tests of comparisons: records in a map, joined by a law that is easy to see (an
// object is a set of letters, a join their union), with the leaves of its hash tree, and faults.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "merkle/leaf_sum.h"
#include "merkle/tree.h"
#include "repair/exchange/exchange_core.h"
#include "repair/exchange/message_size.h"
#include "repair/stream.h"
#include "storage/record.h"

namespace lariat::repair {

class FakeReplica {
 public:
  void Put(uint64_t token, const std::string& object) { Join(KeyOf(token), object); }
  static std::string KeyOf(uint64_t token) {
    return storage::DataKey(1, token, "k" + std::to_string(token));
  }
  void Forget(uint64_t token) { Set(KeyOf(token), ""); }
  const std::map<std::string, std::string>& records() const { return records_; }

  wire::Body Answer(const wire::Body& request) {
    ++questions;
    if (const auto* tree = std::get_if<wire::TreeRequest>(&request)) return Hash(*tree);
    if (const auto* leaf = std::get_if<wire::LeafRequest>(&request)) return List(*leaf);
    if (const auto* fetch = std::get_if<wire::FetchRequest>(&request)) return Fetch(*fetch);
    return Push(std::get<wire::RecordPush>(request));
  }

  size_t page_entries = 100;
  size_t fetch_bytes = wire::kRecordBytesMax;
  std::set<std::string> damaged;  // keys that cannot be read
  std::set<uint32_t> unknown_leaves;
  bool all_unknown = false;
  uint64_t questions = 0, pushes = 0, writes = 0;  // of records; those that changed something

 private:
  static uint32_t LeafOfKey(const std::string& key) {
    return merkle::LeafOf(storage::ParseDataKey(key)->token);
  }
  void Set(const std::string& key, const std::string& object) {
    merkle::LeafSum& leaf = tree_.Use(LeafOfKey(key));
    std::string& stored = records_[key];
    if (!stored.empty()) leaf.Remove(merkle::EntryHash(key, base::HashOf128(stored)), {});
    stored = object;
    if (stored.empty()) {
      records_.erase(key);
    } else {
      leaf.Add(merkle::EntryHash(key, base::HashOf128(stored)), {});
    }
  }
  bool Join(const std::string& key, const std::string& object) {
    const auto found = records_.find(key);
    const std::string before = found == records_.end() ? "" : found->second;
    if (before == object) return false;
    std::string joined = before + object;
    std::sort(joined.begin(), joined.end());
    joined.erase(std::unique(joined.begin(), joined.end()), joined.end());
    // A single value of many bytes stays as it is.
    if (before.empty()) joined = object;
    if (joined == before) return false;
    Set(key, joined);
    return true;
  }

  wire::TreeReply Hash(const wire::TreeRequest& request) {
    wire::TreeReply reply;
    for (const wire::TokenSpan& s : request.spans) {
      const merkle::Span span = {s.from, s.to};
      merkle::RunHash hash;
      bool known = !all_unknown;
      if (span.CutsFirstLeaf() || span.CutsLastLeaf()) {
        LARIAT_CHECK(span.FirstLeaf() == span.LastLeaf(), "a cut span lies in one leaf");
        merkle::LeafSum sum;
        for (const auto& [key, object] : records_) {
          if (!span.Contains(storage::ParseDataKey(key)->token)) continue;
          sum.Add(merkle::EntryHash(key, base::HashOf128(object)), {});
        }
        hash.Add(span.FirstLeaf(), sum);
      } else {
        tree_.AddTo(span.FirstLeaf(), span.LastLeaf(), &hash);
        for (const uint32_t leaf : unknown_leaves) {
          if (leaf >= span.FirstLeaf() && leaf <= span.LastLeaf()) known = false;
        }
      }
      reply.hashes.push_back({hash.hash(), hash.keys(), known});
    }
    return reply;
  }
  wire::LeafReply List(const wire::LeafRequest& request) const {
    wire::LeafReply reply;
    reply.done = true;
    const uint64_t first = request.span.from + 1;
    auto at = records_.lower_bound(storage::DataKey(request.bucket, first, ""));
    if (!request.after_key.empty()) at = records_.upper_bound(request.after_key);
    size_t seen = 0;
    for (; at != records_.end() && IsWithin(at->first, request.bucket, request.span); ++at) {
      if (seen++ == page_entries) {
        reply.done = false;
        break;
      }
      reply.last_key = at->first;
      if (damaged.contains(at->first)) {
        reply.outcome = {base::Code::kCorruption, "checksum"};
      } else {
        reply.entries.push_back({at->first, base::HashOf128(at->second)});
      }
    }
    return reply;
  }
  wire::FetchReply Fetch(const wire::FetchRequest& request) const {
    wire::FetchReply reply;
    size_t bytes = 0;
    for (const std::string& key : request.keys) {
      if (damaged.contains(key)) {
        reply.entries.clear();
        reply.outcome = {base::Code::kCorruption, "checksum"};
        return reply;
      }
      const auto found = records_.find(key);
      if (found == records_.end()) continue;
      bytes += key.size() + found->second.size();
      if (bytes > fetch_bytes && !reply.entries.empty()) {
        reply.complete = false;
        break;
      }
      reply.entries.push_back({key, found->second});
    }
    return reply;
  }
  wire::RecordPushReply Push(const wire::RecordPush& push) {
    wire::RecordPushReply reply;
    for (const auto& entry : push.entries) {
      ++pushes;
      if (damaged.contains(entry.key)) {
        reply.outcome = {base::Code::kCorruption, "checksum"};
        return reply;
      }
      if (Join(entry.key, entry.object)) ++writes;
    }
    return reply;
  }

  std::map<std::string, std::string> records_;
  merkle::Tree tree_;
};

// What a comparison of two replicas came to.
struct Compared {
  ExchangeEnd end = ExchangeEnd::kRunning;
  std::string why;
  ExchangeFigures figures;
  uint64_t bytes = 0;  // sent between the two, both ways
  base::Duration time{};
};

class ExchangeRun {
 public:
  ExchangeRun(FakeReplica& ours, FakeReplica& theirs, std::vector<wire::TokenSpan> ranges,
              ExchangeOptions options = {})
      : ours_(ours), theirs_(theirs), core_(PlanOf(std::move(ranges)), options) {}
  static ExchangePlan PlanOf(std::vector<wire::TokenSpan> ranges) {
    return {1, 2, "node2", std::move(ranges)};
  }

  // `fault(ask)` gives an error instead of an answer, or nothing. `each_step()` is called between
  // questions.
  template <typename Fault, typename EachStep>
  Compared Run(Fault fault, EachStep each_step) {
    Compared compared;
    const base::Instant start = now_;
    while (core_.end() == ExchangeEnd::kRunning && now_ - start < base::Seconds(600)) {
      for (ExchangeCore::Ask& ask : core_.Next(now_)) {
        each_step();
        const bool away = ask.side == Side::kTheirs;
        if (away) compared.bytes += MessageBytes(ask.request);
        if (std::optional<base::Error> error = fault(ask)) {
          core_.OnReply(ask.ticket, base::Fail(*error), now_);
          continue;
        }
        wire::Body reply = (away ? theirs_ : ours_).Answer(ask.request);
        if (away) compared.bytes += MessageBytes(reply);
        core_.OnReply(ask.ticket, std::move(reply), now_);
      }
      now_ += base::Millis(10);
    }
    compared.end = core_.end();
    compared.why = core_.why();
    compared.figures = core_.figures();
    compared.time = now_ - start;
    return compared;
  }
  Compared Run() {
    return Run([](const auto&) { return std::optional<base::Error>(); }, [] {});
  }

  FakeReplica& ours_;
  FakeReplica& theirs_;
  base::Instant now_{base::Seconds(1)};
  ExchangeCore core_;
};

}  // namespace lariat::repair

// SPDX-License-Identifier: Apache-2.0
// What the tests of this folder share: members that hold records in a map and give pages of them,
// and an outside world in virtual time.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "env/env.h"
#include "repair/stream.h"
#include "replica/replica_test_util.h"
#include "storage/record.h"
#include "wire/messages.h"

namespace lariat::repair {

using Records = std::map<std::string, std::string>;  // by data key

inline std::string KeyAt(uint32_t bucket, uint64_t token) {
  return storage::DataKey(bucket, token, "k" + std::to_string(token));
}

// The page that a good source gives: at most `entries_max` records. Those in `damaged` cannot be
// read.
inline wire::RangePage MakePage(const Records& records, const wire::RangePull& request,
                                size_t entries_max, const std::set<std::string>& damaged = {}) {
  const ring::TokenRange range = {{request.from_token}, {request.to_token}};
  wire::RangePage page;
  page.last_key = request.after_key;
  page.done = true;
  size_t seen = 0;
  for (auto at = records.upper_bound(request.after_key); at != records.end(); ++at) {
    const auto key = storage::ParseDataKey(at->first);
    if (key->bucket != request.bucket || !range.Contains({key->token})) continue;
    if (seen++ == entries_max) {
      page.done = false;
      break;
    }
    page.last_key = at->first;
    if (damaged.contains(at->first)) {
      page.outcome = {base::Code::kCorruption, "1 damaged records (checksum)"};
    } else {
      page.entries.push_back({at->first, at->second});
    }
  }
  page.checksum = wire::PageChecksum(page.entries);
  return page;
}

// Virtual time on top of a loop that runs when the test says so.
class TestEnv final : public env::Clock,
                      public env::Entropy,
                      public env::Executor,
                      public env::Timers {
 public:
  explicit TestEnv(replica::TestLoop* loop) : loop_(loop) {}
  env::Env env() { return {*this, *this, *this, *this}; }

  base::Instant Now() const override { return now_; }
  base::WallTime Wall() const override { return wall_; }
  uint64_t Next() override { return ++last_; }
  void Post(env::Task task) override { loop_->Post(std::move(task)); }
  env::TimerId After(base::Duration delay, env::Task task) override {
    timers_.emplace(std::pair(now_ + delay, ++last_), std::move(task));
    return last_;
  }
  void Cancel(env::TimerId id) override {
    std::erase_if(timers_, [id](const auto& timer) { return timer.first.second == id; });
  }
  // Lets the time pass; `settle` runs whatever is ready at each moment.
  template <typename Settle>
  void Advance(base::Duration time, Settle settle) {
    settle();
    const base::Instant end = now_ + time;
    while (!timers_.empty() && timers_.begin()->first.first <= end) {
      auto timer = timers_.extract(timers_.begin());
      now_ = std::max(now_, timer.key().first);
      timer.mapped()();
      settle();
    }
    now_ = end;
  }
  // While nobody looks: timers that are due run with the next Advance.
  void Pass(base::Duration time) {
    PassWall(time);
    now_ += time;
  }
  // Of the wall clock alone: somebody sets it.
  void PassWall(base::Duration time) { wall_.ms += time / base::Millis(1); }
  size_t timers() const { return timers_.size(); }

 private:
  replica::TestLoop* loop_;
  base::Instant now_{base::Seconds(1000)};
  base::WallTime wall_{1'000'000};
  uint64_t last_ = 0;
  std::map<std::pair<base::Instant, env::TimerId>, env::Task> timers_;
};

inline void PutRecord(replica::World& world, uint32_t bucket, uint64_t token,
                      const std::string& value) {
  const replica::KeyRef key = {bucket, {token}, "k" + std::to_string(token)};
  world.replica().Write(key, replica::PeerObject(value), {.now = world.now},
                        [](const base::Status& status) { EXPECT_TRUE(status.has_value()); });
  world.loop.RunAll();
}

// Tokens of the bucket's durable records.
inline std::set<uint64_t> DurableTokens(const replica::World& world, uint32_t bucket) {
  std::set<uint64_t> tokens;
  for (const auto& [key, record] : world.engine.DurableImage()[0]) {
    const auto parts = storage::ParseDataKey(key);
    if (parts->bucket == bucket) tokens.insert(parts->token);
  }
  return tokens;
}

}  // namespace lariat::repair

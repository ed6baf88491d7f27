// SPDX-License-Identifier: Apache-2.0
// A world of one thread and virtual time for the tests of this folder: clock, timers, and byte
// streams between addresses, with the faults of links.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.h"
#include "env/env.h"
#include "env/stream.h"
#include "storage/memory_engine.h"

namespace lariat::peers {

class TestTime final : public env::Clock,
                       public env::Entropy,
                       public env::Executor,
                       public env::Timers {
 public:
  base::Instant Now() const override { return now_; }
  base::WallTime Wall() const override {
    return {1'700'000'000'000 + wall_offset_ms + (now_ - base::Instant()) / base::Millis(1)};
  }
  uint64_t Next() override { return prng_.Next(); }
  void Post(env::Task task) override { After({}, std::move(task)); }
  env::TimerId After(base::Duration delay, env::Task task) override {
    const env::TimerId id = ++last_id_;
    due_[id] = now_ + delay;
    tasks_.emplace(std::pair(now_ + delay, id), std::move(task));
    return id;
  }
  void Cancel(env::TimerId id) override {
    const auto due = due_.find(id);
    if (due == due_.end()) return;
    tasks_.erase({due->second, id});
    due_.erase(due);
  }
  void Run(base::Duration how_long) {
    const base::Instant end = now_ + how_long;
    while (!tasks_.empty() && tasks_.begin()->first.first <= end) RunOne();
    now_ = end;
  }
  // False if it does not come true in a minute of virtual time.
  bool RunUntil(const std::function<bool()>& condition) {
    const base::Instant end = now_ + base::Seconds(60);
    while (!condition()) {
      if (tasks_.empty() || tasks_.begin()->first.first > end) return false;
      RunOne();
    }
    return true;
  }
  env::Env env() { return {*this, *this, *this, *this}; }
  void Clear() {
    tasks_.clear();
    due_.clear();
  }

  int64_t wall_offset_ms = 0;  // of what the clock shows

 private:
  void RunOne() {
    auto node = tasks_.extract(tasks_.begin());
    now_ = std::max(now_, node.key().first);
    due_.erase(node.key().second);
    node.mapped()();
  }

  base::Instant now_{};
  base::Prng prng_{7};
  env::TimerId last_id_ = 0;
  std::map<std::pair<base::Instant, env::TimerId>, env::Task> tasks_;
  std::map<env::TimerId, base::Instant> due_;
};

// How the engine of a node in that world treats it.
class Plan final : public storage::FaultPlan {
 public:
  explicit Plan(TestTime& time) : time_(time) {}
  void Schedule(storage::Operation operation, base::UniqueFunction<void()> task) override {
    if (operation == storage::Operation::kSync && hold_syncs)
      return held_.push_back(std::move(task));
    time_.Post(std::move(task));
  }
  void Release() {
    hold_syncs = false;
    for (auto& task : std::exchange(held_, {})) time_.Post(std::move(task));
  }
  // They are never done.
  void Drop() {
    hold_syncs = false;
    held_.clear();
  }
  base::Status FailWrite() override { return fail_write; }
  // Half of the log, at the next crash.
  size_t CutInCrash(size_t logged) override {
    return std::exchange(cut_log, false) ? (logged + 1) / 2 : 0;
  }
  bool hold_syncs = false;
  bool cut_log = false;
  base::Status fail_write;

 private:
  TestTime& time_;
  std::vector<base::UniqueFunction<void()>> held_;
};

// All streams of the world. Bytes arrive in the next turn unless the link is silent.
class TestNet {
 public:
  explicit TestNet(TestTime& time) : time_(time) {}
  ~TestNet() { CloseAll(); }

  class Side final : public env::Stream {
   public:
    Side(TestNet& net, std::string peer) : net_(net), peer_(std::move(peer)) {}
    void Write(std::string_view bytes) override { Write(std::string(bytes)); }
    void Write(std::string&& bytes) override {
      if (closed) return;
      unsent += bytes;
      net_.Flush(this);
    }
    size_t UnsentBytes() const override { return unsent.size(); }
    void PauseReading() override { paused = true; }
    void ResumeReading() override {
      paused = false;
      net_.Flush(other);
    }
    void CloseAfterWrite() override {
      net_.Flush(this);
      Close();
    }
    void Close() override { net_.Close(this, "closed"); }
    const std::string& PeerAddress() const override { return peer_; }
    std::string_view PeerIdentity() const override { return identity; }

    Side* other = nullptr;
    std::unique_ptr<env::StreamHandler> handler;
    std::string unsent;    // written here, not taken by the other side
    std::string received;  // taken from the other side, not used yet
    std::string identity;  // whom the other side's certificate names
    bool paused = false;
    bool closed = false;

   private:
    TestNet& net_;
    std::string peer_;
  };

  void Listen(const std::string& address,
              std::function<std::unique_ptr<env::StreamHandler>(env::Stream&)> make) {
    listeners_[address] = std::move(make);
  }
  void StopListening(const std::string& address) { listeners_.erase(address); }

  void Connect(const std::string& address, env::MakeHandler make,
               base::UniqueFunction<void(base::Error)> failed) {
    ++attempts;
    time_.Post([this, address, make = std::move(make), failed = std::move(failed)]() mutable {
      const auto listener = listeners_.find(address);
      if (listener == listeners_.end()) {
        return failed({base::Code::kUnavailable, "connection refused"});
      }
      Side* client = sides_.emplace_back(std::make_unique<Side>(*this, address)).get();
      Side* server = sides_.emplace_back(std::make_unique<Side>(*this, "a client")).get();
      client->identity = certified[address];
      server->identity = caller;
      client->other = server;
      server->other = client;
      server->handler = listener->second(*server);
      client->handler = make(*client);
      if (!server->handler || !client->handler) Close(client, "refused");
    });
  }
  void CloseAll() {
    for (size_t i = 0; i < sides_.size(); ++i) Close(sides_[i].get(), "the network is gone");
    time_.Run({});
  }

  std::map<std::string, std::vector<std::string>> names;  // what they stand for
  std::map<std::string, std::string> certified;           // what certificates name there
  std::string caller;                                     // what those of callers name
  bool silent = false;                                    // bytes go nowhere
  // What becomes of what is sent at once, for planted bugs; empty: nothing else.
  std::function<std::string(std::string)> tamper;
  int attempts = 0;

 private:
  void Flush(Side* from) {
    time_.Post([this, from] {
      Side* to = from->other;
      if (silent || from->closed || to->closed || to->paused) return;
      const bool had = !from->unsent.empty();
      std::string bytes = std::exchange(from->unsent, "");
      if (tamper) bytes = tamper(std::move(bytes));
      to->received += bytes;
      Deliver(to);
      if (had && !from->closed) from->handler->OnDrained();
    });
  }
  void Deliver(Side* to) {
    if (to->received.empty()) return;
    const size_t used = to->handler->OnData(to->received);
    ASSERT_LE(used, to->received.size());
    to->received.erase(0, used);
  }
  void Close(Side* side, const std::string& reason) {
    time_.Post([side, reason] {
      for (Side* end : {side, side->other}) {
        if (std::exchange(end->closed, true)) continue;
        if (end->handler) end->handler->OnClosed(reason);
        end->handler.reset();
      }
    });
  }

  TestTime& time_;
  std::map<std::string, std::function<std::unique_ptr<env::StreamHandler>(env::Stream&)>>
      listeners_;
  std::vector<std::unique_ptr<Side>> sides_;
};

// One node's view of it.
class TestNetwork final : public env::Network {
 public:
  explicit TestNetwork(TestNet& net) : net_(net) {}
  base::Result<std::string> Listen(env::ListenOptions options, env::MakeHandler) override {
    return options.address;
  }
  void Connect(const std::string& address, base::Duration, env::MakeHandler make,
               base::UniqueFunction<void(base::Error)> failed) override {
    if (cut) return failed({base::Code::kUnavailable, "cut off"});
    net_.Connect(address, std::move(make), std::move(failed));
  }
  void Resolve(const std::string& address, Addresses done) override {
    const auto name = net_.names.find(address);
    if (name == net_.names.end()) return done(std::vector<std::string>{address});
    if (name->second.empty()) return done(base::Fail(base::Code::kIo, "no such host"));
    done(name->second);
  }
  void StopListening() override {}

  bool cut = false;  // nobody is reached

 private:
  TestNet& net_;
};

}  // namespace lariat::peers

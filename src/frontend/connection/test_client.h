// SPDX-License-Identifier: Apache-2.0
// A frontend's clients without a network, and its world: they send bytes and read replies; time
// moves when told. For tests and fuzzing.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/prng.h"
#include "frontend/connection/frontend.h"

namespace lariat::frontend::connection::testing {

class FakeWorld : public env::Clock, public env::Entropy, public env::Executor, public env::Timers {
 public:
  base::Instant Now() const override { return now_; }
  base::WallTime Wall() const override {
    return {784111777000 + now_.time_since_epoch().count() / 1'000'000};
  }
  uint64_t Next() override { return prng_.Next(); }
  void Post(env::Task task) override { tasks_.push_back(std::move(task)); }
  void RunTasks() {
    for (; !tasks_.empty(); tasks_.pop_front()) tasks_.front()();
  }
  env::TimerId After(base::Duration delay, env::Task task) override {
    timers_.emplace(++last_timer_, std::pair(now_ + delay, std::move(task)));
    return last_timer_;
  }
  void Cancel(env::TimerId id) override { timers_.erase(id); }
  size_t TimersSet() const { return timers_.size(); }

  // Runs the timers that are due on the way, in the order of their times.
  void Advance(base::Duration duration) {
    const base::Instant end = now_ + duration;
    for (;;) {
      auto next = std::min_element(timers_.begin(), timers_.end(), [](auto& a, auto& b) {
        return a.second.first < b.second.first;
      });
      if (next == timers_.end() || next->second.first > end) break;
      now_ = std::max(now_, next->second.first);
      env::Task task = std::move(next->second.second);
      timers_.erase(next);
      task();
    }
    now_ = end;
  }
  env::Env env() { return {*this, *this, *this, *this}; }

 private:
  base::Instant now_{base::Seconds(1000)};
  base::Prng prng_{7};
  std::deque<env::Task> tasks_;
  std::map<env::TimerId, std::pair<base::Instant, env::Task>> timers_;
  env::TimerId last_timer_ = 0;
};

class FakeStream : public env::Stream {
 public:
  void Write(std::string_view bytes) override { Append(bytes); }
  void Write(std::string&& bytes) override { Append(bytes); }
  size_t UnsentBytes() const override { return unsent; }
  void PauseReading() override { paused = true; }
  void ResumeReading() override { paused = false; }
  void CloseAfterWrite() override { close_after_write = true; }
  void Close() override { closed = true; }
  const std::string& PeerAddress() const override { return peer; }
  bool Ended() const { return closed || close_after_write; }

  std::string out;
  std::string peer = "127.0.0.1:1";
  size_t unsent = 0;
  size_t writes = 0;
  bool paused = false, closed = false, close_after_write = false;

 private:
  void Append(std::string_view bytes) {
    if (Ended()) return;
    out += bytes;
    ++writes;
  }
};

// One connection with the network's side of it.
class FakeClient {
 public:
  explicit FakeClient(Frontend& frontend) : handler_(frontend.Accept(stream)) {}
  ~FakeClient() { Disconnect(); }
  FakeClient(const FakeClient&) = delete;
  FakeClient& operator=(const FakeClient&) = delete;

  void Send(std::string_view bytes) {
    waiting_ += bytes;
    Deliver();
  }
  // What the network does when reading goes on.
  void Deliver() {
    while (handler_ && !stream.paused && !stream.Ended() && !waiting_.empty()) {
      const size_t used = handler_->OnData(waiting_);
      waiting_.erase(0, used);
      if (used == 0) break;
    }
  }
  void SendByteByByte(std::string_view bytes) {
    for (const char c : bytes) Send(std::string_view(&c, 1));
  }
  void CloseSending() {
    if (handler_ && !handler_->KeepOpenAfterPeerClosed()) stream.closed = true;
  }
  void Drained() {
    stream.unsent = 0;
    handler_->OnDrained();
    Deliver();
  }
  void Disconnect() {
    if (!handler_) return;
    handler_->OnClosed("gone");
    handler_.reset();
  }
  std::string TakeOutput() { return std::exchange(stream.out, {}); }
  size_t left_over() const { return waiting_.size(); }

  FakeStream stream;

 private:
  std::string waiting_;
  std::unique_ptr<env::StreamHandler> handler_;
};

}  // namespace lariat::frontend::connection::testing

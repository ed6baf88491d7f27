// SPDX-License-Identifier: Apache-2.0
// What one shard's thread does, turn by turn, without the waiting in between (shard_loop.cc waits,
// with Asio). One turn: the sockets that are ready, the timers that are due, the tasks that were
// posted, what they left for the end of the turn, then the hook, which sends what all of them
// wrote.
//
// Sockets live in an epoll set of our own, and Asio waits for that set as for one descriptor. If
// Asio watched every socket, each wait would cost an epoll_ctl (async_wait) or a recv that finds
// nothing (async_read_some): one more system call for each request, and a buffer for each idle
// connection. Sockets are watched edge-triggered: read until less came than there was room for.
//
// Post, RequestWake and the figures are thread-safe; all else belongs to the loop's thread (before
// the loop runs, to the thread that built it).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "env/env.h"
#include "env/posix/internal/socket.h"
#include "env/posix/internal/timer_heap.h"

namespace lariat::env::posix {

// Somebody who waits for a descriptor.
class Pollable {
 public:
  virtual void OnEvents(uint32_t events) = 0;  // EPOLLIN, ...

 protected:
  ~Pollable() = default;
};

class EventLoop final : public Executor, public Timers {
 public:
  // `wake` makes the waiting thread take a turn; it is called from any thread.
  EventLoop(const Clock& clock, std::function<void()> wake);

  void Post(Task task) override;
  void AtTurnEnd(Task task) override;
  uint64_t TurnNumber() const override { return turns() + 1; }
  TimerId After(base::Duration delay, Task task) override;
  void Cancel(TimerId id) override { timers_.Cancel(id); }

  // A Pollable has to live until the end of the turn in which its descriptor is closed.
  base::Status Watch(int fd, uint32_t events, Pollable* who);
  void Unwatch(int fd);
  void ChangeWatch(int fd, uint32_t events, Pollable* who);
  // Runs at the end of every turn; returns whether it wants another turn at once.
  void SetTurnEnd(base::UniqueFunction<bool()> hook) { turn_end_ = std::move(hook); }
  // The hook has something to do: makes sure that a turn comes.
  void RequestTurn();

  // Makes the calling thread the loop's thread for as long as the result lives.
  class ThreadScope {
   public:
    explicit ThreadScope(EventLoop* loop);
    ~ThreadScope();
    ThreadScope(const ThreadScope&) = delete;
    ThreadScope& operator=(const ThreadScope&) = delete;
  };
  // Returns whether another turn should follow without waiting.
  bool Turn();
  int poll_fd() const { return epoll_.get(); }
  std::optional<base::Instant> NextDeadline() const;
  const Clock& clock() const { return clock_; }

  uint64_t turns() const { return turns_.load(std::memory_order_relaxed); }
  uint64_t wakes() const { return wakes_.load(std::memory_order_relaxed); }
  base::Duration TakeLongestTurn() { return base::Duration(longest_turn_ns_.exchange(0)); }

 private:
  size_t PollSockets();
  void RunTimers(base::Instant now);
  void RunTasks();
  void RunTurnEnd();
  void Wake();

  const Clock& clock_;
  std::function<void()> wake_;
  Fd epoll_;
  TimerHeap timers_;
  base::UniqueFunction<bool()> turn_end_;
  bool in_turn_ = false;
  std::vector<Task> local_;  // posted by this loop's own thread
  std::vector<Task> running_local_;
  std::vector<Task> at_turn_end_;

  std::mutex inbox_mutex_;
  std::vector<Task> inbox_;  // posted by other threads
  std::vector<Task> running_;
  std::atomic<bool> inbox_used_ = false;

  std::atomic<uint64_t> turns_ = 0;
  std::atomic<uint64_t> wakes_ = 0;
  std::atomic<int64_t> longest_turn_ns_ = 0;
};

}  // namespace lariat::env::posix

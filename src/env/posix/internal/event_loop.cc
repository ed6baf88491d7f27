// SPDX-License-Identifier: Apache-2.0
#include "env/posix/internal/event_loop.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/check.h"

namespace lariat::env::posix {

namespace {

constexpr size_t kEventsMax = 256;  // sockets looked at in one turn
// After this many events more are likely to have come meanwhile: look before waiting.
constexpr size_t kBusyEvents = 8;

thread_local const EventLoop* loop_of_this_thread = nullptr;

}  // namespace

EventLoop::EventLoop(const Clock& clock, std::function<void()> wake)
    : clock_(clock), wake_(std::move(wake)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  LARIAT_CHECK(static_cast<bool>(epoll_), "the process has no file descriptor left for epoll");
}

EventLoop::ThreadScope::ThreadScope(EventLoop* loop) {
  LARIAT_CHECK(loop_of_this_thread == nullptr, "a thread runs one loop");
  loop_of_this_thread = loop;
}

EventLoop::ThreadScope::~ThreadScope() { loop_of_this_thread = nullptr; }

void EventLoop::Post(Task task) {
  if (loop_of_this_thread == this) {
    local_.push_back(std::move(task));
    RequestTurn();
    return;
  }
  bool first = false;
  {
    const std::lock_guard lock(inbox_mutex_);
    first = inbox_.empty();
    inbox_.push_back(std::move(task));
    if (first) inbox_used_.store(true, std::memory_order_release);
  }
  if (first) Wake();
}

void EventLoop::AtTurnEnd(Task task) {
  if (!in_turn_) return Post(std::move(task));
  at_turn_end_.push_back(std::move(task));
}

TimerId EventLoop::After(base::Duration delay, Task task) {
  const base::Duration wait = delay > base::Duration::zero() ? delay : base::Duration::zero();
  const TimerId id = timers_.Add(clock_.Now() + wait, std::move(task));
  RequestTurn();  // outside a turn nobody else would look at the new deadline
  return id;
}

base::Status EventLoop::Watch(int fd, uint32_t events, Pollable* who) {
  epoll_event event = {};
  event.events = events;
  event.data.ptr = who;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return base::Fail(base::Code::kIo, "cannot watch a socket: " + ErrnoText(errno));
}

void EventLoop::Unwatch(int fd) { (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

void EventLoop::ChangeWatch(int fd, uint32_t events, Pollable* who) {
  epoll_event event = {};
  event.events = events;
  event.data.ptr = who;
  const int result = epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
  LARIAT_CHECK(result == 0, "a watched socket can be changed");
}

void EventLoop::RequestTurn() {
  if (!in_turn_) Wake();
}

void EventLoop::Wake() {
  wakes_.fetch_add(1, std::memory_order_relaxed);
  wake_();
}

bool EventLoop::Turn() {
  LARIAT_CHECK(!in_turn_, "turns do not nest");
  in_turn_ = true;
  const base::Instant start = clock_.Now();
  const size_t events = PollSockets();
  RunTimers(start);
  RunTasks();
  RunTurnEnd();
  const bool hook_wants_more = turn_end_ && turn_end_();
  in_turn_ = false;
  turns_.store(turns() + 1, std::memory_order_relaxed);
  const int64_t took = (clock_.Now() - start).count();
  if (took > longest_turn_ns_.load(std::memory_order_relaxed)) {
    longest_turn_ns_.store(took, std::memory_order_relaxed);
  }
  const bool tasks_wait = !local_.empty() || !at_turn_end_.empty();
  return hook_wants_more || tasks_wait || events >= kBusyEvents;
}

size_t EventLoop::PollSockets() {
  std::array<epoll_event, kEventsMax> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    static_cast<Pollable*>(events[i].data.ptr)->OnEvents(events[i].events);
  }
  return count > 0 ? static_cast<size_t>(count) : 0;
}

void EventLoop::RunTimers(base::Instant now) {
  while (Task task = timers_.PopDue(now)) task();
}

void EventLoop::RunTasks() {
  // Both are taken first: what these tasks post is for the next turn.
  running_local_.swap(local_);
  if (inbox_used_.load(std::memory_order_acquire)) {
    const std::lock_guard lock(inbox_mutex_);
    running_.swap(inbox_);
    inbox_used_.store(false, std::memory_order_relaxed);
  }
  // Other threads' come first: what this thread posted before it ran the loop is among them.
  for (Task& task : running_) task();
  running_.clear();
  for (Task& task : running_local_) task();
  running_local_.clear();
}

void EventLoop::RunTurnEnd() {
  // One may leave another: an answer that was gathered may be the reason for a request.
  for (size_t i = 0; i < at_turn_end_.size(); ++i) {
    Task task = std::move(at_turn_end_[i]);
    task();
  }
  at_turn_end_.clear();
}

std::optional<base::Instant> EventLoop::NextDeadline() const {
  if (timers_.empty()) return std::nullopt;
  return timers_.first_deadline();
}

}  // namespace lariat::env::posix

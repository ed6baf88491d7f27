// SPDX-License-Identifier: Apache-2.0
// A value that comes later. It is waited for (Get), or something is done with it when it comes
// (Then), or, where the compiler has coroutines, it is awaited: `auto read = co_await
// client.Get("k")`. A coroutine may also return a Future: it runs on the caller's thread up to its
// first wait.
//
// Any thread may use a Future, but only one at a time, and its value is taken once. What is done
// with the value of a client's Future runs on the thread of that client (or at once, if the value
// is there): it must not block, so it must not call Get, and must not throw.
#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#if defined(__cpp_impl_coroutine) && __cpp_impl_coroutine >= 201902L
#include <coroutine>
#define LARIAT_HAS_COROUTINES 1
#endif

namespace lariat {

namespace detail {

// Shared by the two ends.
template <typename T>
struct FutureState {
  std::mutex mutex;
  std::condition_variable came;
  std::optional<T> value;
  std::function<void()> then;

  void Set(T with) {
    std::function<void()> run;
    {
      std::lock_guard<std::mutex> lock(mutex);
      value.emplace(std::move(with));
      run = std::move(then);
    }
    came.notify_all();
    if (run) run();
  }
  bool IsReady() {
    std::lock_guard<std::mutex> lock(mutex);
    return value.has_value();
  }
  // False, and `run` is not kept, if the value is there.
  bool WhenReady(std::function<void()> run) {
    std::lock_guard<std::mutex> lock(mutex);
    if (value.has_value()) return false;
    then = std::move(run);
    return true;
  }
};

}  // namespace detail

template <typename T>
class Promise;

template <typename T>
class [[nodiscard]] Future {
 public:
  explicit Future(std::shared_ptr<detail::FutureState<T>> state) : state_(std::move(state)) {}

  bool IsReady() const { return state_->IsReady(); }
  // Whether the value came within that time.
  bool WaitFor(std::chrono::milliseconds time) const {
    std::unique_lock<std::mutex> lock(state_->mutex);
    return state_->came.wait_for(lock, time, [this] { return state_->value.has_value(); });
  }
  // Blocks until the value is there, and takes it.
  T Get() {
    std::unique_lock<std::mutex> lock(state_->mutex);
    state_->came.wait(lock, [this] { return state_->value.has_value(); });
    return std::move(*state_->value);
  }
  // Calls `run` once with the value.
  void Then(std::function<void(T)> run) {
    auto call = [state = state_, run = std::move(run)] { run(std::move(*state->value)); };
    if (!state_->WhenReady(call)) call();
  }

#if defined(LARIAT_HAS_COROUTINES)
  bool await_ready() const { return IsReady(); }
  bool await_suspend(std::coroutine_handle<> waiting) {
    return state_->WhenReady([waiting] { waiting.resume(); });
  }
  T await_resume() { return std::move(*state_->value); }

  struct promise_type {
    std::shared_ptr<detail::FutureState<T>> state = std::make_shared<detail::FutureState<T>>();
    Future get_return_object() { return Future(state); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_value(T value) { state->Set(std::move(value)); }
    // Nothing of this library throws into a coroutine; what its own code throws has no way out.
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
  };
#endif

 private:
  std::shared_ptr<detail::FutureState<T>> state_;
};

// The other end. Copies are one promise; it is kept once.
template <typename T>
class Promise {
 public:
  Future<T> ToFuture() const { return Future<T>(state_); }
  void Set(T value) const { state_->Set(std::move(value)); }

 private:
  std::shared_ptr<detail::FutureState<T>> state_ = std::make_shared<detail::FutureState<T>>();
};

}  // namespace lariat

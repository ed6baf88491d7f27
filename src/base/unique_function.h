// SPDX-License-Identifier: Apache-2.0
// A move-only std::function with room for 56 bytes of captures, so that the usual completion
// (an object pointer, an id, a moved string) needs no allocation. C++23's move_only_function is
// not in the C++20 library and Debian has no package with the small-buffer size we need.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace lariat::base {

template <typename Signature>
class UniqueFunction;

template <typename R, typename... Args>
class UniqueFunction<R(Args...)> {
 public:
  UniqueFunction() = default;
  UniqueFunction(std::nullptr_t) {}  // NOLINT(google-explicit-constructor): as std::function
  template <typename F>
  requires(!std::is_same_v<std::decay_t<F>, UniqueFunction> &&
           std::is_invocable_r_v<R, std::decay_t<F>&, Args...>)
      UniqueFunction(F&& f) {  // NOLINT(google-explicit-constructor): as std::function
    using Held = std::decay_t<F>;
    constexpr bool fits = sizeof(Held) <= kInline && alignof(Held) <= alignof(std::max_align_t) &&
                          std::is_nothrow_move_constructible_v<Held>;
    if constexpr (fits) {
      new (buffer_) Held(std::forward<F>(f));
      ops_ = &kInlineOps<Held>;
    } else {
      new (buffer_) Held*(new Held(std::forward<F>(f)));
      ops_ = &kHeapOps<Held>;
    }
  }
  UniqueFunction(UniqueFunction&& other) noexcept { TakeFrom(other); }
  UniqueFunction& operator=(UniqueFunction&& other) noexcept {
    if (this != &other) {
      Reset();
      TakeFrom(other);
    }
    return *this;
  }
  UniqueFunction(const UniqueFunction&) = delete;
  UniqueFunction& operator=(const UniqueFunction&) = delete;
  ~UniqueFunction() { Reset(); }

  explicit operator bool() const { return ops_ != nullptr; }
  // Goes on as a reference, so that only the callee makes a move.
  R operator()(Args&&... args) {
    LARIAT_CHECK(ops_ != nullptr, "call of an empty function");
    return ops_->call(buffer_, std::forward<Args>(args)...);
  }
  // The same for what is copied or converted first.
  template <typename... Given>
  requires(sizeof...(Given) == sizeof...(Args) && (std::is_convertible_v<Given&&, Args> && ...)) R
  operator()(Given&&... given) {
    LARIAT_CHECK(ops_ != nullptr, "call of an empty function");
    return ops_->call(buffer_, Pass<Args>(std::forward<Given>(given))...);
  }

 private:
  static constexpr size_t kInline = 56;
  template <typename Arg, typename Given>
  static decltype(auto) Pass(Given&& given) {
    if constexpr (std::is_reference_v<Arg> || std::is_same_v<Arg, Given>) {
      return static_cast<Arg&&>(given);
    } else {
      return Arg(std::forward<Given>(given));
    }
  }
  struct Ops {
    R (*call)(void*, Args&&...);
    void (*move)(void* from, void* to);
    void (*destroy)(void*);
  };
  template <typename Held>
  static constexpr Ops kInlineOps = {[](void* p, Args&&... args) -> R {
                                       return (*static_cast<Held*>(p))(std::forward<Args>(args)...);
                                     },
                                     [](void* from, void* to) {
                                       new (to) Held(std::move(*static_cast<Held*>(from)));
                                       static_cast<Held*>(from)->~Held();
                                     },
                                     [](void* p) { static_cast<Held*>(p)->~Held(); }};
  template <typename Held>
  static constexpr Ops kHeapOps = {
      [](void* p, Args&&... args) -> R {
        return (**static_cast<Held**>(p))(std::forward<Args>(args)...);
      },
      [](void* from, void* to) { new (to) Held*(*static_cast<Held**>(from)); },
      [](void* p) { delete *static_cast<Held**>(p); }};

  void TakeFrom(UniqueFunction& other) {
    if (other.ops_ == nullptr) return;
    other.ops_->move(other.buffer_, buffer_);
    ops_ = std::exchange(other.ops_, nullptr);
  }
  void Reset() {
    if (ops_ != nullptr) std::exchange(ops_, nullptr)->destroy(buffer_);
  }

  alignas(std::max_align_t) std::byte buffer_[kInline];
  const Ops* ops_ = nullptr;
};

}  // namespace lariat::base

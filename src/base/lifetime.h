// SPDX-License-Identifier: Apache-2.0
// For callbacks that may be called when their object is gone: the object has a Lifetime as a member
// and guards what it hands out. A guarded callback does nothing once the object is destroyed; it
// may destroy the object itself.
//
//   engine_.Sync(&queue_, lifetime_.Guard([this](const base::Status& status) { ... }));
//
// Threads: one, for the object and its callbacks. Nothing here is locked.
#pragma once

#include <memory>
#include <utility>

namespace lariat::base {

class Lifetime {
 public:
  using Watch = std::weak_ptr<const bool>;  // expired once the object is gone

  Lifetime() = default;
  Lifetime(const Lifetime&) = delete;
  Lifetime& operator=(const Lifetime&) = delete;

  template <typename Use>
  auto Guard(Use use) const {
    return [alive = GetWatch(), use = std::move(use)](auto&&... answer) mutable -> void {
      if (!alive.expired()) use(std::forward<decltype(answer)>(answer)...);
    };
  }
  // For those that have something to say even then.
  Watch GetWatch() const { return alive_; }

 private:
  std::shared_ptr<const bool> alive_ = std::make_shared<bool>(true);  // owned alone, watched
};

}  // namespace lariat::base

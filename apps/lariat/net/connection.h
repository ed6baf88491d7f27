// SPDX-License-Identifier: Apache-2.0
// One HTTP/1.1 client connection that connects when it is first used, stays open between requests
// and connects again after a failure. One request at a time. Lives on the thread of its Loop.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "apps/lariat/net/address.h"
#include "apps/lariat/net/message.h"
#include "apps/lariat/net/trust.h"

namespace lariat::cli::net {

// An event loop with timers. Not thread-safe.
class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs until there is nothing more to wait for.
  void Run();
  // Everything under way is dropped; Run returns.
  void Stop();
  void After(std::chrono::milliseconds delay, std::function<void()> then);

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// The longest waits: for a connection, with the look-up of its name, and from then on for the whole
// answer.
struct Waits {
  std::chrono::milliseconds connect{1000};
  std::chrono::milliseconds answer{10000};
};

class Connection {
 public:
  using Done = std::function<void(Outcome)>;

  // `loop` must outlive the connection. With `trust` it speaks TLS.
  Connection(Loop& loop, Address address, std::shared_ptr<const Trust> trust);
  ~Connection();
  Connection(Connection&&) noexcept;

  // Calls `done` once, later. REQUIRES: no request is under way.
  void Send(Request request, Waits waits, Done done);
  const Address& address() const;

 private:
  struct Impl;
  // Shared with the handlers of the operation under way, which may end after this object.
  std::shared_ptr<Impl> impl_;
};

}  // namespace lariat::cli::net

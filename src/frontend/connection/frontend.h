// SPDX-License-Identifier: Apache-2.0
// What every protocol's frontend does: makes the handlers of new connections, makes room for them,
// keeps their deadlines, lets them end. One per shard, on the shard's thread; the network owns the
// connections.
#pragma once

#include <memory>
#include <string_view>

#include "env/env.h"
#include "env/stream.h"
#include "frontend/connection/clients.h"

namespace lariat::frontend::connection {

class Frontend {
 public:
  // Closes the connections that are left; their handlers and the callbacks given to services may
  // be destroyed, or come, later: they do nothing.
  virtual ~Frontend();
  Frontend(const Frontend&) = delete;
  Frontend& operator=(const Frontend&) = delete;

  // The handler of a new connection; `stream` as env::MakeHandler gives it.
  std::unique_ptr<env::StreamHandler> Accept(env::Stream& stream);
  // For env::ListenOptions: closes the connection that was idle for longest; false if all are busy.
  bool MakeRoom();
  // Likewise: counts a connection that is one too many. Result: what it is told.
  std::string_view Refuse();
  // From now on connections end after the requests that are in work; idle ones end now.
  void Drain();

 protected:
  // `full`: what a connection over the limit is told; static.
  Frontend(std::shared_ptr<Clients> clients, std::string_view full);
  virtual std::unique_ptr<env::StreamHandler> Make(env::Stream& stream) = 0;

 private:
  void StartTimer();
  void Sweep();

  const std::shared_ptr<Clients> clients_;  // co-owners: see Clients
  const std::string_view full_;
  env::TimerId timer_ = 0;  // 0 while there is no connection
};

}  // namespace lariat::frontend::connection

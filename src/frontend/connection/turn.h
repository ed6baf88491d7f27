// SPDX-License-Identifier: Apache-2.0
// The right to answer one request. It may outlive the connection and the frontend.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "frontend/connection/clients.h"
#include "frontend/connection/outbox.h"

namespace lariat::frontend::connection {

class Turn {
 public:
  Turn(std::shared_ptr<Link> link, uint64_t number) : link_(std::move(link)), number_(number) {}

  // Nothing of it may be used when it is not `alive`.
  Clients& clients() const { return *link_->clients; }
  // nullptr when nobody waits for this reply any more.
  Connection* connection() const { return link_->connection; }
  uint64_t number() const { return number_; }
  // The reply leaves when those before it have left; nothing happens when nobody waits. Once.
  void Answer(Reply reply) const;

 private:
  std::shared_ptr<Link> link_;
  uint64_t number_;
};

}  // namespace lariat::frontend::connection

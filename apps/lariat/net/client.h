// SPDX-License-Identifier: Apache-2.0
// A blocking HTTP client for commands: the nodes given are tried in order until one takes the
// request. A request is handed to the next node only when the one before definitely did nothing
// with it (not reachable, or 503) or when it is a GET. Not thread-safe.
#pragma once

#include <chrono>
#include <vector>

#include "apps/lariat/net/connection.h"

namespace lariat::cli::net {

class Client {
 public:
  Client(std::vector<Address> nodes, std::chrono::milliseconds timeout);
  // An answer of any status, or why there is none: kNotSent = no node could be reached.
  Outcome Send(const Request& request);
  // The node that gave the last answer. REQUIRES: Send succeeded.
  const Address& answered_by() const { return connections_[current_].address(); }

 private:
  Outcome SendTo(size_t node, const Request& request);

  Loop loop_;
  std::vector<Connection> connections_;
  size_t current_ = 0;  // the node that answered last is asked first
  std::chrono::milliseconds timeout_;
};

}  // namespace lariat::cli::net

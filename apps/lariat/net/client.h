// SPDX-License-Identifier: Apache-2.0
// A blocking HTTP client for commands: the nodes given are tried in order until one takes the
// request. A request is handed to the next node only when the one before definitely did nothing
// with it (not reachable, or 503) or when a repeat can do no harm (a read, or a write with an
// Idempotency-Key). A node that hangs costs its share of the time once: later requests go to the
// others first. Not thread-safe.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "apps/lariat/net/connection.h"

namespace lariat::cli::net {

// A node with others behind it is waited for that long, or for this part of the whole time if that
// is more, when the request may be repeated.
inline constexpr std::chrono::milliseconds kPatience{2000};
inline constexpr int kPatienceShare = 5;

// The longest waits: for one answer over all nodes, and for one connection. And whom to believe.
struct Limits {
  std::chrono::milliseconds total{10000};
  std::chrono::milliseconds connect{1000};
  std::string authorization = {};      // that each request brings; empty: none
  std::shared_ptr<const Trust> trust;  // null: no TLS
};

class Client {
 public:
  Client(std::vector<Address> nodes, Limits limits);
  // An answer of any status, or why there is none: kNotSent = no node could be reached.
  Outcome Send(const Request& request);
  // The node that gave the last answer. REQUIRES: Send succeeded.
  const Address& answered_by() const { return connections_[current_].address(); }
  const std::string& body() const { return body_; }  // of that answer

 private:
  Outcome SendTo(size_t node, const Request& request, Waits waits);
  std::vector<size_t> Order() const;

  Loop loop_;
  std::vector<Connection> connections_;
  std::vector<bool> hung_;  // at the last request: asked after the others
  std::string body_;
  size_t current_ = 0;  // the node that answered last is asked first
  Limits limits_;
};

}  // namespace lariat::cli::net

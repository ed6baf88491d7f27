// SPDX-License-Identifier: Apache-2.0
#include "client/node.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

namespace lariat::client {

namespace {

constexpr std::chrono::milliseconds kSuspicionMin{100};
constexpr std::chrono::milliseconds kSuspicionMax{5000};

}  // namespace

Node::Node(boost::asio::io_context& loop, std::string address, MakeWire make_wire,
           const ClientOptions& options, Secure secure, Counters& counters)
    : loop_(loop),
      address_(std::move(address)),
      make_wire_(std::move(make_wire)),
      options_(options),
      secure_(std::move(secure)),
      counters_(counters) {}

size_t Node::in_flight() const {
  size_t sum = queue_.size();
  for (const auto& connection : connections_) sum += connection->in_flight();
  return sum;
}

// The one with the least to do, or a new one if all have something to do; none if all are full.
std::shared_ptr<Connection> Node::Pick() {
  const auto least = std::min_element(
      connections_.begin(), connections_.end(),
      [](const auto& a, const auto& b) { return a->in_flight() < b->in_flight(); });
  const bool has_idle = least != connections_.end() && (*least)->in_flight() == 0;
  if (!has_idle && connections_.size() < options_.connections_per_node) return Open();
  return (*least)->in_flight() < options_.pipeline ? *least : nullptr;
}

std::shared_ptr<Connection> Node::Open() {
  Connection::Events events;
  const auto weak = weak_from_this();
  events.on_room = [weak] {
    const auto self = weak.lock();
    if (!self) return;
    self->suspicion_ = std::chrono::milliseconds(0);
    self->suspect_until_ = {};
    self->Pump();
  };
  auto connection = std::make_shared<Connection>(loop_, address_, make_wire_(), secure_);
  // The connection owns what is called, so it is named and not held.
  events.on_end = [weak, raw = connection.get()](bool was_connected) {
    if (const auto self = weak.lock()) self->OnEnd(raw, was_connected);
  };
  connections_.push_back(connection);
  ++counters_.connects;
  connection->Start(std::move(events), options_.connect_timeout);
  return connection;
}

void Node::Send(std::shared_ptr<Exchange> exchange) {
  queue_.push_back(std::move(exchange));
  Pump();
}

void Node::Pump() {
  while (!queue_.empty() && !closed_) {
    if (queue_.front()->abandoned) {
      queue_.pop_front();
      continue;
    }
    const std::shared_ptr<Connection> connection = Pick();
    if (connection == nullptr) return;
    std::shared_ptr<Exchange> next = std::move(queue_.front());
    queue_.pop_front();
    connection->Send(std::move(next));
  }
}

void Node::GiveUp(const std::shared_ptr<Exchange>& exchange) {
  exchange->abandoned = true;
  Suspect();
  if (const auto connection = exchange->carrier.lock()) connection->GiveUp(*exchange);
}

void Node::Suspect() {
  suspicion_ = std::clamp(2 * suspicion_, kSuspicionMin, kSuspicionMax);
  suspect_until_ = Clock::now() + suspicion_;
}

// A node that cannot be reached fails what is queued for it, too: it would open one connection
// after another for it.
void Node::OnEnd(const Connection* connection, bool was_connected) {
  const auto at = std::find_if(connections_.begin(), connections_.end(),
                               [connection](const auto& each) { return each.get() == connection; });
  if (at != connections_.end()) connections_.erase(at);
  if (was_connected) {
    ++counters_.connections_lost;
    // Later, since those that waited on the connection are told first.
    boost::asio::post(loop_, [self = shared_from_this()] { self->Pump(); });
    return;
  }
  Suspect();
  const std::deque<std::shared_ptr<Exchange>> queue = std::move(queue_);
  queue_.clear();
  for (const auto& exchange : queue) {
    Tell(*exchange, {Answer::End::kNotSent, {}, address_ + ": no connection"});
  }
}

void Node::Close() {
  closed_ = true;
  const std::vector<std::shared_ptr<Connection>> connections = connections_;
  for (const auto& connection : connections) connection->Close("the client was closed");
}

}  // namespace lariat::client

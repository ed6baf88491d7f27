// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/net/client.h"

#include <algorithm>
#include <optional>

#include "base/check.h"

namespace lariat::cli::net {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

Client::Client(std::vector<Address> nodes, Limits limits)
    : hung_(nodes.size()), limits_(std::move(limits)) {
  LARIAT_CHECK(!nodes.empty(), "a client needs a node");
  for (Address& node : nodes) connections_.emplace_back(loop_, std::move(node), limits_.trust);
}

Outcome Client::SendTo(size_t node, const Request& request, Waits waits) {
  std::optional<Outcome> result;
  connections_[node].Send(request, waits, [&](Outcome outcome) {
    result = std::move(outcome);
    loop_.Stop();  // a look-up of a name may go on
  });
  loop_.Run();
  LARIAT_CHECK(result.has_value(), "the loop ended without an answer");
  return std::move(*result);
}

std::vector<size_t> Client::Order() const {
  std::vector<size_t> order;
  for (size_t i = 0; i < connections_.size(); ++i) {
    order.push_back((current_ + i) % connections_.size());
  }
  std::stable_partition(order.begin(), order.end(), [this](size_t node) { return !hung_[node]; });
  return order;
}

Outcome Client::Send(const Request& given) {
  Request request = given;
  if (!limits_.authorization.empty()) {
    request.headers.emplace_back("Authorization", limits_.authorization);
  }
  const auto deadline = Clock::now() + limits_.total;
  std::optional<Outcome> refused;  // a 503 says more than "no connection"
  std::string unreachable;
  const std::vector<size_t> order = Order();
  for (size_t node : order) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) break;
    Waits waits{std::min(limits_.connect, left), left};
    if (request.IsRepeatable() && node != order.back()) {
      waits.answer = std::min(left, std::max(kPatience, limits_.total / kPatienceShare));
    }
    Outcome outcome = SendTo(node, request, waits);
    hung_[node] = !outcome.has_value() && outcome.error().hung;
    if (outcome.has_value()) {
      current_ = node;
      body_ = outcome->body;
      if (outcome->status != 503) return outcome;
      refused = std::move(outcome);
      continue;
    }
    const bool sent = outcome.error().failure != Failure::kNotSent;
    if (sent && !request.IsRepeatable()) return outcome;
    if (!unreachable.empty()) unreachable += "; ";
    unreachable += outcome.error().message;
    if (sent && !refused) refused = std::move(outcome);
  }
  if (refused) return std::move(*refused);
  return tl::unexpected(TransportError{Failure::kNotSent, unreachable, false, request.IsRead()});
}

}  // namespace lariat::cli::net

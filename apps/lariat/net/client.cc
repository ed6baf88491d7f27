// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/net/client.h"

#include <optional>

#include "base/check.h"

namespace lariat::cli::net {

Client::Client(std::vector<Address> nodes, std::chrono::milliseconds timeout) : timeout_(timeout) {
  LARIAT_CHECK(!nodes.empty(), "a client needs a node");
  for (Address& node : nodes) connections_.emplace_back(loop_, std::move(node));
}

Outcome Client::SendTo(size_t node, const Request& request) {
  std::optional<Outcome> result;
  connections_[node].Send(request, timeout_, [&](Outcome outcome) { result = std::move(outcome); });
  loop_.Run();
  LARIAT_CHECK(result.has_value(), "the loop ended without an answer");
  return std::move(*result);
}

Outcome Client::Send(const Request& request) {
  std::optional<Outcome> refused;  // a 503 says more than "no connection"
  std::string unreachable;
  const size_t first = current_;
  for (size_t i = 0; i < connections_.size(); ++i) {
    size_t node = (first + i) % connections_.size();
    Outcome outcome = SendTo(node, request);
    if (outcome.has_value()) {
      current_ = node;
      if (outcome->status != 503) return outcome;
      refused = std::move(outcome);
      continue;
    }
    if (outcome.error().failure != Failure::kNotSent && request.method != "GET") return outcome;
    if (!unreachable.empty()) unreachable += "; ";
    unreachable += outcome.error().message;
    if (outcome.error().failure != Failure::kNotSent && !refused) refused = std::move(outcome);
  }
  if (refused) return std::move(*refused);
  return tl::unexpected(TransportError{Failure::kNotSent, unreachable});
}

}  // namespace lariat::cli::net

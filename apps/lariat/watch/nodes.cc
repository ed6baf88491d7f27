// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/watch/nodes.h"

#include <boost/json/parse.hpp>
#include <utility>

namespace lariat::cli::watch {
namespace {

namespace json = boost::json;
constexpr std::chrono::milliseconds kWait{2000};

net::Request Get(std::string target) {
  net::Request request;
  request.target = std::move(target);
  return request;
}

}  // namespace

NodeLook Nodes::LookAt(const json::value& member, bool and_ready) {
  NodeLook look;
  look.name = TextOf(member, "name");
  look.address = TextOf(member, "http");
  look.status = member;
  auto address = net::ParseAddress(look.address);
  if (!address) {
    look.problem = address.error().message;
    return look;
  }
  net::Client client({*address}, common_.Limits(kWait));
  const net::Outcome metrics = client.Send(Get("/metrics"));
  if (!metrics || !metrics->Ok()) {
    look.problem = metrics ? ParseErrorBody(metrics->body).message : metrics.error().message;
    return look;
  }
  look.metrics = Exposition::Parse(metrics->body);
  if (!and_ready) return look;
  const net::Outcome ready = client.Send(Get("/readyz"));
  if (!ready || ready->Ok()) return look;
  json::error_code problem;
  json::value body = json::parse(ready->body, problem);
  look.ready = problem ? json::value() : std::move(body);
  return look;
}

tl::expected<std::vector<NodeLook>, Exit> Nodes::Look(bool and_ready) {
  auto client = Connect(common_, kUsualWait);
  if (!client) return tl::unexpected(Exit::kUsage);
  auto status = Ask(*client, Get("/v1/cluster/status"));
  if (!status) return tl::unexpected(status.error());
  std::vector<NodeLook> looks;
  for (const json::value& member : ArrayOf(*status, "nodes")) {
    if (TextOf(member, "state") == "removed") continue;
    looks.push_back(LookAt(member, and_ready));
  }
  return looks;
}

}  // namespace lariat::cli::watch

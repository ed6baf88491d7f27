// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/load/bench.h"

#include <fmt/format.h>

#include <cstdlib>

#include "apps/lariat/load/http_driver.h"
#include "apps/lariat/load/phase.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli::load {

namespace {

// The bucket's conflict kind; makes an lww bucket if there is none, because blind writes, which a
// benchmark sends, pile up as siblings otherwise.
tl::expected<std::string, Exit> PrepareBucket(const Common& common,
                                              const std::vector<net::Address>& nodes,
                                              const std::string& bucket) {
  net::Client client(nodes, common.Limits(kUsualWait, nodes.size()));
  net::Request request;
  request.target = "/v1/buckets/" + net::PercentEncode(bucket);
  net::Outcome present = client.Send(request);
  if (!present) return tl::unexpected(Explain(present.error()));
  if (present->status == 404) {
    request.method = "PUT";
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = R"({"conflict":"lww"})";
    auto made = Ask(client, request);
    if (!made) return tl::unexpected(made.error());
    request = {"GET", request.target, {}, {}};
  }
  auto properties = Ask(client, request);
  if (!properties) return tl::unexpected(properties.error());
  return TextOf(*properties, "conflict");
}

std::string QueryOf(const char* name, const std::optional<uint32_t>& value) {
  return value ? net::QueryString({{name, std::to_string(*value)}}) : "";
}

}  // namespace

Exit Bench(const Common& common, const BenchOptions& options) {
  if (common.trust != nullptr) return Complain(Exit::kUsage, "bench does not speak TLS");
  auto addresses = ResolveNodes(common.nodes, std::getenv("LARIAT_NODE"));
  if (!addresses) return Complain(Exit::kUsage, addresses.error().message);
  Plan plan;
  plan.options = options;
  for (const net::Address& address : *addresses) {
    auto endpoint = Resolve(address);
    if (!endpoint) return Complain(Exit::kUnreachable, endpoint.error().message);
    plan.nodes.push_back(*endpoint);
  }
  for (int pid : options.pids) {
    if (!CpuOf(pid)) return Complain(Exit::kUsage, fmt::format("there is no process {}", pid));
  }
  auto conflict = PrepareBucket(common, *addresses, options.bucket);
  if (!conflict) return conflict.error();
  plan.conflict = *conflict;
  plan.driver = HttpDrivers({.bucket = net::PercentEncode(options.bucket),
                             .get_query = QueryOf("r", options.r),
                             .put_query = QueryOf("w", options.w),
                             .authorization = common.authorization});
  plan.siblings = *conflict == "siblings";
  if (plan.siblings) plan.contexts.resize(options.keys);
  double read_share = options.workload == "get"   ? 1
                      : options.workload == "put" ? 0
                                                  : options.read_share;
  if (plan.siblings && read_share < 1) {
    Totals ignored;
    RunPhase(plan, {"looked up", 1, true}, &ignored);
  }
  if (read_share > 0 && !options.no_load) {
    Totals load;
    RunPhase(plan, {"loaded", 0, true}, &load);
    if (load.failed > 0) {
      Tell("lariat: {} writes failed while loading\n", CountText(load.failed));
    }
  }
  Totals totals;
  RunPhase(plan, {"done", read_share, false}, &totals);
  if (common.json) {
    ShowJson(plan, totals);
  } else {
    ShowText(plan, totals);
  }
  return totals.all.Count() > 0 ? Exit::kDone : Exit::kFailed;
}

}  // namespace lariat::cli::load

// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <thread>

#include "apps/lariat/cluster_text.h"
#include "apps/lariat/commands.h"
#include "apps/lariat/terminal/table.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli {

namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

struct StatusOptions {
  double wait_s = 0;
  bool wide = false;
};

std::string StateText(const json::value& node) {
  return TextOf(node, "state") + (FlagOf(node, "draining") ? ", draining" : "");
}

Table NarrowTable(const json::array& nodes) {
  Table table({"NAME", "STATE", "ALIVE", "OWNS", "TOKENS", "DC", "RACK", "HTTP"});
  for (const json::value& node : nodes) {
    table.Add({TextOf(node, "name"), StateText(node), AliveText(node),
               PercentText(NumberOf(node, "owns")), TextOf(node, "tokens"), TextOf(node, "dc"),
               TextOf(node, "rack"), TextOf(node, "http")});
  }
  return table;
}

Table WideTable(const json::array& nodes) {
  Table table({"NAME", "STATE", "ALIVE", "DETECTOR", "PHI", "DRAINING", "OWNS", "DATA", "HINTS",
               "WEIGHT", "TOKENS", "DC", "RACK", "HTTP", "RESP", "PEER", "ID"});
  for (const json::value& node : nodes) {
    table.Add({TextOf(node, "name"), TextOf(node, "state"), AliveText(node),
               TextOf(node, "detector"), fmt::format("{:.2f}", NumberOf(node, "phi")),
               FlagOf(node, "draining") ? "yes" : "no", PercentText(NumberOf(node, "owns")),
               BytesText(static_cast<uint64_t>(NumberOf(node, "data_bytes"))),
               BytesText(static_cast<uint64_t>(NumberOf(node, "hints_pending_bytes"))),
               fmt::format("{:g}", NumberOf(node, "weight")), TextOf(node, "tokens"),
               TextOf(node, "dc"), TextOf(node, "rack"), TextOf(node, "http"), TextOf(node, "resp"),
               TextOf(node, "peer"), TextOf(node, "id")});
  }
  return table;
}

// Who keeps hints for others; empty if nobody does.
std::string HintsText(const json::array& nodes) {
  std::string text;
  for (const json::value& node : nodes) {
    const auto bytes = static_cast<uint64_t>(NumberOf(node, "hints_pending_bytes"));
    if (bytes == 0) continue;
    text +=
        fmt::format("{}{} {}", text.empty() ? "" : ", ", TextOf(node, "name"), BytesText(bytes));
  }
  return text;
}

// Nodes whose data directory was copied and runs twice.
void ShowTwins(const json::array& nodes) {
  for (const json::value& node : nodes) {
    const std::string twin = TextOf(node, "twin");
    if (twin.empty()) continue;
    Print(
        "{} runs twice, also at {}: its data directory was copied. Neither serves until one of "
        "them is stopped\n",
        TextOf(node, "name"), twin);
  }
}

// Nodes whose clock is far from that of the others.
void ShowWrongClocks(const json::array& nodes) {
  constexpr double kWorthSayingMs = 1000;
  for (const json::value& node : nodes) {
    const double ahead_ms = NumberOf(node, "clock_offset_ms");
    if (std::abs(ahead_ms) <= kWorthSayingMs) continue;
    Print("the clock of {} is {:.1f} s {} that of the other members\n", TextOf(node, "name"),
          std::abs(ahead_ms) / 1000, ahead_ms > 0 ? "ahead of" : "behind");
  }
}

void ShowStatus(const json::value& status, const std::string& asked, bool wide) {
  std::string cluster = TextOf(status, "cluster_id");
  Print("cluster {}  epoch {}  as seen by {}\n", cluster.empty() ? "not formed yet" : cluster,
        TextOf(status, "epoch"), asked);
  const json::value* operation =
      status.is_object() ? status.as_object().if_contains("operation") : nullptr;
  if (operation != nullptr && operation->is_object()) {
    Print("under way: {}\n", OperationText(*operation, IsTerminal(STDOUT_FILENO)));
  }
  if (const double queued = NumberOf(status, "queued"); queued > 0) {
    Print("waiting: {:.0f} change{} (lariat cluster plan shows {})\n", queued,
          queued == 1 ? "" : "s", queued == 1 ? "it" : "them");
  }
  const json::array& nodes = ArrayOf(status, "nodes");
  if (const std::string hints = HintsText(nodes); !hints.empty()) {
    Print("hints kept for nodes that missed writes: {}\n", hints);
  }
  ShowTwins(nodes);
  ShowWrongClocks(nodes);
  if (const std::string upgrade = TextOf(status, "upgrade"); !upgrade.empty()) {
    Print("upgrade: {}\n", Printable(upgrade));
  }
  Print("{}", (wide ? WideTable(nodes) : NarrowTable(nodes)).Render());
}

// A cluster that has grown may keep fewer copies than it could: nobody raises n by itself.
void ShowThinBuckets(net::Client& client, const json::array& nodes) {
  const auto normal = std::count_if(nodes.begin(), nodes.end(), [](const json::value& node) {
    return TextOf(node, "state") == "normal";
  });
  const double usual = std::min<double>(3, static_cast<double>(normal));
  net::Request request;
  request.target = "/v1/buckets";
  const net::Outcome outcome = client.Send(request);
  if (!outcome || !outcome->Ok()) return;
  json::error_code problem;
  const json::value buckets = json::parse(outcome->body, problem);
  if (problem) return;
  for (const json::value& bucket : ArrayOf(buckets, "buckets")) {
    const double n = NumberOf(bucket, "n");
    if (n >= usual) continue;
    const std::string name = Printable(TextOf(bucket, "name"));
    Print("bucket {} keeps {:.0f} cop{} of each key; for {:.0f}:  lariat bucket set {} n={:.0f}\n",
          name, n, n == 1 ? "y" : "ies", usual, name, usual);
  }
}

bool HealthyNow(net::Client& client, const net::Request& request) {
  net::Outcome outcome = client.Send(request);
  if (!outcome || !outcome->Ok()) return false;
  json::error_code problem;
  json::value status = json::parse(outcome->body, problem);
  return !problem && IsHealthy(status);
}

Exit Status(const Common& common, const StatusOptions& options) {
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  net::Request request;
  request.target = "/v1/cluster/status";
  const auto deadline = Clock::now() + std::chrono::duration<double>(options.wait_s);
  while (Clock::now() < deadline && !HealthyNow(*client, request)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  auto reply = Ask(*client, request);
  if (!reply) return reply.error();
  if (common.json) {
    PrintAnswer(*client);
  } else {
    ShowStatus(*reply, client->answered_by().ToString(), options.wide);
    ShowThinBuckets(*client, ArrayOf(*reply, "nodes"));
  }
  return IsHealthy(*reply) ? Exit::kDone : Exit::kUnhealthy;
}

}  // namespace

void AddStatusCommand(CLI::App& app, Session& session) {
  auto options = std::make_shared<StatusOptions>();
  CLI::App* command = AddCommand(
      app, session, "status", "All nodes and the change under way; exit code 6 if one is not alive",
      "  lariat status\n  lariat status --wide\n  lariat status --wait 30");
  command->add_option("--wait", options->wait_s, "Wait so many seconds for a healthy cluster")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--wide", options->wide,
                    "Suspicion (phi, detector), draining, data, weights and all addresses too");
  command->callback([&session, options] {
    session.run = [&session, options] { return Status(session.common, *options); };
  });
}

}  // namespace lariat::cli

// SPDX-License-Identifier: Apache-2.0
// What the cluster looks like from a node: ring, explain; status is in status_command.cc.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cmath>

#include "apps/lariat/cluster_text.h"
#include "apps/lariat/commands.h"
#include "apps/lariat/terminal/table.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli {

namespace {

namespace json = boost::json;

uint64_t TokenOf(const json::value& range, std::string_view member) {
  std::string text = TextOf(range, member);
  uint64_t token = 0;
  int base = text.starts_with("0x") ? 16 : 10;
  const char* first = text.data() + (base == 16 ? 2 : 0);
  std::from_chars(first, text.data() + text.size(), token, base);
  return token;
}

struct Holding {
  size_t primary_ranges = 0;
  double primary_share = 0;
  double replica_share = 0;
};

void ShowRingSummary(const json::array& ranges) {
  std::map<std::string, Holding> nodes;
  double replicas = 0;
  for (const json::value& range : ranges) {
    // Ranges wrap around: the arithmetic modulo 2^64 is meant. One range alone is everything.
    uint64_t width = TokenOf(range, "to") - TokenOf(range, "from");
    double share = width == 0 ? 1.0 : std::ldexp(static_cast<double>(width), -64);
    bool primary = true;
    for (const json::value& owner : ArrayOf(range, "owners")) {
      if (!owner.is_string()) continue;
      Holding& holding = nodes[std::string(owner.as_string())];
      if (std::exchange(primary, false)) {
        ++holding.primary_ranges;
        holding.primary_share += share;
      }
      holding.replica_share += share;
      replicas += share;
    }
  }
  Table table({"NODE", "RANGES", "FIRST", "REPLICAS"});
  for (const auto& [name, holding] : nodes) {
    table.Add({name, std::to_string(holding.primary_ranges), PercentText(holding.primary_share),
               PercentText(replicas > 0 ? holding.replica_share / replicas : 0)});
  }
  Print("{} ranges; FIRST = share of keys whose first replica the node is\n{}", ranges.size(),
        table.Render());
}

Exit Ring(const Common& common, bool each_range) {
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  net::Request request;
  request.target = "/v1/cluster/ring";
  auto reply = Ask(*client, request);
  if (!reply) return reply.error();
  if (common.json) {
    PrintAnswer(*client);
    return Exit::kDone;
  }
  const json::array& ranges = ArrayOf(*reply, "ranges");
  if (!each_range) {
    ShowRingSummary(ranges);
    return Exit::kDone;
  }
  Table table({"FROM", "TO", "OWNERS"});
  for (const json::value& range : ranges) {
    std::string owners;
    for (const json::value& owner : ArrayOf(range, "owners")) {
      if (owner.is_string()) owners += (owners.empty() ? "" : " ") + std::string(owner.as_string());
    }
    table.Add({TextOf(range, "from"), TextOf(range, "to"), owners});
  }
  Print("{}", table.Render());
  return Exit::kDone;
}

void ShowExplanation(const json::value& e) {
  Print("key {}  bucket {}  token {}  n={} r={} w={}\n", Printable(TextOf(e, "key")),
        TextOf(e, "bucket"), TextOf(e, "token"), TextOf(e, "n"), TextOf(e, "r"), TextOf(e, "w"));
  const auto& replicas = ArrayOf(e, "replicas");
  const bool is_serial = std::any_of(replicas.begin(), replicas.end(),
                                     [](const auto& r) { return !TextOf(r, "ballot").empty(); });
  std::vector<std::string> heads{"REPLICA",    "ALIVE", "STATE",   "VALUES",
                                 "TOMBSTONES", "BYTES", "VERSION", "DIGEST"};
  if (is_serial) heads.emplace_back("BALLOT");
  Table table(heads);
  for (const json::value& r : replicas) {
    std::vector<std::string> row{
        TextOf(r, "node"),       AliveText(r),       TextOf(r, "state"),   TextOf(r, "siblings"),
        TextOf(r, "tombstones"), TextOf(r, "bytes"), TextOf(r, "version"), TextOf(r, "digest")};
    if (is_serial) row.push_back(TextOf(r, "ballot"));
    table.Add(row);
  }
  Print("{}", table.Render());
  std::string fallbacks;
  for (const json::value& f : ArrayOf(e, "fallbacks")) {
    if (f.is_string()) fallbacks += " " + std::string(f.as_string());
  }
  if (!fallbacks.empty()) Print("fallbacks:{}\n", fallbacks);
  bool agree = TextOf(e, "agree") == "true";
  Print("{}\n", agree ? "all reachable replicas agree"
                      : "replicas DIFFER; the next read of the key repairs them");
  const std::string kept = TextOf(e, "kept_because");
  if (!kept.empty()) Print("{}\n", Printable(kept));
}

struct ExplainOptions {
  std::string key;
  std::string bucket = "default";
  bool key_base64 = false;
};

Exit ExplainKey(const Common& common, const ExplainOptions& o) {
  const auto key = KeyBytes(o.key, o.key_base64);
  if (!key) return Exit::kUsage;
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  net::Request request;
  request.target = "/v1/debug/explain" + net::QueryString({{"bucket", o.bucket}, {"key", *key}});
  auto reply = Ask(*client, request);
  if (!reply) return reply.error();
  if (common.json) {
    PrintAnswer(*client);
  } else {
    ShowExplanation(*reply);
  }
  return Exit::kDone;
}

}  // namespace

void AddClusterCommands(CLI::App& app, Session& session) {
  AddStatusCommand(app, session);

  auto ranges = std::make_shared<bool>(false);
  CLI::App* command = AddCommand(app, session, "ring", "Who owns which part of the key space",
                                 "  lariat ring\n  lariat ring --ranges");
  command->add_flag("--ranges", *ranges, "Every token range with its owners");
  command->callback([&session, ranges] {
    session.run = [&session, ranges] { return Ring(session.common, *ranges); };
  });

  auto o = std::make_shared<ExplainOptions>();  // shared by the parser's callbacks
  command = AddCommand(app, session, "explain", "Where a key lives and what each replica holds",
                       "  lariat explain hello");
  command->add_option("KEY", o->key)->required();
  command->add_option("-b,--bucket", o->bucket, "Bucket (default: default)");
  command->add_flag("--key-base64", o->key_base64, std::string(kKeyBase64Help));
  command->callback(
      [&session, o] { session.run = [&session, o] { return ExplainKey(session.common, *o); }; });
}

}  // namespace lariat::cli

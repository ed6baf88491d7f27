// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <thread>

#include "apps/lariat/commands.h"
#include "apps/lariat/terminal/output.h"
#include "apps/lariat/terminal/table.h"
#include "apps/lariat/terminal/text.h"
#include "apps/lariat/watch/nodes.h"

namespace lariat::cli {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;
using watch::Exposition;
using watch::NodeLook;
using watch::QuantileOf;
using watch::RateOf;

struct TopOptions {
  double interval_s = 2;
  uint64_t times = 0;  // 0: until it is interrupted
};

constexpr std::string_view kRequests = "lariat_requests_total";
constexpr std::string_view kSeconds = "lariat_request_seconds";

// What one node did between two looks.
struct Line {
  std::string name;
  std::string problem;  // nothing else is known if there is one
  double gets = 0, puts = 0, deletes = 0, not_done = 0, unknown = 0;  // a second
  double p50_s = 0, p99_s = 0;
  double in_work = 0, disk = 0, memory = 0, hints = 0, sync_s = 0;
};

Line LineOf(const NodeLook& look, const Exposition* before, double seconds) {
  Line line;
  line.name = look.name;
  line.problem = look.problem;
  if (!look.metrics) return line;
  const Exposition& now = *look.metrics;
  static const Exposition kNothing;
  // The first look of a node has no rates: since its start would mislead.
  const Exposition& then = before != nullptr ? *before : now;
  line.gets = RateOf(then, now, seconds, kRequests, "op", "get");
  line.puts = RateOf(then, now, seconds, kRequests, "op", "put");
  line.deletes = RateOf(then, now, seconds, kRequests, "op", "delete");
  line.not_done = RateOf(then, now, seconds, kRequests, "outcome", "not_done");
  line.unknown = RateOf(then, now, seconds, kRequests, "outcome", "unknown");
  line.p50_s = QuantileOf(then, now, 0.5, kSeconds);
  line.p99_s = QuantileOf(then, now, 0.99, kSeconds);
  line.in_work = now.Sum("lariat_requests_in_flight");
  line.disk = now.Sum("lariat_disk_bytes");
  line.memory = now.Sum("lariat_engine_memory_bytes");
  line.hints = now.Sum("lariat_hints_pending_bytes");
  const double syncs = RateOf(then, now, seconds, "lariat_syncs_total");
  line.sync_s = syncs > 0 ? RateOf(then, now, seconds, "lariat_sync_seconds_total") / syncs : 0;
  return line;
}

std::string Rate(double per_second) {
  return per_second < 10 ? fmt::format("{:.1f}", per_second)
                         : CountText(static_cast<uint64_t>(per_second));
}

std::string Millis(double seconds) {
  return seconds == 0 ? "-" : fmt::format("{:.2f} ms", seconds * 1000);
}

std::string Bytes(double bytes) { return BytesText(static_cast<uint64_t>(bytes)); }

void Show(const std::vector<Line>& lines, bool first) {
  Table table({"NODE", "GET/s", "PUT/s", "DEL/s", "REFUSED/s", "UNKNOWN/s", "P50", "P99", "SYNC",
               "IN WORK", "DISK", "MEMORY", "HINTS"});
  for (const Line& line : lines) {
    if (!line.problem.empty()) {
      table.Add({line.name, line.problem});
      continue;
    }
    table.Add({line.name, Rate(line.gets), Rate(line.puts), Rate(line.deletes), Rate(line.not_done),
               Rate(line.unknown), Millis(line.p50_s), Millis(line.p99_s), Millis(line.sync_s),
               fmt::format("{:.0f}", line.in_work), Bytes(line.disk), Bytes(line.memory),
               Bytes(line.hints)});
  }
  if (IsTerminal(STDOUT_FILENO)) Write("\x1b[H\x1b[2J");
  Print("{}", table.Render());
  if (first) Print("rates from the next look on\n");
  (void)FlushOutput();
}

void ShowAsJson(const std::vector<Line>& lines) {
  json::array nodes;
  for (const Line& line : lines) {
    if (!line.problem.empty()) {
      nodes.push_back(json::object{{"name", line.name}, {"problem", line.problem}});
      continue;
    }
    nodes.push_back(json::object{{"name", line.name},
                                 {"gets_per_s", line.gets},
                                 {"puts_per_s", line.puts},
                                 {"deletes_per_s", line.deletes},
                                 {"not_done_per_s", line.not_done},
                                 {"unknown_per_s", line.unknown},
                                 {"p50_s", line.p50_s},
                                 {"p99_s", line.p99_s},
                                 {"sync_s", line.sync_s},
                                 {"in_work", line.in_work},
                                 {"disk_bytes", line.disk},
                                 {"memory_bytes", line.memory},
                                 {"hints_pending_bytes", line.hints}});
  }
  PrintLine(json::serialize(json::object{{"nodes", std::move(nodes)}}));
}

Exit Top(const Common& common, const TopOptions& options) {
  watch::Nodes nodes(common);
  std::map<std::string, Exposition> before;
  Clock::time_point looked;
  const auto interval = std::chrono::duration<double>(options.interval_s);
  // One look more than lines are shown: the first has nothing to compare with.
  for (uint64_t round = 0; options.times == 0 || round <= options.times; ++round) {
    auto looks = nodes.Look(false);
    if (!looks) return looks.error();
    const Clock::time_point now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - looked).count();
    std::vector<Line> lines;
    for (NodeLook& look : *looks) {
      const auto last = before.find(look.name);
      lines.push_back(LineOf(look, last == before.end() ? nullptr : &last->second, seconds));
      if (look.metrics) before[look.name] = std::move(*look.metrics);
    }
    looked = now;
    if (round > 0 && common.json) ShowAsJson(lines);
    if (!common.json && (round > 0 || IsTerminal(STDOUT_FILENO))) Show(lines, round == 0);
    if (!OutputWorks()) return Exit::kFailed;
    if (options.times == 0 || round < options.times) std::this_thread::sleep_for(interval);
  }
  return Exit::kDone;
}

}  // namespace

void AddTopCommand(CLI::App& app, Session& session) {
  auto options = std::make_shared<TopOptions>();
  CLI::App* command = AddCommand(app, session, "top",
                                 "What every node does now: rates, latency, disk, memory, hints",
                                 "  lariat top\n  lariat top --interval 10 --times 6 --json");
  command->add_option("--interval", options->interval_s, "Seconds between two looks (default 2)")
      ->check(CLI::Range(0.1, 86400.0));
  command->add_option("--times", options->times, "Ends after so many (default: Ctrl-C ends it)");
  command->callback([&session, options] {
    session.run = [&session, options] { return Top(session.common, *options); };
  });
}

}  // namespace lariat::cli

// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/cluster_text.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "apps/lariat/session.h"
#include "apps/lariat/terminal/progress.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli {

namespace {

namespace json = boost::json;

std::string PhaseText(const std::string& phase) {
  if (phase == "prepare") return "preparing";
  if (phase == "stream") return "moving data";
  if (phase == "switch") return "switching reads";
  if (phase == "undo") return "going back";
  if (phase == "compare") return "comparing";
  return phase;
}

std::string MovingText(const json::value& operation, bool bar) {
  const double share = ShareDone(operation);
  std::string out = bar ? " " + Progress::Bar(share) : "";
  out += fmt::format(" {:.0f} %", share * 100);
  if (NumberOf(operation, "ranges_total") > 0) {
    out += fmt::format(" ({} of {} ranges)", TextOf(operation, "ranges_done"),
                       TextOf(operation, "ranges_total"));
  }
  const double rate = NumberOf(operation, "bytes_per_s");
  if (rate > 0) out += fmt::format(", {}/s", BytesText(static_cast<uint64_t>(rate)));
  if (!TextOf(operation, "left_s").empty()) {
    out += ", " + SecondsText(NumberOf(operation, "left_s")) + " left";
  }
  return out;
}

}  // namespace

std::string AliveText(const json::value& node) {
  std::string text = TextOf(node, "alive");
  return text == "true" ? "yes" : text == "false" ? "NO" : "unknown";
}

bool IsHealthy(const json::value& status) {
  const json::array& nodes = ArrayOf(status, "nodes");
  for (const json::value& node : nodes) {
    if (TextOf(node, "state") != "removed" && AliveText(node) != "yes") return false;
    if (!TextOf(node, "twin").empty()) return false;
  }
  return !nodes.empty() && !TextOf(status, "cluster_id").empty();
}

double ShareDone(const json::value& operation) {
  const auto share = [&](const char* done, const char* total) {
    const double all = NumberOf(operation, total);
    return all > 0 ? std::clamp(NumberOf(operation, done) / all, 0.0, 1.0) : 0.0;
  };
  const double ranges = share("ranges_done", "ranges_total");
  if (ranges == 1 || NumberOf(operation, "bytes_total") == 0) return ranges;
  // The total is an estimate: all that is estimated may have come while ranges are still open.
  return std::min(0.99, share("bytes_done", "bytes_total"));
}

std::string ChangeText(const json::value& change) {
  return fmt::format("{} of {}", TextOf(change, "kind"), Printable(TextOf(change, "node")));
}

std::string OperationText(const json::value& operation, bool bar) {
  const std::string phase = TextOf(operation, "phase");
  std::string out = fmt::format("task {}, {}: {}", TextOf(operation, "task"), ChangeText(operation),
                                PhaseText(phase));
  if (phase == "stream" || phase == "compare") out += MovingText(operation, bar);
  const std::string waits = TextOf(operation, "waiting_for");
  return waits.empty() ? out : out + "; waits: " + Printable(waits);
}

std::string TimeText(double ms) {
  if (ms <= 0) return "";
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm local{};
  localtime_r(&seconds, &local);
  return fmt::format("{:%F %T}", local);
}

}  // namespace lariat::cli

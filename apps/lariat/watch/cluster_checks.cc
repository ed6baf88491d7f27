// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/watch/cluster_checks.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <cmath>

#include "apps/lariat/terminal/text.h"

namespace lariat::cli::watch {
namespace {

constexpr double kClockWorthSayingS = 0.25;
constexpr double kSlowSyncS = 0.01;
constexpr double kSyncsWorthJudging = 100;
constexpr double kManySiblings = 20;

std::string Reasons(const boost::json::value& ready) {
  std::string text;
  for (const boost::json::value& reason : ArrayOf(ready, "reasons")) {
    if (!reason.is_string()) continue;
    text += (text.empty() ? "" : "; ") + std::string(reason.as_string());
  }
  return text.empty() ? "it does not say why" : text;
}

// One thing that a node's metrics may show. `bad` says it if it is so.
struct Look {
  const Exposition& metrics;
  const std::string& node;
  Findings& found;

  double Of(std::string_view name) const { return metrics.Sum(name); }
  void Say(bool wrong, Grade grade, std::string says, std::string mend) const {
    if (wrong) found.push_back({grade, node, std::move(says), std::move(mend)});
  }
};

void CheckStore(const Look& look) {
  const double health = look.Of("lariat_storage_health");
  look.Say(health == 1, Grade::kBad, "its disk is nearly full: of writes only deletes go on",
           "free disk; it goes on by itself");
  look.Say(health >= 2, Grade::kBad, "its storage engine has failed",
           "read its log; lariatd --replace " + look.node + " if the disk is lost");
  look.Say(look.Of("lariat_store_damaged") > 0, Grade::kBad, "a file of its store is unreadable",
           "restart it: what is damaged is set aside and refilled by the others");
  const double free = look.Of("lariat_disk_free_bytes");
  const double wanted = 2 * look.Of("lariat_disk_reserve_bytes") + look.Of("lariat_disk_bytes") / 4;
  look.Say(health == 0 && free > 0 && free < wanted, Grade::kAdvice,
           fmt::format("{} of its disk are free", BytesText(static_cast<uint64_t>(free))),
           "add disk, or a node");
  const double syncs = look.Of("lariat_syncs_total");
  const double each = syncs > 0 ? look.Of("lariat_sync_seconds_total") / syncs : 0;
  look.Say(syncs >= kSyncsWorthJudging && each > kSlowSyncS, Grade::kAdvice,
           fmt::format("a sync took {:.1f} ms on average since its start", each * 1000),
           "look at its disk: lariat doctor --dir DATA_DIR there");
  look.Say(look.Of("lariat_doubt_ranges") > 0, Grade::kBad,
           "it may lack records and refuses reads of some ranges until it was compared",
           "lariat repair --wait --node its address");
}

void CheckWork(const Look& look) {
  look.Say(look.Of("lariat_repair_ranges_dirty") > 0, Grade::kAdvice,
           fmt::format("{:.0f} of its ranges wait for a comparison",
                       look.Of("lariat_repair_ranges_dirty")),
           "lariat repair status");
  const double owed = look.Of("lariat_hints_pending_bytes");
  look.Say(owed > 0, Grade::kAdvice,
           fmt::format("it keeps {} of hints for others", BytesText(static_cast<uint64_t>(owed))),
           "start the nodes that are down; lariat repair status");
  const double most = look.Of("lariat_siblings_max");
  look.Say(most > kManySiblings, Grade::kAdvice, fmt::format("a key has {:.0f} values", most),
           "a client writes without the context of a read: docs/consistency.md");
  look.Say(look.Of("lariat_log_dropped_total") > 0, Grade::kAdvice, "it has dropped log lines",
           "what reads its standard error is stopped or too slow");
  look.Say(look.Of("lariat_clock_off") > 0, Grade::kBad,
           "it refuses lww and expiring writes: its clock is wrong", "NTP on its machine");
}

Findings CheckNode(const NodeLook& look) {
  Findings found;
  const auto say = [&](Grade grade, std::string says, std::string mend) {
    found.push_back({grade, look.name, std::move(says), std::move(mend)});
  };
  if (!FlagOf(look.status, "alive")) {
    say(Grade::kBad, "the others do not reach it",
        "start it; if its disk is lost: lariatd --replace " + look.name);
  } else if (!look.metrics) {
    say(Grade::kBad,
        fmt::format("it is not reached from here at {}: {}", look.address, look.problem),
        "advertise.http of that node, or a firewall");
  }
  if (const std::string twin = TextOf(look.status, "twin"); !twin.empty()) {
    say(Grade::kBad, "it runs twice, also at " + twin,
        "stop the copy: a data directory is one node");
  }
  const double ahead_s = NumberOf(look.status, "clock_offset_ms") / 1000;
  if (std::abs(ahead_s) > kClockWorthSayingS) {
    say(Grade::kAdvice, fmt::format("its clock is {:.2f} s off", ahead_s), "NTP on its machine");
  }
  if (look.ready)
    say(Grade::kBad, "it does not serve: " + Reasons(*look.ready), "lariat cluster why");
  if (look.metrics) {
    CheckStore({*look.metrics, look.name, found});
    CheckWork({*look.metrics, look.name, found});
  }
  if (found.empty()) say(Grade::kFine, "well", "");
  return found;
}

}  // namespace

Findings CheckNodes(const std::vector<NodeLook>& looks) {
  Findings all;
  for (const NodeLook& look : looks) {
    for (Finding& finding : CheckNode(look)) all.push_back(std::move(finding));
  }
  return all;
}

}  // namespace lariat::cli::watch

// SPDX-License-Identifier: Apache-2.0
#include "sim/run.h"

#include "sim/check/convergence.h"
#include "sim/check/healing.h"
#include "sim/check/reads.h"
#include "sim/check/topology.h"
#include "sim/check/writes.h"
#include "sim/faults/faults.h"
#include "sim/operator/operator.h"
#include "sim/traffic/traffic.h"

namespace lariat::sim {
namespace {

class Run {
 public:
  explicit Run(const RunRequest& request)
      : request_(request),
        options_(DrawOptions(*request.scenario, SeedOf("options"))),
        cluster_(options_, SeedOf("cluster"), request.bug, request.record_trace,
                 [this](const std::string& data_key, const std::string& record) {
                   dots_.OnRecord(data_key, record);
                 }),
        dots_(cluster_.scheduler(), report_) {}

  RunResult Go() {
    Faults faults(cluster_, history_, report_, SeedOf("early faults"), [](size_t) {});
    cluster_.StartAll();
    if (options_.faults_while_forming_ms > 0) {
      faults.Start();
      cluster_.RunFor(base::Millis(options_.faults_while_forming_ms));
      faults.Stop();
    }
    if (cluster_.Form()) {
      RunTraffic();
    } else {
      report_.Fail("forms", "", "the nodes do not become a cluster", cluster_.scheduler().Now());
    }
    return Result();
  }

 private:
  // Each part has its own numbers, whatever the others draw.
  uint64_t SeedOf(std::string_view part) const {
    return base::Hash64(part, base::Hash64(request_.scenario->name, request_.seed));
  }

  void RunTraffic() {
    Traffic traffic(cluster_, dots_, history_, report_, SeedOf("traffic"));
    Faults faults(cluster_, history_, report_, SeedOf("faults"),
                  [&traffic](size_t machine) { traffic.OnDown(machine); });
    Operator people(cluster_, faults, report_, SeedOf("operator"),
                    [this] { CheckHeld(cluster_, history_, dots_, &report_); });
    hints_.Start();
    traffic.Start();
    faults.Start();
    people.Start();
    const base::Instant end = cluster_.scheduler().Now() + base::Millis(options_.duration_ms);
    cluster_.scheduler().RunUntilTrue(
        [&] { return report_.failed() || people.Over() || cluster_.scheduler().Now() >= end; },
        base::Millis(options_.duration_ms), base::Millis(50));
    faults.Stop();
    people.Stop();
    traffic.Stop();
    if (!report_.failed() && options_.Changes()) people.Settle();
    Finish(&traffic);
  }

  uint64_t Removed() {
    uint64_t removed = 0;
    for (size_t i = 0; i < cluster_.size(); ++i)
      removed += cluster_.machine(i).disk().counts().removed;
    return removed;
  }

  void Finish(Traffic* traffic) {
    report_.Count("disk: records removed before the faults ended", Removed());
    for (size_t i = 0; i < cluster_.size(); ++i) cluster_.machine(i).SetWallOffset(0);
    if (!report_.failed() && !cluster_.Heal()) {
      report_.Fail("heals", "",
                   "the nodes do not find together after all faults have ended: " +
                       cluster_.WhyNotTogether() + cluster_.WhoIsBusy(),
                   cluster_.scheduler().Now());
    }
    const auto quiet = [&] { return traffic->Idle() && cluster_.Busy() == 0; };
    if (!report_.failed() &&
        !cluster_.scheduler().RunUntilTrue(quiet, base::Seconds(30), base::Millis(10))) {
      report_.Fail("heals", "", "a request is never answered", cluster_.scheduler().Now());
    }
    if (!report_.failed() && options_.Changes()) CheckTopology(cluster_, &report_);
    if (!report_.failed() && options_.heals_alone != 0) {
      CheckHealing(cluster_, traffic->keys(), &report_);
    }
    if (!report_.failed() && options_.cut_log_every_ms > 0) CheckDoubts(cluster_, &report_);
    if (options_.Damages()) CheckKept(cluster_, &report_);
    if (options_.Changes()) CheckDecided(cluster_, &report_);
    if (!report_.failed()) CheckConvergence(cluster_, *traffic, &report_);
    for (const auto& [key, history] : history_.keys) {
      if (options_.lww != 0) {
        CheckLwwReads(history, dots_, options_, &report_);
        CheckLinearizable(history, dots_, options_, &report_);
      } else {
        CheckSiblingReads(history, dots_, options_, &report_);
      }
    }
    CheckWrites(history_, dots_, options_, &report_);
  }

  RunResult Result() {
    const Network::Counts& net = cluster_.network().counts();
    report_.Count("messages: delivered", net.delivered);
    if (net.parts > 0) {
      report_.Count("messages: parts sent", net.parts);
      report_.Count("faults: connections ended by a gap", net.parts_refused);
    }
    report_.Count("faults: messages lost", net.lost + net.cut);
    report_.Count("faults: messages repeated", net.repeated);
    for (size_t i = 0; i < cluster_.size(); ++i) {
      const Disk::Counts& disk = cluster_.machine(i).disk().counts();
      report_.Count("faults: reads failed", disk.read_errors);
      report_.Count("faults: writes stalled or refused", disk.stalls);
      report_.Count("faults: disks nearly full", disk.fulls);
      report_.Count("disk: reads that missed memory", disk.misses);
    }
    report_.Count("disk: records removed", Removed());
    RunResult result;
    result.scenario = request_.scenario->name;
    result.seed = request_.seed;
    result.options = options_.Text();
    result.failures = report_.failures();
    result.tally = report_.tally();
    result.trace_hash = cluster_.trace().hash();
    result.events = cluster_.scheduler().events();
    result.virtual_time = cluster_.scheduler().Now().time_since_epoch();
    result.trace = cluster_.trace().lines();
    return result;
  }

  RunRequest request_;
  Options options_;
  Report report_;
  History history_;
  Cluster cluster_;
  DotRegistry dots_;
  HintWatch hints_{cluster_, report_};
};

}  // namespace

RunResult RunOne(const RunRequest& request) { return Run(request).Go(); }

}  // namespace lariat::sim

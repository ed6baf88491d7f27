// SPDX-License-Identifier: Apache-2.0
#include "sim/check/convergence.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/world/describe.h"
#include "storage/record.h"

namespace lariat::sim {
namespace {

constexpr base::Duration kConvergenceLimit = base::Seconds(10);
constexpr base::Duration kDoubtLimit = base::Seconds(60);
constexpr base::Duration kConvergenceLook = base::Millis(2);
constexpr int kAttempts = 5;

// Reads every key with all replicas, one after the other. False if one could not be read.
bool ReadEverything(Cluster& cluster, Traffic& traffic, Report* report) {
  const std::vector<size_t> members = cluster.Members();
  // Who may lack records is not read before it was compared.
  const auto sure = [&cluster, &members] {
    return std::none_of(members.begin(), members.end(), [&cluster](size_t i) {
      return cluster.machine(i).node().healing().InDoubt();
    });
  };
  cluster.scheduler().RunUntilTrue(sure, kDoubtLimit, kConvergenceLook);
  size_t turn = 0;
  for (const std::string& key : traffic.keys()) {
    bool read = false;
    for (int attempt = 0; attempt < kAttempts && !read; ++attempt) {
      bool answered = false;
      traffic.ReadAll(members[turn++ % members.size()], key, [&](bool ok) {
        answered = true;
        read = ok;
      });
      if (!cluster.scheduler().RunUntilTrue([&] { return answered; }, kConvergenceLimit,
                                            kConvergenceLook)) {
        report->Fail("heals", key, "a read is never answered", cluster.scheduler().Now());
        return false;
      }
      if (!read) cluster.RunFor(base::Millis(100));
    }
    if (read) continue;
    report->Fail("heals", key, "it cannot be read from all replicas after all faults have ended",
                 cluster.scheduler().Now());
    return false;
  }
  return true;
}

void CompareReplicas(Cluster& cluster, Traffic& traffic, Report* report) {
  for (const std::string& key : traffic.keys()) {
    std::optional<std::string> first;
    for (const size_t machine : cluster.Primaries(key)) {
      report->Count("checks: replicas compared");
      auto record =
          cluster.machine(machine).disk().GetBlocking(storage::Space::kData, cluster.DataKey(key));
      auto view = record ? storage::ParseRecord(*record) : base::Fail(record.error());
      const std::string object = view ? std::string(view->object) : "";
      if (!first) first = object;
      if (object == *first) continue;
      report->Fail("converges", key,
                   fmt::format("replicas differ after a read of all: {} and {}",
                               DescribeObject(*first), DescribeObject(object)),
                   cluster.scheduler().Now());
    }
  }
}

}  // namespace

void CheckConvergence(Cluster& cluster, Traffic& traffic, Report* report) {
  if (!ReadEverything(cluster, traffic, report)) return;
  CompareReplicas(cluster, traffic, report);
  const uint64_t repairs = cluster.ReadRepairs();
  if (!ReadEverything(cluster, traffic, report)) return;
  if (cluster.ReadRepairs() == repairs) return;
  report->Fail("converges", "", "a quiet cluster still makes read repairs",
               cluster.scheduler().Now());
}

}  // namespace lariat::sim

// SPDX-License-Identifier: Apache-2.0
#include "sim/check/topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "storage/record.h"

namespace lariat::sim {
namespace {

constexpr base::Duration kCleanLimit = base::Seconds(30);
constexpr base::Duration kAnswerLimit = base::Seconds(10);
constexpr base::Duration kTopologyLook = base::Millis(50);

// Whoever is no member answers no client, however little he asks for.
void CheckOutsider(Cluster& cluster, Machine& machine, Report* report) {
  report->Count("checks: outsiders asked");
  const auto fail = [&](const std::string& what) {
    report->Fail("serves", "", machine.Name() + ", which is no member, " + what,
                 cluster.scheduler().Now());
  };
  // Not ready because it is out, and not merely since it has not reached the others yet.
  const auto knows = [&] {
    return !machine.node().admin(0).Health().ready && !machine.node().WaitingFor().empty();
  };
  if (!cluster.scheduler().RunUntilTrue(knows, kAnswerLimit, kTopologyLook))
    fail("says that it is ready");
  bool answered = false, served = false;
  machine.Post(0, [&] {
    coordinator::GetRequest request{kBucket, "k0", {}};
    request.consistency.r = 1;
    machine.node().shard(0).coordinator().Get(
        std::move(request), [&](const base::Result<coordinator::GetReply>& reply) {
          answered = true;
          served = reply.has_value();
        });
  });
  if (!cluster.scheduler().RunUntilTrue([&] { return answered; }, kAnswerLimit, kTopologyLook)) {
    fail("never answers");
  }
  if (served) fail("answers a read");
}

// Replicas of a key stand in as many racks as there are, up to their number.
void CheckPlaces(Cluster& cluster, Report* report) {
  const auto view = cluster.Newest();
  const auto* bucket = view->FindBucket(kBucket);
  std::set<std::string> all;
  for (const membership::Member& member : view->topology.members) all.insert(member.rack);
  for (const membership::Member& member : view->topology.members) {
    for (const ring::Token token : member.tokens) {
      const auto replicas = view->ReplicasOf(token, *bucket).read;
      std::set<std::string> racks;
      for (const ring::NodeIndex i : replicas) racks.insert(view->MemberAt(i).rack);
      report->Count("checks: ranges placed");
      if (racks.size() >= std::min<size_t>(all.size(), replicas.size())) continue;
      report->Fail("placed", "",
                   fmt::format("{} replicas of a range stand in {} of {} racks", replicas.size(),
                               racks.size(), all.size()),
                   cluster.scheduler().Now());
      return;
    }
  }
}

}  // namespace

std::vector<Misplaced> FindMisplaced(Cluster& cluster) {
  std::vector<Misplaced> found;
  const auto view = cluster.Newest();
  const auto* bucket = view->FindBucket(kBucket);
  for (const size_t m : cluster.Members()) {
    Machine& machine = cluster.machine(m);
    const auto& data = machine.disk().Image()[static_cast<size_t>(storage::Space::kData)];
    for (const auto& [data_key, record] : data) {
      const auto parts = storage::ParseDataKey(data_key);
      if (!parts || parts->bucket != bucket->id) continue;
      const auto owners = cluster.MachinesOf(*view, view->ReplicasOf({parts->token}, *bucket).read);
      if (std::find(owners.begin(), owners.end(), m) != owners.end()) continue;
      // What was removed stays in the durable image until the next sync.
      if (!machine.disk().GetBlocking(storage::Space::kData, data_key)) continue;
      found.push_back({m, std::string(parts->key)});
    }
  }
  return found;
}

void CheckDecided(Cluster& cluster, Report* report) {
  std::map<uint64_t, std::map<uint64_t, std::string>> known;  // epoch, hash: first machine
  for (size_t i = 0; i < cluster.size(); ++i) {
    Machine& machine = cluster.machine(i);
    for (const auto& [epoch, hashes] : machine.disk().documents()) {
      report->Count("checks: documents", hashes.size());
      for (const uint64_t hash : hashes) known[epoch].emplace(hash, machine.Name());
    }
  }
  for (const auto& [epoch, documents] : known) {
    if (documents.size() == 1) continue;
    report->Fail(
        "decided", "",
        fmt::format("epoch {} was decided {} times: on {} and on {}", epoch, documents.size(),
                    documents.begin()->second, std::next(documents.begin())->second),
        cluster.scheduler().Now());
  }
}

void CheckTopology(Cluster& cluster, Report* report) {
  const auto newest = cluster.Newest();
  for (const membership::Finished& finished : newest->topology.finished) {
    report->Count(fmt::format("changes: {} {}", membership::ChangeKindText(finished.change.kind),
                              finished.done ? "done" : "cancelled"));
  }
  for (size_t i = 0; i < cluster.size(); ++i) {
    Machine& machine = cluster.machine(i);
    if (!machine.Running() || newest->topology.Find(*machine.Id()) != nullptr) continue;
    CheckOutsider(cluster, machine, report);
  }
  CheckPlaces(cluster, report);
  report->Count("checks: clean-ups");
  const auto clean = [&] { return FindMisplaced(cluster).empty(); };
  if (cluster.scheduler().RunUntilTrue(clean, kCleanLimit, kTopologyLook)) return;
  const std::vector<Misplaced> left = FindMisplaced(cluster);
  report->Fail("misplaced", left[0].key,
               fmt::format("m{} holds it and does not own it", left[0].machine + 1),
               cluster.scheduler().Now());
}

}  // namespace lariat::sim

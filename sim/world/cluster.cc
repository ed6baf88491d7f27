// SPDX-License-Identifier: Apache-2.0
#include "sim/world/cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "storage/record.h"

namespace lariat::sim {
namespace {

constexpr base::Duration kFormLimit = base::Seconds(60);
constexpr base::Duration kHealLimit = base::Seconds(30);
constexpr base::Duration kLook = base::Millis(10);
constexpr int64_t kConfirmMs = 300;

}  // namespace

Cluster::Cluster(const Options& options, uint64_t seed, Bug bug, bool recording,
                 Disk::OnRecord on_record)
    : options_(options), bug_(bug), trace_(recording) {
  base::Prng seeds(seed);
  network_ = std::make_unique<Network>(scheduler_, trace_, options_, base::Prng(seeds.Next()), bug);
  for (size_t i = 0; i < static_cast<size_t>(options_.MachinesMax()); ++i) {
    const Machine::World world{scheduler_, trace_, *network_, options_, bug_};
    machines_.push_back(std::make_unique<Machine>(world, static_cast<int>(i), MakeSettings(i),
                                                  seeds.Next(), on_record));
    network_->Add(*machines_.back());
  }
  for (const auto& machine : machines_) {
    const auto skew_us = seeds.Below(static_cast<uint64_t>(options_.clock_skew_ms) * 1000 + 1);
    machine->SetWallSkew(std::chrono::microseconds(skew_us));
  }
}

config::Settings Cluster::MakeSettings(size_t index) const {
  config::Settings s;
  s.node_name = "node" + std::to_string(index + 1);
  s.node_rack = "rack" + std::to_string(index % static_cast<size_t>(options_.racks) + 1);
  s.node_vnodes = options_.vnodes;
  for (int i = 0; i < options_.nodes; ++i) s.cluster_join.push_back(Network::AddressOf(i));
  s.request_timeout_ms = options_.request_timeout_ms;
  s.request_hedge_ms = options_.hedge_ms;
  s.limits_siblings = options_.siblings_max;
  s.limits_object_bytes = options_.object_bytes;
  s.limits_in_flight_requests = options_.in_flight_max;
  s.limits_replica_queue = options_.replica_queue;
  s.membership_gossip_period_ms = options_.gossip_ms;
  s.membership_confirm_ms = kConfirmMs;
  s.membership_drive_ms = options_.drive_ms;
  s.stream_parallel = options_.stream_parallel;
  s.hints_enabled = options_.hints != 0;
  s.hints_window_s = options_.hint_window_s;
  s.hints_max_bytes_per_target = options_.hint_target_bytes;
  s.hints_max_bytes_total = options_.hint_total_bytes;
  s.repair_enabled = options_.repair != 0;
  s.repair_interval_s = options_.repair_interval_s;
  s.repair_purge_interval_s = options_.purge_interval_s;
  s.repair_settle_ms = options_.settle_ms;
  s.repair_scrub_pause_s = 10;  // a run is short
  return s;
}

bool Cluster::BucketKnown() {
  for (int64_t m = 0; m < options_.nodes; ++m) {
    const auto& machine = machines_[static_cast<size_t>(m)];
    if (!machine->Running()) return false;
    for (uint32_t i = 0; i < machine->Shards(); ++i) {
      const auto& view = machine->node().shard(i).view();
      if (!view || view->FindBucket(kBucket) == nullptr) return false;
    }
  }
  return true;
}

void Cluster::StartAll() {
  for (size_t i = 0; i < static_cast<size_t>(options_.nodes); ++i) {
    scheduler_.After(base::Millis(static_cast<int64_t>(7 * i)),
                     [m = machines_[i].get()] { m->Start(); });
  }
}

std::string Cluster::WhyNotTogether() const {
  const auto newest = Newest();
  if (!newest) return "no cluster is formed";
  for (const auto& machine : machines_) {
    const bool member = machine->Id() && newest->topology.Find(*machine->Id()) != nullptr;
    if (member && !machine->SeesAll()) return machine->Name() + " does not see all";
    if (member && machine->View()->digest != newest->digest) {
      return machine->Name() + " has another document";
    }
  }
  return "";
}

bool Cluster::FirstAreMembers() const {
  const auto newest = Newest();
  return newest && newest->ring.size() == static_cast<size_t>(options_.nodes);
}

bool Cluster::Form() {
  const base::Instant end = scheduler_.Now() + 2 * kFormLimit;
  const auto formed = [this] { return FirstAreMembers() && AllSeeAll(); };
  if (!scheduler_.RunUntilTrue(formed, kFormLimit, kLook)) return false;
  membership::BucketProperties bucket;
  bucket.name = kBucket;
  bucket.n = static_cast<uint32_t>(options_.n);
  bucket.r = static_cast<uint32_t>(options_.r);
  bucket.w = static_cast<uint32_t>(options_.w);
  bucket.allow_eventual = bucket.Eventual();
  bucket.sloppy = options_.sloppy != 0;
  bucket.gc_grace_s = static_cast<uint64_t>(options_.gc_grace_s);
  bucket.read_repair = static_cast<uint32_t>(options_.read_repair);
  bucket.conflict = options_.lww != 0 ? causal::Kind::kLww : causal::Kind::kSiblings;
  while (!BucketKnown()) {
    if (scheduler_.Now() > end) return false;
    machines_[0]->Post(0, [this, bucket] {
      machines_[0]->node().shard(0).coordinator().SetBucket(bucket, {}, [](const base::Status&) {});
    });
    scheduler_.RunUntilTrue([this] { return BucketKnown(); }, base::Seconds(3), kLook);
  }
  return true;
}

void Cluster::EndFaults() {
  network_->Heal();
  for (const auto& machine : machines_) {
    machine->disk().Heal();
    if (machine->Running() && machine->disk().health() == storage::Health::kDead) {
      machine->Stop(true);
    }
    if (machine->Running() && machine->disk().damaged()) machine->Stop(false);
    if (!machine->Running() && machine->Wanted()) machine->Start();
  }
}

bool Cluster::Heal() {
  EndFaults();
  if (!scheduler_.RunUntilTrue([this] { return AllSeeAll(); }, kHealLimit, kLook)) return false;
  // What is still under way has its time-outs: a request reads, then writes.
  return scheduler_.RunUntilTrue([this] { return Busy() == 0; },
                                 base::Millis(3 * options_.request_timeout_ms) + base::Seconds(5),
                                 kLook);
}

// --- who holds what ----------------------------------------------------------------------------

std::shared_ptr<const membership::View> Cluster::Newest() const {
  std::shared_ptr<const membership::View> newest;
  for (const auto& machine : machines_) {
    auto view = machine->View();
    if (view && (!newest || view->topology.epoch > newest->topology.epoch)) newest = view;
  }
  return newest;
}

std::vector<std::shared_ptr<const membership::View>> Cluster::InUse() const {
  std::vector<std::shared_ptr<const membership::View>> views;
  const auto newest = Newest();
  if (!newest) return views;
  for (const auto& machine : machines_) {
    auto view = machine->View();
    if (!view || newest->topology.Find(*machine->Id()) == nullptr) continue;
    if (newest->topology.IsGone(*machine->Id())) continue;
    const membership::Member& self = view->MemberAt(view->self);
    if (self.tokens.empty() && self.next_tokens.empty()) continue;
    const bool known = std::any_of(views.begin(), views.end(), [&view](const auto& other) {
      return other->topology.epoch == view->topology.epoch;
    });
    if (!known) views.push_back(std::move(view));
  }
  return views;
}

std::vector<size_t> Cluster::Members() const {
  std::vector<size_t> members;
  const auto newest = Newest();
  for (size_t i = 0; newest && i < machines_.size(); ++i) {
    const Machine& machine = *machines_[i];
    if (machine.Running() && newest->topology.Find(*machine.Id()) != nullptr) members.push_back(i);
  }
  return members;
}

std::optional<size_t> Cluster::MachineOf(const base::Uuid& id) const {
  for (size_t i = 0; i < machines_.size(); ++i) {
    if (machines_[i]->Id() == id) return i;
  }
  return std::nullopt;
}

std::vector<size_t> Cluster::MachinesOf(const membership::View& view,
                                        const std::vector<ring::NodeIndex>& replicas) const {
  std::vector<size_t> found;
  for (const ring::NodeIndex i : replicas) {
    if (const auto machine = MachineOf(view.MemberAt(i).id)) found.push_back(*machine);
  }
  return found;
}

std::vector<size_t> Cluster::Primaries(const std::string& key) const {
  const auto view = Newest();
  LARIAT_CHECK(view != nullptr, "the cluster was formed");
  const auto* bucket = view->FindBucket(kBucket);
  LARIAT_CHECK(bucket != nullptr, "the cluster was formed with its bucket");
  return MachinesOf(*view, view->ReplicasOf(ring::TokenOf(key), *bucket).read);
}

void Cluster::NoteLeavers() {
  const auto views = InUse();
  for (size_t i = 0; i < machines_.size(); ++i) {
    const auto& id = machines_[i]->Id();
    const bool left =
        id && !views.empty() && std::all_of(views.begin(), views.end(), [&id](const auto& view) {
          return view->topology.FindRemoved(*id) != nullptr;
        });
    if (left) left_since_.try_emplace(i, scheduler_.Now());
  }
}

bool Cluster::HadLeft(size_t machine, base::Instant when) const {
  const auto found = left_since_.find(machine);
  return found != left_since_.end() && found->second < when;
}

std::string Cluster::DataKey(const std::string& key) const {
  return storage::DataKey(membership::BucketIdOf(kBucket), ring::TokenOf(key).value, key);
}

uint64_t Cluster::ReadRepairs() {
  uint64_t repairs = 0;
  for (const auto& machine : machines_) {
    for (uint32_t i = 0; machine->Running() && i < machine->Shards(); ++i) {
      repairs += machine->node().shard(i).metrics().read_repairs.value();
    }
  }
  return repairs;
}

std::string Cluster::WhoIsBusy() {
  std::string text;
  for (const auto& machine : machines_) {
    if (!machine->Running()) continue;
    for (uint32_t i = 0; i < machine->Shards(); ++i) {
      node::Shard& shard = machine->node().shard(i);
      if (shard.Busy() == 0) continue;
      const size_t requests = shard.coordinator().InFlight();
      text += fmt::format("; shard {} of {}: {} requests in work, {} writes wait", i,
                          machine->Name(), requests, shard.Busy() - requests);
    }
  }
  return text;
}

size_t Cluster::Busy() {
  size_t busy = 0;
  for (const auto& machine : machines_) {
    if (!machine->Running()) continue;
    for (uint32_t i = 0; i < machine->Shards(); ++i) {
      busy += machine->node().shard(i).Busy();
    }
  }
  return busy;
}

}  // namespace lariat::sim

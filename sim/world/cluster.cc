// SPDX-License-Identifier: Apache-2.0
#include "sim/world/cluster.h"

#include <utility>

#include "base/check.h"
#include "storage/record.h"

namespace lariat::sim {
namespace {

constexpr base::Duration kFormLimit = base::Seconds(60);
constexpr base::Duration kHealLimit = base::Seconds(30);
constexpr base::Duration kLook = base::Millis(10);

}  // namespace

Cluster::Cluster(const Options& options, uint64_t seed, Bug bug, bool recording,
                 Disk::OnRecord on_record)
    : options_(options), bug_(bug), trace_(recording) {
  base::Prng seeds(seed);
  network_ = std::make_unique<Network>(scheduler_, trace_, options_, base::Prng(seeds.Next()), bug);
  for (size_t i = 0; i < static_cast<size_t>(options_.nodes); ++i) {
    const Machine::World world{scheduler_, trace_, *network_, options_, bug_};
    machines_.push_back(std::make_unique<Machine>(world, static_cast<int>(i), MakeSettings(i),
                                                  seeds.Next(), on_record));
    network_->Add(*machines_.back());
  }
}

config::Settings Cluster::MakeSettings(size_t index) const {
  config::Settings s;
  s.node_name = "node" + std::to_string(index + 1);
  s.node_vnodes = options_.vnodes;
  for (int i = 0; i < options_.nodes; ++i) s.cluster_join.push_back(Network::AddressOf(i));
  s.request_timeout_ms = options_.request_timeout_ms;
  s.request_hedge_ms = options_.hedge_ms;
  s.limits_siblings = options_.siblings_max;
  s.limits_in_flight_requests = options_.in_flight_max;
  s.limits_replica_queue = options_.replica_queue;
  s.membership_gossip_period_ms = options_.gossip_ms;
  // Beats have to come more often than peers are given up.
  s.membership_dead_after_ms = std::max(options_.dead_after_ms, 3 * options_.gossip_ms);
  return s;
}

bool Cluster::BucketKnown() {
  for (const auto& machine : machines_) {
    if (!machine->Running()) return false;
    for (uint32_t i = 0; i < machine->Shards(); ++i) {
      const auto& view = machine->node().shard(i).view();
      if (!view || view->FindBucket(kBucket) == nullptr) return false;
    }
  }
  return true;
}

void Cluster::StartAll() {
  for (size_t i = 0; i < machines_.size(); ++i) {
    scheduler_.After(base::Millis(static_cast<int64_t>(7 * i)),
                     [m = machines_[i].get()] { m->Start(); });
  }
}

bool Cluster::AllSeeAll() const {
  for (const auto& machine : machines_) {
    if (!machine->SeesAll()) return false;
  }
  return true;
}

bool Cluster::Form() {
  const base::Instant end = scheduler_.Now() + 2 * kFormLimit;
  if (!scheduler_.RunUntilTrue([this] { return AllSeeAll(); }, kFormLimit, kLook)) return false;
  membership::BucketProperties bucket;
  bucket.name = kBucket;
  bucket.n = static_cast<uint32_t>(options_.n);
  bucket.r = static_cast<uint32_t>(options_.r);
  bucket.w = static_cast<uint32_t>(options_.w);
  bucket.allow_eventual = bucket.Eventual();
  bucket.conflict = options_.lww != 0 ? causal::Kind::kLww : causal::Kind::kSiblings;
  while (!BucketKnown()) {
    if (scheduler_.Now() > end) return false;
    machines_[0]->Post(0, [this, bucket] {
      machines_[0]->node().shard(0).coordinator().SetBucket(bucket, [](const base::Status&) {});
    });
    scheduler_.RunUntilTrue([this] { return BucketKnown(); }, base::Seconds(3), kLook);
  }
  view_ = machines_[0]->node().shard(0).view();
  return true;
}

bool Cluster::Heal() {
  network_->Heal();
  for (const auto& machine : machines_) {
    machine->disk().Heal();
    if (machine->Running() && machine->disk().health() == storage::Health::kDead) {
      machine->Stop(true);
    }
    if (!machine->Running()) machine->Start();
  }
  if (!scheduler_.RunUntilTrue([this] { return AllSeeAll(); }, kHealLimit, kLook)) return false;
  // What is still under way has its time-outs: a request reads, then writes.
  return scheduler_.RunUntilTrue(
      [this] { return Busy() == 0; },
      base::Millis(3 * options_.request_timeout_ms + options_.dead_after_ms) + base::Seconds(3),
      kLook);
}

const std::vector<size_t>& Cluster::Primaries(const std::string& key) {
  const auto known = primaries_.find(key);
  if (known != primaries_.end()) return known->second;
  LARIAT_CHECK(view_ != nullptr, "the cluster was formed");
  std::vector<size_t> found;
  const auto n = static_cast<uint32_t>(options_.n);
  for (const ring::NodeIndex i : view_->ring.Primaries(ring::TokenOf(key), n).primaries) {
    for (size_t m = 0; m < machines_.size(); ++m) {
      if (view_->MemberAt(i).peer == Network::AddressOf(static_cast<int>(m))) found.push_back(m);
    }
  }
  return primaries_[key] = std::move(found);
}

std::string Cluster::DataKey(const std::string& key) const {
  return storage::DataKey(membership::BucketIdOf(kBucket), ring::TokenOf(key).value, key);
}

uint64_t Cluster::ReadRepairs() {
  uint64_t repairs = 0;
  for (const auto& machine : machines_) {
    for (uint32_t i = 0; i < machine->Shards(); ++i) {
      repairs += machine->node().shard(i).metrics().read_repairs.value();
    }
  }
  return repairs;
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

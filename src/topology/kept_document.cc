// SPDX-License-Identifier: Apache-2.0
#include "topology/kept_document.h"

#include <algorithm>
#include <utility>

#include "base/gather.h"

namespace lariat::topology {

using base::Code;
using base::Fail;
using membership::Topology;
using telemetry::LogLevel;

namespace {

constexpr base::Duration kStalledAgain = base::Millis(10);
constexpr base::Duration kStoreAgain = base::Seconds(1);

}  // namespace

KeptDocument::KeptDocument(World world, const membership::FormationCore& core,
                           TopologyRecord& record, Ports ports, std::optional<Topology> stored)
    : world_(world),
      core_(core),
      record_(record),
      ports_(std::move(ports)),
      durable_(std::move(stored)) {}

void KeptDocument::Adopt(StatusDone done) {
  const Topology& now = *core_.topology();
  record_.PutDocument(now, [this, topology = now, number = ++adoptions_,
                            done = std::move(done)](const base::Status& status) mutable {
    if (!status) return AdoptLater(std::move(done), status.error());
    if (number < adopted_) return done({});  // a newer one was faster
    adopted_ = number;
    durable_ = topology;
    if (ports_.unconfirmed()) return done({});
    if (!was_formed_) {
      was_formed_ = true;
      world_.log.Log(LogLevel::kInfo, "cluster", "member of cluster {} with {} node(s), epoch {}",
                     topology.cluster.ToString(), topology.members.size(), topology.epoch);
    }
    Publish(std::move(topology), std::move(done));
  });
}

void KeptDocument::Publish(Topology topology, StatusDone done) {
  const uint64_t fence = topology.fence;
  auto view = membership::MakeView(std::move(topology), world_.home.self().id);
  ports_.publish(std::move(view),
                 [this, fence, done = std::move(done)](const base::Status& status) mutable {
                   fence_ = std::max(fence_, fence);
                   done(status);
                 });
}

bool KeptDocument::Durable() const {
  return core_.topology() != nullptr && durable_ &&
         membership::EncodeTopology(*core_.topology()) == membership::EncodeTopology(*durable_);
}

// What is known in memory has to reach the disk and the shards, however long the engine refuses.
void KeptDocument::AdoptLater(StatusDone done, const base::Error& error) {
  if (error.code == Code::kStalled) {
    world_.home.env().timers.After(
        kStalledAgain, [this, done = std::move(done)]() mutable { Adopt(std::move(done)); });
    return;
  }
  world_.log.Log(LogLevel::kError, "cluster", "the topology document cannot be stored: {}",
                 error.message);
  done(Fail(error));
  if (world_.engine.health() == storage::Health::kDead) return;
  world_.home.env().timers.After(kStoreAgain, [this] { Adopt([](const base::Status&) {}); });
}

void KeptDocument::AdoptAndSpread(StatusDone done) {
  Adopt([this, done = std::move(done)](const base::Status& status) mutable {
    if (status) Spread([](const base::Status&) {});
    done(status);
  });
}

void KeptDocument::Spread(StatusDone done) {
  const base::Gather<base::Status> gather({}, std::move(done));
  if (world_.home.view() && durable_) {
    const wire::DocumentPush push{membership::EncodeTopology(*durable_)};
    for (ring::NodeIndex i = 0; i < world_.home.view()->ring.size(); ++i) {
      const auto peer = world_.home.peers().PeerOf(i);
      if (!peer || !world_.home.peers().IsAlive(i)) continue;
      gather.Expect();
      world_.home.peers().Call(*peer, push, kClusterTimeout,
                               [gather](const base::Result<wire::Body>&) { gather.Arrive(); });
    }
  }
  gather.Arrive();
}

}  // namespace lariat::topology

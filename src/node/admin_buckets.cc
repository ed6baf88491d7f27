// SPDX-License-Identifier: Apache-2.0
// The part of NodeAdmin that is about deleted buckets, and about what all builds in the cluster can
// do.
#include <utility>

#include "membership/upgrade/feature_level.h"
#include "node/admin.h"

namespace lariat::node {

using base::Fail;
using membership::DeletedBucket;
using membership::Topology;

void NodeAdmin::DeleteBucket(std::string bucket, coordinator::Caller /*caller*/,
                             coordinator::TicketDone done) {
  node_.Propose(
      [&node = node_, bucket](const Topology& now) {
        return membership::DeleteBucket(now, bucket, node.Asked());
      },
      shard_,
      [bucket, done = std::move(done)](const base::Result<Topology>& result) mutable {
        if (!result) return done(Fail(result.error()));
        const DeletedBucket& deleted = result->deleted.back();
        done(coordinator::ChangeTicket{deleted.number, true,
                                       "bucket '" + bucket + "' is deleted; its data follows"});
      });
}

void NodeAdmin::FinalizeUpgrade(coordinator::Caller /*caller*/, coordinator::StatusDone done) {
  node_.Propose(
      [&node = node_](const Topology& now) {
        return membership::FinalizeUpgrade(now, node.Asked().level);
      },
      shard_,
      [done = std::move(done)](const base::Result<Topology>& result) mutable {
        if (!result) return done(Fail(result.error()));
        done({});
      });
}

std::optional<uint32_t> NodeAdmin::FeatureLevelOf(const membership::Member& member) const {
  const auto& view = shard_.view();
  if (member.id == view->MemberAt(view->self).id) return node_.options().feature_level;
  const auto seen = node_.notices().peers_seen();
  if (!seen) return std::nullopt;
  const auto peer = seen->peers.find(member.Number());
  if (peer == seen->peers.end() || !peer->second.heard) return std::nullopt;
  return peer->second.states.feature_level;
}

std::string NodeAdmin::Upgrade() const {
  const auto told = [this](const base::Uuid& id) {
    return FeatureLevelOf(*shard_.view()->topology.Find(id));
  };
  return membership::WhyNotFinalized(shard_.view()->topology, told);
}

coordinator::TaskStatus NodeAdmin::DeletionOf(const DeletedBucket& deleted) const {
  coordinator::OperationStatus progress;
  progress.task = deleted.number;
  progress.kind = "delete_bucket";
  progress.node = deleted.name;
  progress.phase = "delete";
  progress.started_ms = deleted.asked_ms;
  const auto& view = shard_.view();
  const healing::DeletedBuckets& here = node_.healing().deleted();
  const auto seen = node_.notices().peers_seen();
  const auto done_by = [&](const membership::Member& member) {
    if (member.id == view->MemberAt(view->self).id) return here.done();
    const auto peer = seen ? seen->peers.find(member.Number()) : decltype(seen->peers.end()){};
    return seen && peer != seen->peers.end() ? peer->second.states.deleted_buckets : 0;
  };
  for (const membership::Member& member : view->topology.members) {
    if (member.given_up) continue;
    ++progress.ranges_total;
    if (done_by(member) >= deleted.number) {
      ++progress.ranges_done;
    } else if (progress.waiting_for.empty()) {
      progress.waiting_for = "node '" + member.name + "' has yet to remove what it stores";
    }
  }
  progress.keys_done = here.removed().records;
  progress.bytes_done = here.removed().bytes;
  coordinator::TaskStatus task;
  task.task = deleted.number;
  task.kind = progress.kind;
  task.node = deleted.name;
  task.state = progress.ranges_done == progress.ranges_total ? "done" : "running";
  task.asked_ms = deleted.asked_ms;
  if (task.state == "running") task.progress = progress;
  return task;
}

}  // namespace lariat::node

// SPDX-License-Identifier: Apache-2.0
#include "node/shard/coordinator_ports.h"

#include <utility>

#include "base/check.h"
#include "peers/reply.h"

namespace lariat::node {

using base::Code;
using peers::PeerHandle;

namespace {

// Many requests may be refused at once; one exchange of documents helps them all.
constexpr base::Duration kReconcilePause = base::Millis(20);

tl::unexpected<base::Error> NoMember() {
  return base::Fail(Code::kStaleEpoch, "the node is not a member any more");
}

// Why there is none is the reply's outcome.
template <typename Reply>
Reply ReplyOf(base::Result<wire::Body>&& body) {
  auto given = peers::ReplyIn<Reply>(std::move(body));
  if (given) return std::move(*given);
  Reply reply;
  reply.outcome = wire::Outcome::From(given.error());
  return reply;
}

}  // namespace

template <typename Reply, typename Request, typename Done>
void CoordinatorPorts::Ask(const coordinator::Destination& to, Request&& request, Done&& done) {
  const std::optional<PeerHandle> peer = world_.peers.PeerIn(to.view, to.node);
  if (!peer) return done(ReplyOf<Reply>(NoMember()));
  world_.peers.Send(*peer, {0, to.view.fence(), std::move(request)}, to.timeout,
                    [done = std::move(done)](base::Result<wire::Body>&& body) mutable {
                      done(ReplyOf<Reply>(std::move(body)));
                    });
}

void CoordinatorPorts::Read(const coordinator::Destination& to, wire::ReadRequest&& request,
                            ReadDone done) {
  if (to.node == to.view.self) {
    return world_.records.Read(std::move(request), to.view.fence(), std::move(done));
  }
  Ask<wire::ReadReply>(to, std::move(request), std::move(done));
}

void CoordinatorPorts::Write(const coordinator::Destination& to, wire::WriteRequest&& request,
                             WriteDone done) {
  if (to.node == to.view.self) {
    return world_.records.Write(std::move(request), to.view.fence(), std::move(done));
  }
  Ask<wire::WriteReply>(to, std::move(request), std::move(done));
}

void CoordinatorPorts::Scan(const coordinator::Destination& to, wire::ScanRequest&& request,
                            ScanDone done) {
  if (to.node == to.view.self) {
    return world_.records.Scan(std::move(request), to.view.fence(), std::move(done));
  }
  const std::optional<PeerHandle> peer = world_.peers.PeerIn(to.view, to.node);
  if (peer && !world_.peers.TakesScans(*peer)) {
    return done({{Code::kUnsupported, "node '" + to.view.MemberAt(to.node).name +
                                          "' is of a build without lists, or cannot be reached"}});
  }
  Ask<wire::ScanReply>(to, std::move(request), std::move(done));
}

void CoordinatorPorts::Forward(const coordinator::Destination& to, wire::ForwardedWrite request,
                               ForwardDone done) {
  LARIAT_CHECK(to.node != to.view.self, "a write is forwarded to another node");
  using Reply = wire::ForwardedWriteReply;
  const std::optional<PeerHandle> peer = world_.peers.PeerIn(to.view, to.node);
  if (!peer) return done(ReplyOf<Reply>(NoMember()));
  // Co-owned by the callback while the request is under way; here what was not sent is told.
  auto shared = std::make_shared<ForwardDone>(std::move(done));
  peers::Calls::Done back = [shared](base::Result<wire::Body> body) {
    (*shared)(ReplyOf<Reply>(std::move(body)));
  };
  const auto sent =
      world_.peers.TrySend(*peer, {0, to.view.fence(), std::move(request)}, to.timeout, &back);
  if (!sent) (*shared)(base::Fail(sent.error()));
}

void CoordinatorPorts::Update(coordinator::UpdateRequest&& request, UpdateDone updated,
                              DurableDone durable) {
  world_.records.Update(std::move(request), std::move(updated), std::move(durable));
}

void CoordinatorPorts::Owe(const membership::View& view, ring::NodeIndex node,
                           coordinator::OwedKey key) {
  world_.records.Owe(view, node, std::move(key));
}

bool CoordinatorPorts::IsAlive(const membership::View& view, ring::NodeIndex node) const {
  return world_.peers.IsAlive(view, node);
}

bool CoordinatorPorts::IsPreferred(const membership::View& view, ring::NodeIndex node) const {
  return !world_.peers.liveness().IsDraining(view.MemberAt(node).Number());
}

// --- the cluster -------------------------------------------------------------------------------

void CoordinatorPorts::SetBucket(membership::BucketProperties bucket, ShardHost::StatusDone done) {
  world_.host.SetBucket(std::move(bucket), world_.queue, std::move(done));
}

void CoordinatorPorts::Seal(ShardHost::StatusDone done) {
  world_.host.Seal(world_.queue, std::move(done));
}

void CoordinatorPorts::Reconcile(std::shared_ptr<const membership::View> view,
                                 ring::NodeIndex node) {
  const auto peer = world_.peers.PeerIn(*view, node);
  const base::Instant now = world_.clock.Now();
  const uint64_t number = view->MemberAt(node).Number();
  if (!peer || now - reconciled_[number] < kReconcilePause) return;
  reconciled_[number] = now;
  world_.host.ExchangeDocuments(number, shard_);
}

}  // namespace lariat::node

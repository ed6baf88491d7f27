// SPDX-License-Identifier: Apache-2.0
#include "node/shard/peer_requests.h"

#include <utility>

namespace lariat::node {

using base::Code;
using base::Fail;
using peers::LinkId;

namespace {

constexpr size_t kForwardsRemembered = 65536;

}  // namespace

base::Status PeerRequests::CheckSender(const base::Uuid& from,
                                       const wire::Envelope& request) const {
  if (!aside_.empty()) return Fail(Code::kUnavailable, aside_);
  // It will have that topology soon.
  if (!world_.peers.view()) return world_.records.CheckFence(request.epoch);
  // Whoever still counts on this node has yet to hear it, and can do without it then.
  if (expelled_) return Fail(Code::kStaleEpoch, "the node is out of the cluster");
  if (world_.peers.IsMember(from)) return {};
  // Another topology may have other members.
  if (auto status = world_.records.CheckFence(request.epoch); !status) return status;
  return Fail(Code::kConflict, "the sender is not a member of this cluster");
}

template <typename Reply>
void PeerRequests::Answer(LinkId link, uint64_t id, Reply&& reply) {
  const auto& view = world_.peers.view();
  world_.metrics.peer_messages_sent.Add();
  world_.transport.Reply(link, {id, view ? view->fence() : 0, std::forward<Reply>(reply)});
}

bool PeerRequests::FirstForward(const base::Uuid& from, uint64_t id) {
  const std::pair<uint64_t, uint64_t> mark{from.high, id};
  if (!forwards_.insert(mark).second) return false;
  forwards_order_.push_back(mark);
  if (forwards_order_.size() > kForwardsRemembered) {
    forwards_.erase(forwards_order_.front());
    forwards_order_.pop_front();
  }
  return true;
}

void PeerRequests::OnRequest(const base::Uuid& from, LinkId link, wire::Envelope&& request) {
  world_.metrics.peer_messages_received.Add();
  const uint64_t id = request.id;
  const auto answer = [this, link, id](auto&& reply) {
    Answer(link, id, std::forward<decltype(reply)>(reply));
  };
  const auto refused = [](const base::Status& why, auto reply) {
    reply.outcome = wire::Outcome::From(why.error());
    return reply;
  };
  if (auto* read = std::get_if<wire::ReadRequest>(&request.body)) {
    const base::Status welcome = CheckSender(from, request);
    if (!welcome) return answer(refused(welcome, wire::ReadReply{}));
    return world_.records.Read(std::move(*read), request.epoch, answer);
  }
  if (auto* write = std::get_if<wire::WriteRequest>(&request.body)) {
    const base::Status welcome = CheckSender(from, request);
    if (!welcome) return answer(refused(welcome, wire::WriteReply{}));
    // A copy of an accept might be refused although the first one was not, and hide that.
    const bool accept = causal::Object::IsAgreed(write->object);
    if (accept && !FirstForward(from, id)) return;
    return world_.records.Write(std::move(*write), request.epoch, answer);
  }
  if (auto* forwarded = std::get_if<wire::ForwardedWrite>(&request.body)) {
    const base::Status welcome = CheckSender(from, request);
    if (!welcome) return answer(refused(welcome, wire::ForwardedWriteReply{}));
    // Before the fence: the copy of a refused message may come when the fence fits.
    if (!FirstForward(from, id)) return;
    const base::Status same = world_.records.CheckFence(request.epoch);
    if (!same) return answer(refused(same, wire::ForwardedWriteReply{}));
    return world_.coordinator.OnForwarded(std::move(*forwarded), answer);
  }
  if (auto* scan = std::get_if<wire::ScanRequest>(&request.body)) {
    const base::Status welcome = CheckSender(from, request);
    if (!welcome) return answer(refused(welcome, wire::ScanReply{}));
    return world_.records.Scan(std::move(*scan), request.epoch, answer);
  }
  if (std::holds_alternative<wire::Heartbeat>(request.body)) {
    // As the clock itself says: each member's is one vote.
    return answer(wire::HeartbeatReply{world_.clock.judged().OwnMicros() / 1000});
  }
  ServeCluster(from, link, std::move(request));
}

// A stranger of this cluster (the handshake told) may ask to join, and show a document: it may be
// a member of a newer one, or has to learn that it is a member no more.
void PeerRequests::ServeCluster(const base::Uuid& from, LinkId link, wire::Envelope&& request) {
  const uint64_t id = request.id;
  const bool open = std::holds_alternative<wire::JoinRequest>(request.body) ||
                    std::holds_alternative<wire::DocumentPush>(request.body) ||
                    std::holds_alternative<wire::RegisterRequest>(request.body);
  const bool stranger = world_.peers.view() && !world_.peers.IsMember(from);
  if (!open && stranger) {
    return Answer(link, id,
                  wire::DocumentReply{{Code::kConflict, "the sender is not a member"}, ""});
  }
  world_.host.OnClusterRequest(
      {from, request.epoch, std::move(request.body), shard_}, [this, link, id](wire::Body body) {
        if (shard_ == 0) return Answer(link, id, std::move(body));
        world_.queue.Post([this, link, id, body = std::move(body)]() mutable {
          Answer(link, id, std::move(body));
        });
      });
}

}  // namespace lariat::node

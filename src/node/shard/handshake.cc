// SPDX-License-Identifier: Apache-2.0
#include "node/shard/handshake.h"

#include <string>
#include <utility>

namespace lariat::node {

using base::Code;

// Known before the first view: a node that is still asking whether it is a member must not pass for
// one that belongs nowhere.
base::Uuid Handshake::ClusterId() const {
  const auto& view = peers_.view();
  return view ? view->topology.cluster : stored_cluster_;
}

wire::Hello Handshake::MakeHello() const {
  const peers::Self& self = peers_.self();
  wire::Hello hello;
  hello.protocol = 1;
  hello.node = self.id;
  hello.cluster = ClusterId();
  hello.name = self.name;
  hello.peer_address = self.address;
  hello.shard = shard_;
  host_.past().FillHello(&hello);
  return hello;
}

wire::HelloReply Handshake::OnHello(const wire::Hello& hello) {
  wire::HelloReply reply;
  reply.protocol = 1;
  reply.node = peers_.self().id;
  reply.cluster = ClusterId();
  reply.name = peers_.self().name;
  reply.takes_scans = true;
  const auto refuse = [&](Code code, std::string why) {
    reply.outcome = {code, std::move(why)};
    return reply;
  };
  if (hello.protocol < 1) return refuse(Code::kInvalidArgument, "unknown protocol version");
  if (!hello.cluster.IsNil() && !reply.cluster.IsNil() && hello.cluster != reply.cluster) {
    metrics_.peer_refused[telemetry::PeerRefusal::kOtherCluster].Add();
    return refuse(Code::kConflict, "node '" + reply.name + "' belongs to cluster " +
                                       reply.cluster.ToString() + ", you to " +
                                       hello.cluster.ToString());
  }
  if (auto status = host_.past().OnHello(hello, &reply); !status) {
    return refuse(status.error().code, status.error().message);
  }
  return reply;
}

base::Status Handshake::OnHelloReply(peers::PeerHandle peer, const wire::HelloReply& reply) {
  peers_.NoteScans(peer, reply.takes_scans);
  const std::string* address = peers_.AddressOf(peer);
  if (address == nullptr) return {};
  return host_.past().OnHelloReply(*address, reply);
}

void Handshake::OnRefused(peers::PeerHandle peer, const wire::HelloReply& answer) {
  // Another process with this node's identity is not this node.
  const wire::Hello own = MakeHello();
  peers_.OnRefused(peer, answer, answer.node == own.node && answer.run != own.run);
}

}  // namespace lariat::node

// SPDX-License-Identifier: Apache-2.0
// Messages between shards of different nodes. peer_links.h makes it real over TCP streams; the
// simulator has its own. One transport and one PeerEvents for each shard, on the shard's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_function.h"
#include "base/uuid.h"
#include "wire/messages.h"

namespace lariat::peers {

using PeerHandle = uint32_t;  // a peer that we send requests to
using LinkId = uint64_t;      // where a request came from, for its reply

class PeerTransport {
 public:
  virtual ~PeerTransport() = default;
  // Keeps a connection to the address, with back-off, until Close. `expected`: refuse any other
  // node.
  virtual PeerHandle Open(const std::string& address, std::optional<base::Uuid> expected) = 0;
  virtual void Close(PeerHandle peer) = 0;
  // Why there is no connection, for people; empty if there is one, or while it is first tried.
  virtual std::string Trouble(PeerHandle /*peer*/) const { return ""; }
  // The numeric addresses that an address stands for now. May call back before it returns.
  using Resolved = base::UniqueFunction<void(base::Result<std::vector<std::string>>)>;
  virtual void Resolve(const std::string& address, Resolved done) {
    done(std::vector<std::string>{address});
  }
  // An error: certainly not sent. kUnavailable: no connection, or too much is waiting for the peer;
  // kTooLarge: the peer takes no message that large, and what is sent after it is not affected.
  virtual base::Status Send(PeerHandle peer, wire::Envelope&& request) = 0;
  // Dropped if the link is gone. One that is too large is replaced by one that says so.
  virtual void Reply(LinkId link, wire::Envelope&& reply) = 0;
};

class PeerEvents {
 public:
  virtual ~PeerEvents() = default;
  // Handshake: what we say of ourselves, and what we think of who calls.
  virtual wire::Hello MakeHello() const = 0;
  virtual wire::HelloReply OnHello(const wire::Hello& hello) = 0;
  // The connection to a peer is ready / gone. Requests without a reply get none any more.
  virtual void OnPeerUp(PeerHandle peer, const base::Uuid& node) = 0;
  virtual void OnPeerDown(PeerHandle peer, const base::Error& why) = 0;
  // What the peer said in the handshake, refusals too; before OnPeerUp or OnRefused. An error: this
  // node does not want it.
  virtual base::Status OnHelloReply(PeerHandle /*peer*/, const wire::HelloReply& /*answer*/) {
    return {};
  }
  // Who answers does not want to hear from this node, is not who was expected there, or is not
  // wanted. It is asked again later.
  virtual void OnRefused(PeerHandle /*peer*/, const wire::HelloReply& /*answer*/) {}
  virtual void OnRequest(const base::Uuid& from, LinkId link, wire::Envelope&& request) = 0;
  virtual void OnReply(PeerHandle peer, wire::Envelope&& reply) = 0;
};

}  // namespace lariat::peers

// SPDX-License-Identifier: Apache-2.0
// PeerTransport over TCP streams (env::Network): frames, handshake, reconnects with back-off. Each
// shard has one connection to each peer for its own requests and their replies; requests of peers
// come in on connections that they made. What is sent on a connection in one turn of the loop
// leaves in one frame when the turn ends; large messages travel in parts (wire/outbox.h). One
// instance for each shard, on its thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/prng.h"
#include "config/settings.h"
#include "env/env.h"
#include "env/stream.h"
#include "peers/transport.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "wire/parts.h"

namespace lariat::peers {

class PeerLinks final : public PeerTransport {
 public:
  PeerLinks(env::Env env, env::Network& network, const config::Settings& settings,
            telemetry::LogSink& log);
  ~PeerLinks() override;
  // Before anything else; `events` and `metrics` outlive the links.
  void Attach(PeerEvents& events, telemetry::Metrics& metrics);
  // For the listener on the peer port.
  std::unique_ptr<env::StreamHandler> Accept(env::Stream& stream);
  void Stop();  // no reconnects any more

  PeerHandle Open(const std::string& address, std::optional<base::Uuid> expected) override;
  void Close(PeerHandle peer) override;
  std::string Trouble(PeerHandle peer) const override;
  void Resolve(const std::string& address, Resolved done) override;
  base::Status Send(PeerHandle peer, wire::Envelope&& request) override;
  void Reply(LinkId link, wire::Envelope&& reply) override;

 private:
  class Lane;
  class Outgoing;
  class Incoming;
  struct Peer {
    std::string address;
    std::optional<base::Uuid> expected;
    Lane* lane = nullptr;  // set once the handshake is done
    base::Duration backoff{};
    env::TimerId retry = 0;
    std::string last_failure;
  };

  void Connect(PeerHandle peer);
  void ConnectLater(PeerHandle peer, const std::string& why);
  wire::Limits OwnLimits() const;
  size_t UnsentMax() const;
  telemetry::Metrics& metrics() { return *metrics_; }

  env::Env env_;
  env::Network& network_;
  const config::Settings settings_;
  telemetry::LogSink& log_;
  PeerEvents* events_ = nullptr;
  telemetry::Metrics* metrics_ = nullptr;
  base::Prng prng_;
  std::map<PeerHandle, Peer> peers_;
  std::map<LinkId, Lane*> links_;
  wire::PartsBudget budget_;
  PeerHandle next_peer_ = 1;
  LinkId next_link_ = 1;
  bool stopped_ = false;
  std::shared_ptr<bool> alive_;  // co-owned by connects under way
};

}  // namespace lariat::peers

// SPDX-License-Identifier: Apache-2.0
// TLS over any env::Network: what listens and connects through a TlsNetwork gets streams of the
// same face whose bytes travel encrypted. Below it nothing changes, and whoever does not use it
// pays nothing.
//
//   handler <-- TlsStream (a Stream) | TlsStream (a StreamHandler) <-- the stream below
//
// A handler is made when its handshake is done, so Stream::PeerIdentity is known from the start.
// One TlsShard and its TlsNetworks for each shard, on its thread. They outlive the streams.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"
#include "env/stream.h"
#include "env/tls/tls_shard.h"

namespace lariat::env::tls {

// Whom an address is for.
enum class Side : uint8_t { kClients, kPeers };
// What is done with those who do not speak TLS. kTaken is for the time in which a cluster goes over
// to it: whoever comes may speak either, and a peer is tried with TLS and without in turn.
enum class Plain : uint8_t { kRefused, kTaken };

class TlsNetwork final : public Network {
 public:
  TlsNetwork(Network& below, TlsShard& shard, Side side, Plain plain);

  // What is sent to one over the limit would be plain bytes: it is only counted.
  base::Result<std::string> Listen(ListenOptions options, MakeHandler make) override;
  // A node's certificate and its authority are checked; its host name is not looked at: peers are
  // told apart by the name in the certificate.
  void Connect(const std::string& address, base::Duration timeout, MakeHandler make,
               base::UniqueFunction<void(base::Error)> failed) override;
  void Resolve(const std::string& address, Addresses done) override;
  // Those whose handshake is not done yet are not let in any more. The listeners below stay.
  void StopListening() override;

 private:
  Network& below_;
  TlsShard& shard_;
  const Side side_;
  const Plain plain_;
  std::set<std::string> plain_next_;  // addresses where the last attempt with TLS failed
  std::vector<std::shared_ptr<MakeHandler>> makes_;  // co-owned by handshakes under way
};

}  // namespace lariat::env::tls

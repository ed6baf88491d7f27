// SPDX-License-Identifier: Apache-2.0
#include "env/tls/tls_network.h"

#include <utility>

#include "env/tls/internal/either.h"
#include "env/tls/internal/tls_stream.h"

namespace lariat::env::tls {

TlsNetwork::TlsNetwork(Network& below, TlsShard& shard, Side side, Plain plain)
    : below_(below), shard_(shard), side_(side), plain_(plain) {}

base::Result<std::string> TlsNetwork::Listen(ListenOptions options, MakeHandler make) {
  if (options.refuse) {
    options.refuse = [refuse = std::move(options.refuse)]() mutable {
      refuse();
      return std::string_view();
    };
  }
  auto shared = std::make_shared<MakeHandler>(std::move(make));
  makes_.push_back(shared);
  const Role role = side_ == Side::kPeers ? Role::kPeerIn : Role::kDoor;
  return below_.Listen(
      std::move(options), [this, shared, role](Stream& stream) -> std::unique_ptr<StreamHandler> {
        if (role == Role::kDoor && !shard_.HasRoom()) {
          shard_.Tell(telemetry::TlsFailure::kTooMany, stream.PeerAddress(),
                      "too many handshakes under way "
                      "(security.handshakes_max)");
          return nullptr;
        }
        TlsStream::Purpose purpose{role, shard_.limits().handshake_timeout, shared, {}};
        if (plain_ == Plain::kTaken) {
          return std::make_unique<Either>(shard_, stream, std::move(purpose));
        }
        return std::make_unique<TlsStream>(shard_, stream, std::move(purpose));
      });
}

void TlsNetwork::Connect(const std::string& address, base::Duration timeout, MakeHandler make,
                         base::UniqueFunction<void(base::Error)> failed) {
  if (plain_next_.erase(address) > 0) {
    return below_.Connect(address, timeout, std::move(make), std::move(failed));
  }
  struct Ends {
    std::shared_ptr<MakeHandler> make;
    base::UniqueFunction<void(base::Error)> failed;
  };
  // Co-owned by the two callbacks, of which one is called.
  auto ends = std::make_shared<Ends>(
      Ends{std::make_shared<MakeHandler>(std::move(make)), std::move(failed)});
  const base::Instant until = shard_.env().clock.Now() + timeout;
  const Role role = side_ == Side::kPeers ? Role::kPeerOut : Role::kVisitor;
  below_.Connect(
      address, timeout,
      [this, ends, role, until, address](Stream& stream) -> std::unique_ptr<StreamHandler> {
        const base::Duration left = until - shard_.env().clock.Now();
        auto give_up = [this, ends, address](base::Error error) {
          if (plain_ == Plain::kTaken) plain_next_.insert(address);
          error.message = "cannot connect to " + address + ": " + error.message;
          ends->failed(std::move(error));
        };
        return std::make_unique<TlsStream>(
            shard_, stream, TlsStream::Purpose{role, left, ends->make, std::move(give_up)});
      },
      [ends](base::Error error) { ends->failed(std::move(error)); });
}

void TlsNetwork::Resolve(const std::string& address, Addresses done) {
  below_.Resolve(address, std::move(done));
}

void TlsNetwork::StopListening() {
  for (const auto& make : makes_) {
    *make = [](Stream&) -> std::unique_ptr<StreamHandler> { return nullptr; };
  }
}

}  // namespace lariat::env::tls

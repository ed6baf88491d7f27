// SPDX-License-Identifier: Apache-2.0
// What the TLS streams of one shard share: the certificates in use, whose turn it is to go on with
// a handshake, and room for OpenSSL to work in. On the shard's thread.
//
// Handshakes are many times as expensive as requests. So a shard does a few steps of them in each
// turn of its loop, those of peers first, and the other connections get their turn in between;
// clients beyond `handshakes_max` are closed, silent ones first, and each handshake has a deadline.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "env/env.h"
#include "env/tls/contexts.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace lariat::env::tls {

// One that is under way.
class Handshake {
 public:
  virtual void GoOn() = 0;      // one step
  virtual void MakeRoom() = 0;  // ends, for a newer one

 protected:
  ~Handshake() = default;
};

class TlsShard {
 public:
  struct Limits {
    size_t handshakes_max = 256;  // of clients
    base::Duration handshake_timeout = base::Seconds(10);
  };
  TlsShard(Env env, std::shared_ptr<const Contexts> contexts, Limits limits);
  // Before the first connection; both outlive the streams.
  void Attach(telemetry::Metrics& metrics, telemetry::LogSink& log);
  // For connections from now on.
  void Use(std::shared_ptr<const Contexts> contexts) { contexts_ = std::move(contexts); }

  // For the streams.
  const Env& env() const { return env_; }
  const Limits& limits() const { return limits_; }
  const std::shared_ptr<const Contexts>& contexts() const { return contexts_; }
  telemetry::Metrics& metrics() { return *metrics_; }
  // Whether one more client may begin. One that has said nothing yet may have to go for it: whoever
  // opens connections and is silent must not keep others out.
  bool HasRoom();
  void Begin(Handshake* handshake, Role role);
  void End(Handshake* handshake, Role role);
  // Its GoOn will be called, when it is its turn.
  void Queue(Handshake* handshake, Role role);
  void Tell(telemetry::TlsFailure why, const std::string& peer, const std::string& words);
  // Room for what a call of OpenSSL needs; nobody has anything in it between two calls.
  std::vector<char>& plain() { return plain_; }
  std::string& cipher() { return cipher_; }

 private:
  void TakeTurns();

  Env env_;
  std::shared_ptr<const Contexts> contexts_;
  const Limits limits_;
  telemetry::Metrics* metrics_ = nullptr;
  telemetry::LogSink* log_ = nullptr;
  std::deque<Handshake*> queue_;
  std::deque<Handshake*> silent_;  // clients, the oldest first
  bool turns_come_ = false;
  size_t clients_ = 0;  // handshakes of theirs under way
  size_t under_way_ = 0;
  base::Instant told_at_{};
  uint64_t untold_ = 0;
  std::vector<char> plain_;
  std::string cipher_;
};

}  // namespace lariat::env::tls

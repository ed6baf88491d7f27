// SPDX-License-Identifier: Apache-2.0
#include "env/tls/tls_shard.h"

#include <utility>

namespace lariat::env::tls {

namespace {

// Some tenths of a millisecond each, as a rule.
constexpr int kStepsPerTurn = 4;
constexpr base::Duration kTellPause = base::Seconds(1);

}  // namespace

TlsShard::TlsShard(Env env, std::shared_ptr<const Contexts> contexts, Limits limits)
    : env_(env), contexts_(std::move(contexts)), limits_(limits) {}

void TlsShard::Attach(telemetry::Metrics& metrics, telemetry::LogSink& log) {
  metrics_ = &metrics;
  log_ = &log;
}

bool TlsShard::HasRoom() {
  if (clients_ >= limits_.handshakes_max && !silent_.empty()) silent_.front()->MakeRoom();
  return clients_ < limits_.handshakes_max;
}

void TlsShard::Begin(Handshake* handshake, Role role) {
  if (role == Role::kDoor) {
    ++clients_;
    silent_.push_back(handshake);
  }
  metrics_->tls_handshakes_under_way.Set(static_cast<int64_t>(++under_way_));
}

void TlsShard::End(Handshake* handshake, Role role) {
  clients_ -= role == Role::kDoor ? 1 : 0;
  metrics_->tls_handshakes_under_way.Set(static_cast<int64_t>(--under_way_));
  std::erase(queue_, handshake);
  std::erase(silent_, handshake);
}

void TlsShard::Queue(Handshake* handshake, Role role) {
  if (role == Role::kDoor) {
    std::erase(silent_, handshake);
    queue_.push_back(handshake);
  } else {
    queue_.push_front(handshake);
  }
  if (std::exchange(turns_come_, true)) return;
  env_.executor.Post([this] { TakeTurns(); });
}

void TlsShard::TakeTurns() {
  turns_come_ = false;
  for (int i = 0; i < kStepsPerTurn && !queue_.empty(); ++i) {
    Handshake* handshake = queue_.front();
    queue_.pop_front();
    handshake->GoOn();
  }
  if (queue_.empty()) return;
  turns_come_ = true;
  env_.executor.Post([this] { TakeTurns(); });  // in the next turn of the loop
}

// Anybody can connect and fail, so that is a line a second at most.
void TlsShard::Tell(telemetry::TlsFailure why, const std::string& peer, const std::string& words) {
  metrics_->tls_failed[why].Add();
  const base::Instant now = env_.clock.Now();
  if (told_at_ != base::Instant{} && now - told_at_ < kTellPause) {
    ++untold_;
    return;
  }
  told_at_ = now;
  log_->Log(telemetry::LogLevel::kInfo, "tls", "no TLS with {}: {}{}", peer, words,
            untold_ == 0 ? "" : " (and " + std::to_string(untold_) + " others before it)");
  untold_ = 0;
}

}  // namespace lariat::env::tls

// SPDX-License-Identifier: Apache-2.0
#include "frontend/connection/frontend.h"

#include <algorithm>
#include <utility>

#include "frontend/connection/connection.h"

namespace lariat::frontend::connection {
namespace {

constexpr base::Duration kSweepMax = base::Seconds(1);
constexpr base::Duration kSweepMin = base::Millis(5);
constexpr int kLooksMax = 256;  // at connections, to find an idle one

// Deadlines are kept within a quarter of the shortest one.
base::Duration SweepPeriod(const Limits& limits) {
  const base::Duration shortest = std::min(
      {limits.head_timeout, limits.body_timeout, limits.idle_timeout, limits.write_stall_max});
  return std::clamp(shortest / 4, kSweepMin, kSweepMax);
}

}  // namespace

Frontend::Frontend(std::shared_ptr<Clients> clients, std::string_view full)
    : clients_(std::move(clients)), full_(full) {}

Frontend::~Frontend() {
  if (timer_ != 0) clients_->env.timers.Cancel(timer_);
  clients_->alive = false;
  for (auto& [idle, connection] : clients_->connections) connection->CloseNow();
  for (auto& queue : clients_->room.queues) queue.clear();  // Link and Clients own each other
}

std::unique_ptr<env::StreamHandler> Frontend::Accept(env::Stream& stream) {
  auto connection = Make(stream);
  if (timer_ == 0) StartTimer();
  return connection;
}

// The order of the connections is that of a lower bound, so the first whose bound is true is the
// one that was idle for longest. The others are put where they belong as they come up.
bool Frontend::MakeRoom() {
  auto& all = clients_->connections;
  const base::Instant now = clients_->env.clock.Now();
  for (int looks = 0; looks < kLooksMax && !all.empty(); ++looks) {
    const auto [listed_as, connection] = *all.begin();
    const auto idle_since = connection->IdleSince();
    if (idle_since && *idle_since <= listed_as) {
      connection->CloseNow();  // the descriptor is wanted now, and there is nothing left to send
      clients_->counters.shed.Add();
      return true;
    }
    if (listed_as >= now) break;  // all are busy
    connection->ListAs(idle_since.value_or(now));
  }
  return false;
}

std::string_view Frontend::Refuse() {
  clients_->counters.too_many.Add();
  return full_;
}

void Frontend::Drain() {
  clients_->draining = true;
  for (auto& [idle, connection] : clients_->connections) connection->Finish();
}

void Frontend::StartTimer() {
  timer_ = clients_->env.timers.After(SweepPeriod(clients_->limits), [this] { Sweep(); });
}

void Frontend::Sweep() {
  timer_ = 0;
  const base::Instant now = clients_->env.clock.Now();
  // Streams tell of their end later, so none leaves the list meanwhile.
  for (auto& [idle, connection] : clients_->connections) connection->CheckDeadlines(now);
  if (!clients_->connections.empty()) StartTimer();
}

}  // namespace lariat::frontend::connection

// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/http_frontend.h"

#include <algorithm>

#include "frontend/http/internal/connection.h"
#include "frontend/http/internal/shared.h"

namespace lariat::frontend::http {
namespace {

constexpr int64_t kSweepMsMax = 1000;
constexpr int64_t kSweepMsMin = 5;

// Deadlines are kept within a quarter of the shortest one.
base::Duration SweepPeriod(const config::Settings& settings) {
  const int64_t shortest = std::min({settings.http_header_timeout_ms, settings.http_body_timeout_ms,
                                     settings.http_idle_timeout_ms});
  return base::Millis(std::clamp(shortest / 4, kSweepMsMin, kSweepMsMax));
}

}  // namespace

class HttpFrontend::Impl {
 public:
  explicit Impl(Shared shared) : shared_(std::make_shared<Shared>(std::move(shared))) {}
  ~Impl() {
    if (timer_ != 0) shared_->env.timers.Cancel(timer_);
    shared_->alive = false;
    for (HttpConnection* connection : shared_->connections) connection->Abandon();
  }

  std::unique_ptr<env::StreamHandler> Accept(env::Stream& stream) {
    auto connection = std::make_unique<HttpConnection>(shared_, stream);
    if (timer_ == 0) StartTimer();
    return connection;
  }

  void Drain() {
    shared_->draining = true;
    for (HttpConnection* connection : shared_->connections) connection->Finish();
  }

 private:
  void StartTimer() {
    timer_ = shared_->env.timers.After(SweepPeriod(shared_->settings), [this] { Sweep(); });
  }
  void Sweep() {
    timer_ = 0;
    const base::Instant now = shared_->env.clock.Now();
    // Streams tell of their end later, so none leaves the list meanwhile.
    for (HttpConnection* connection : shared_->connections) connection->CheckDeadlines(now);
    if (!shared_->connections.empty()) StartTimer();
  }

  const std::shared_ptr<Shared> shared_;  // co-owners: see Shared
  env::TimerId timer_ = 0;                // 0 while there is no connection
};

HttpFrontend::HttpFrontend(coordinator::KvService& kv, coordinator::AdminService& admin,
                           const config::Settings& settings, telemetry::Metrics& metrics,
                           env::Env& env)
    : impl_(std::make_unique<Impl>(Shared{kv, admin, settings, metrics, env})) {}
HttpFrontend::~HttpFrontend() = default;

std::unique_ptr<env::StreamHandler> HttpFrontend::Accept(env::Stream& stream) {
  return impl_->Accept(stream);
}

void HttpFrontend::Drain() { impl_->Drain(); }

}  // namespace lariat::frontend::http

// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/http_frontend.h"

#include <algorithm>
#include <string_view>

#include "frontend/http/internal/connection.h"
#include "frontend/http/internal/shared.h"

namespace lariat::frontend::http {
namespace {

constexpr int64_t kSweepMsMax = 1000;
constexpr int64_t kSweepMsMin = 5;
constexpr int kLooksMax = 256;  // at connections, to find an idle one

constexpr std::string_view kFullReply =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
    "Content-Length: 97\r\nConnection: close\r\n\r\n"
    R"({"error":{"code":"overloaded","message":"this node has as many connections open )"
    R"(as it may have"}})";

// Deadlines are kept within a quarter of the shortest one.
base::Duration SweepPeriod(const config::Settings& settings) {
  const int64_t shortest = std::min({settings.http_header_timeout_ms, settings.http_body_timeout_ms,
                                     settings.http_idle_timeout_ms, settings.http_write_stall_ms});
  return base::Millis(std::clamp(shortest / 4, kSweepMsMin, kSweepMsMax));
}

}  // namespace

class HttpFrontend::Impl {
 public:
  explicit Impl(Shared shared) : shared_(std::make_shared<Shared>(std::move(shared))) {
    shared_->totals.expected = shared_->kv.ValueBytesMax();
  }
  ~Impl() {
    if (timer_ != 0) shared_->env.timers.Cancel(timer_);
    shared_->alive = false;
    for (auto& [idle, connection] : shared_->connections) connection->Abandon();
    for (auto& queue : shared_->totals.queues) queue.clear();  // Link and Shared own each other
  }

  std::unique_ptr<env::StreamHandler> Accept(env::Stream& stream) {
    auto connection = std::make_unique<HttpConnection>(shared_, stream);
    if (timer_ == 0) StartTimer();
    return connection;
  }

  // The order of the connections is that of a lower bound, so the first whose bound is true is the
  // one that was idle for longest. The others are put where they belong as they come up.
  bool MakeRoom() {
    auto& all = shared_->connections;
    const base::Instant now = shared_->env.clock.Now();
    for (int looks = 0; looks < kLooksMax && !all.empty(); ++looks) {
      const auto [listed_as, connection] = *all.begin();
      const auto idle_since = connection->IdleSince();
      if (idle_since && *idle_since <= listed_as) {
        connection->CloseIdle();
        shared_->metrics.http_shed.Add();
        return true;
      }
      if (listed_as >= now) break;  // all are busy
      connection->ListAs(idle_since.value_or(now));
    }
    return false;
  }

  std::string_view Refuse() {
    shared_->metrics.http_refused[telemetry::HttpRefusal::kTooManyConnections].Add();
    return kFullReply;
  }

  void Drain() {
    shared_->draining = true;
    for (auto& [idle, connection] : shared_->connections) connection->Finish();
  }

 private:
  void StartTimer() {
    timer_ = shared_->env.timers.After(SweepPeriod(shared_->settings), [this] { Sweep(); });
  }
  void Sweep() {
    timer_ = 0;
    const base::Instant now = shared_->env.clock.Now();
    // Streams tell of their end later, so none leaves the list meanwhile.
    for (auto& [idle, connection] : shared_->connections) connection->CheckDeadlines(now);
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

bool HttpFrontend::MakeRoom() { return impl_->MakeRoom(); }
std::string_view HttpFrontend::Refuse() { return impl_->Refuse(); }
void HttpFrontend::Drain() { impl_->Drain(); }

}  // namespace lariat::frontend::http

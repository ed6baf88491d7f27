// SPDX-License-Identifier: Apache-2.0
#include "client/engine.h"

#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <utility>

namespace lariat::client {

namespace {

constexpr std::chrono::milliseconds kTimeoutMax{600000};

std::mt19937_64 Seeded() {
  std::random_device device;
  std::seed_seq seed{device(), device(), device(), device(), device(), device()};
  return std::mt19937_64(seed);
}

}  // namespace

std::string CheckOptions(const ClientOptions& o) {
  if (o.nodes.empty()) return "nodes: at least one address is needed";
  for (const std::string& address : o.nodes) {
    const size_t colon = address.rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == address.size()) {
      return "nodes: '" + address + "' is not an address of the form HOST:PORT";
    }
  }
  for (const auto time : {o.timeout, o.attempt_timeout, o.connect_timeout, o.refresh}) {
    if (time.count() < 1 || time > kTimeoutMax) return "times are 1 ms to 10 minutes";
  }
  if (o.max_in_flight < 1) return "max_in_flight has to be 1 at least";
  if (o.connections_per_node < 1) return "connections_per_node has to be 1 at least";
  if (o.pipeline < 1) return "pipeline has to be 1 at least";
  if (o.attempts < 1) return "attempts has to be 1 at least";
  for (const double number : {o.retry_ratio, o.retry_burst, o.hedge_ratio, o.hedge_burst}) {
    if (!(number >= 0)) return "ratios and bursts are 0 at least";
  }
  if (o.user.empty() != o.password.empty()) return "user and password belong together";
  if (o.user.find(':') != std::string::npos) return "user: a name has no ':'";
  Secure secure;
  return LoadSecure(o.tls, &secure);
}

Engine::Engine(ClientOptions options, Bug bug)
    : options_(std::move(options)),
      context_{loop_,
               options_,
               counters_,
               bug,
               TokenBucket(options_.retry_ratio, options_.retry_burst),
               TokenBucket(options_.hedge_ratio, options_.hedge_burst),
               LatencyWindow(),
               std::minstd_rand(std::random_device()()),
               [this] { cluster_.LookSoon(); }},
      cluster_(loop_, options_, counters_),
      ids_(Seeded()) {
  thread_ = std::thread([this] {
    const auto work = boost::asio::make_work_guard(loop_);
    loop_.run();
  });
}

Engine::~Engine() { Close(); }

void Engine::Submit(Request request, std::chrono::milliseconds timeout, Done done) {
  ++counters_.operations;
  std::string wrong = Invalid(request, options_.protocol);
  if (!wrong.empty()) return done(Error{Code::InvalidArgument, std::move(wrong)});
  if (in_flight_.fetch_add(1) >= options_.max_in_flight) {
    --in_flight_;
    ++counters_.overloaded;
    return done(Error{Code::Overloaded, "max_in_flight operations are under way"});
  }
  const auto time = timeout.count() > 0 ? std::min(timeout, kTimeoutMax) : options_.timeout;
  const auto deadline = Clock::now() + time;
  auto shared = std::make_shared<const Request>(std::move(request));
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!closed_) {
      // What is posted under the lock runs before FailAll.
      boost::asio::post(
          loop_, [this, shared = std::move(shared), deadline, done = std::move(done)]() mutable {
            Begin(std::move(shared), deadline, std::move(done));
          });
      return;
    }
  }
  --in_flight_;
  done(Error{Code::Closed, "the client was closed"});
}

void Engine::Begin(std::shared_ptr<const Request> request, Clock::time_point deadline, Done done) {
  const auto call =
      std::make_shared<Call>(context_, std::move(request), deadline,
                             [this, done = std::move(done)](Call& ended, Result<Reply> result) {
                               calls_.erase(ended.shared_from_this());
                               --in_flight_;
                               done(std::move(result));
                             });
  calls_.insert(call);
  cluster_.WhenKnown([this, call](const std::string& error) {
    if (!error.empty()) return call->Fail({Code::Unreachable, error});
    call->Start(cluster_.Route(call->request().bucket, call->request().key));
  });
}

void Engine::Close() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) return;
    closed_ = true;
    // Behind everything that was asked before.
    boost::asio::post(loop_, [this] { FailAll(); });
  }
  thread_.join();
}

void Engine::FailAll() {
  const auto calls = std::exchange(calls_, {});
  for (const auto& call : calls) call->Fail({Code::Closed, "the client was closed"});
  cluster_.Close();
  loop_.stop();
}

Stats Engine::GetStats() const {
  const Counters& c = counters_;
  return {c.operations,       c.attempts,         c.retries,    c.retries_refused, c.hedges,
          c.hedges_won,       c.hedges_refused,   c.overloaded, c.timeouts,        c.connects,
          c.connections_lost, c.topology_changes, c.escalations};
}

std::string Engine::MakeId() {
  std::array<uint64_t, 2> words{};
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    words = {ids_(), ids_()};
  }
  words[0] = (words[0] & ~uint64_t{0xf000}) | 0x4000;                  // version 4
  words[1] = (words[1] & ~(uint64_t{3} << 62)) | (uint64_t{2} << 62);  // of RFC 4122
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (size_t digit = 0; digit < 32; ++digit) {
    if (digit == 8 || digit == 12 || digit == 16 || digit == 20) out += '-';
    out += kHex[words[digit / 16] >> (60 - 4 * (digit % 16)) & 15];
  }
  return out;
}

}  // namespace lariat::client

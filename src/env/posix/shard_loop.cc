// SPDX-License-Identifier: Apache-2.0
#include "env/posix/shard_loop.h"

#include <pthread.h>

#include <boost/asio/post.hpp>
#include <utility>

#include "base/check.h"
#include "env/posix/internal/shard_loop_impl.h"

namespace lariat::env::posix {

namespace asio = boost::asio;

namespace {

// Turns taken without looking at what Asio itself waits for: signals, names.
constexpr int kTurnsInARow = 16;

std::vector<SocketAddress> ToAddresses(const asio::ip::tcp::resolver::results_type& found) {
  std::vector<SocketAddress> result;
  for (const auto& entry : found) {
    const asio::ip::tcp::endpoint endpoint = entry.endpoint();
    SocketAddress& address = result.emplace_back();
    std::memcpy(&address.storage, endpoint.data(), endpoint.size());
    address.size = static_cast<socklen_t>(endpoint.size());
  }
  return result;
}

}  // namespace

ShardLoop::Impl::Impl(std::string thread_name)
    : name(std::move(thread_name)),
      work(io.get_executor()),
      sockets(io),
      timer(io),
      resolver(io),
      loop(clock, [this] { asio::post(io, [this] { RunTurns(); }); }),
      network(&loop, [this](const HostPort& where, Resolved done) {
        ResolveName(where, std::move(done));
      }) {
  sockets.assign(loop.poll_fd());
}

ShardLoop::Impl::~Impl() {
  sockets.release();  // the EventLoop closes it
}

void ShardLoop::Impl::Run() {
  const EventLoop::ThreadScope scope(&loop);
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  RunTurns();
  io.run();
}

void ShardLoop::Impl::RunTurns() {
  bool more = true;
  for (int i = 0; more && i < kTurnsInARow; ++i) {
    if (stopped.load(std::memory_order_relaxed)) return;
    more = loop.Turn();
  }
  if (more) asio::post(io, [this] { RunTurns(); });
  if (!waits_for_sockets) WaitForSockets();
  WaitForTimers();
}

void ShardLoop::Impl::WaitForSockets() {
  waits_for_sockets = true;
  sockets.async_wait(asio::posix::stream_descriptor::wait_read,
                     [this](const boost::system::error_code& error) {
                       if (error) return;
                       waits_for_sockets = false;
                       RunTurns();
                     });
}

// The alarm is only ever moved forward: timers are mostly cancelled, and a turn too many costs
// less than setting the alarm anew for each.
void ShardLoop::Impl::WaitForTimers() {
  const auto first = loop.NextDeadline();
  if (!first || *first >= timer_set_for) return;
  timer_set_for = *first;
  timer.expires_at(asio::steady_timer::time_point(first->time_since_epoch()));
  timer.async_wait([this](const boost::system::error_code& error) {
    if (error) return;  // set anew
    timer_set_for = base::Instant::max();
    RunTurns();
  });
}

void ShardLoop::Impl::ResolveName(const HostPort& where, Resolved done) {
  using Results = asio::ip::tcp::resolver::results_type;
  resolver.async_resolve(
      where.host, std::to_string(where.port), asio::ip::tcp::resolver::numeric_service,
      [this, host = where.host, done = std::move(done)](const boost::system::error_code& error,
                                                        const Results& found) mutable {
        base::Result<std::vector<SocketAddress>> result = ToAddresses(found);
        if (error) {
          result = base::Fail(base::Code::kIo,
                              "cannot look up the host \"" + host + "\": " + error.message());
        }
        loop.Post([done = std::move(done), result = std::move(result)]() mutable {
          done(std::move(result));
        });
      });
}

ShardLoop::ShardLoop(std::string name) : impl_(std::make_unique<Impl>(std::move(name))) {}

ShardLoop::~ShardLoop() {
  Stop();
  Join();
}

Env ShardLoop::env() { return Env{impl_->clock, impl_->entropy, impl_->loop, impl_->loop}; }
Network& ShardLoop::network() { return impl_->network; }
void ShardLoop::Run() { impl_->Run(); }

void ShardLoop::Start() {
  LARIAT_CHECK(!impl_->thread.joinable(), "a loop is started once");
  impl_->thread = std::thread([this] { impl_->Run(); });
}

void ShardLoop::Stop() {
  impl_->stopped.store(true, std::memory_order_relaxed);
  impl_->io.stop();
}

void ShardLoop::Join() {
  if (impl_->thread.joinable()) impl_->thread.join();
}

void ShardLoop::CloseStreams(const std::string& reason) { impl_->network.CloseAll(reason); }
const NetworkStats& ShardLoop::network_stats() const { return impl_->network.stats(); }
uint64_t ShardLoop::turns() const { return impl_->loop.turns(); }
uint64_t ShardLoop::wakes() const { return impl_->loop.wakes(); }
base::Duration ShardLoop::TakeLongestTurn() { return impl_->loop.TakeLongestTurn(); }

}  // namespace lariat::env::posix

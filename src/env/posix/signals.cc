// SPDX-License-Identifier: Apache-2.0
#include "env/posix/signals.h"

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <utility>

#include "base/check.h"
#include "env/posix/internal/shard_loop_impl.h"

namespace lariat::env::posix {

struct Signals::Impl : std::enable_shared_from_this<Signals::Impl> {
  Impl(EventLoop* event_loop, boost::asio::io_context* io, Callback on_signal)
      : loop(event_loop), set(*io), callback(std::move(on_signal)) {}

  void Wait() {
    set.async_wait([self = shared_from_this()](const boost::system::error_code& error, int signal) {
      if (error) return;
      self->loop->Post([self, signal] {
        if (self->callback) self->callback(signal);
      });
      self->Wait();
    });
  }

  EventLoop* loop;
  boost::asio::signal_set set;
  Callback callback;
};

Signals::Signals(ShardLoop* loop, const std::vector<int>& signals, Callback callback)
    : impl_(std::make_shared<Impl>(&loop->impl_->loop, &loop->impl_->io, std::move(callback))) {
  for (const int signal : signals) {
    boost::system::error_code error;
    impl_->set.add(signal, error);
    LARIAT_CHECK(!error, "a signal that cannot be caught was asked for");
  }
  impl_->Wait();
}

Signals::~Signals() {
  impl_->callback = nullptr;
  boost::system::error_code error;
  impl_->set.cancel(error);
  impl_->set.clear(error);
}

void IgnoreBrokenPipes() { std::signal(SIGPIPE, SIG_IGN); }

}  // namespace lariat::env::posix

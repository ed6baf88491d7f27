// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/load/engine.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "apps/lariat/load/keys.h"
#include "base/check.h"

namespace lariat::cli::load {

namespace {

constexpr size_t kReadChunk = 64 << 10;
constexpr auto kReconnectDelay = std::chrono::milliseconds(100);
constexpr size_t kFailureTextMax = 300;
constexpr auto kDrain = std::chrono::seconds(2);  // for replies after the deadline

}  // namespace

Engine::Engine(EngineOptions options, NextOp next, EngineResult* result)
    : options_(std::move(options)),
      next_(std::move(next)),
      result_(result),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      peers_(options_.connections),
      values_(options_.value_bytes),
      chunk_(kReadChunk, '\0'),
      next_due_(Clock::now()) {
  LARIAT_CHECK(epoll_ >= 0, "no epoll descriptor");
  for (size_t i = 0; i < peers_.size(); ++i) {
    peers_[i].number = options_.first_connection + i;
    peers_[i].node = &options_.nodes[peers_[i].number % options_.nodes.size()];
    peers_[i].sent.reserve(options_.pipeline);
  }
  if (options_.rate > 0) {
    interval_ = std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(1 / options_.rate));
  }
}

Engine::~Engine() {
  for (Peer& peer : peers_) {
    if (peer.fd >= 0) close(peer.fd);
  }
  close(epoll_);
}

void Engine::Watch(Peer& peer, bool write, int operation) {
  epoll_event event{};
  event.events = EPOLLIN | (write ? static_cast<uint32_t>(EPOLLOUT) : 0U);
  event.data.ptr = &peer;
  peer.wants_write = write;
  epoll_ctl(epoll_, operation, peer.fd, &event);
}

bool Engine::Open(Peer& peer) {
  const Endpoint& node = *peer.node;
  peer.fd = socket(node.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (peer.fd < 0) return false;
  int on = 1;
  setsockopt(peer.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  int code = connect(peer.fd, reinterpret_cast<const sockaddr*>(&node.address), node.size);
  if (code != 0 && errno != EINPROGRESS) {
    close(std::exchange(peer.fd, -1));
    return false;
  }
  Watch(peer, false, EPOLL_CTL_ADD);
  peer.driver = options_.driver(node);
  peer.driver->Begin(&peer.out);
  return true;
}

void Engine::Lose(Peer& peer) {
  if (peer.fd >= 0) close(std::exchange(peer.fd, -1));
  if (Clock::now() >= options_.record_from) {
    result_->failures[0] += std::max<size_t>(peer.sent.size(), 1);
  }
  peer.sent.clear();
  peer.in.clear();
  peer.out.clear();
  peer.written = 0;
  peer.retry_at = Clock::now() + kReconnectDelay;
}

// A node that hangs would hold its connections, and a phase that does every key once, for ever.
void Engine::LoseTheHung(Clock::time_point now) {
  for (Peer& peer : peers_) {
    if (peer.fd < 0 || peer.sent.empty() || now - peer.heard < options_.silence_max) continue;
    Lose(peer);
    const size_t node = static_cast<size_t>(peer.node - options_.nodes.data());
    peer.node = &options_.nodes[(node + 1) % options_.nodes.size()];
  }
}

bool Engine::IsInFlight(const Peer& peer, uint64_t key) const {
  return std::any_of(peer.sent.begin(), peer.sent.end(),
                     [key](const Sent& sent) { return sent.op.key == key; });
}

// Gives the number of a put.
uint64_t Engine::Append(Peer& peer, const Op& op) {
  if (op.get) {
    peer.driver->Append(op, {}, {}, &peer.out);
    return 0;
  }
  const uint64_t number = options_.ledger != nullptr ? options_.ledger->Next(op.key) : ++puts_;
  std::string_view context;
  if (options_.contexts != nullptr) context = (*options_.contexts)[op.key];
  peer.driver->Append(op, values_.Make(op.key, number), context, &peer.out);
  return number;
}

// Fills the pipeline; with a rate, only with what is due.
void Engine::Refill(Peer& peer, Clock::time_point now) {
  if (peer.exhausted || now >= options_.deadline) return;
  if (peer.fd < 0 && (now < peer.retry_at || !Open(peer))) return;
  while (peer.sent.size() < options_.pipeline) {
    if (interval_.count() > 0 && next_due_ > now) break;
    Op op;
    if (!next_(peer.number, &op)) {
      peer.exhausted = true;
      break;
    }
    // A context is of no use to a write that overtakes the one that would have given it.
    if (options_.contexts != nullptr && !op.get && IsInFlight(peer, op.key)) break;
    const uint64_t number = Append(peer, op);
    if (peer.sent.empty()) peer.heard = now;
    peer.sent.push_back({interval_.count() > 0 ? next_due_ : now, op, number});
    next_due_ += interval_;
  }
  Flush(peer);
}

void Engine::Flush(Peer& peer) {
  while (peer.written < peer.out.size()) {
    ssize_t n =
        send(peer.fd, peer.out.data() + peer.written, peer.out.size() - peer.written, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    // ENOTCONN: the connection is still being made; writable when it is.
    if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) {
      if (!peer.wants_write) Watch(peer, true, EPOLL_CTL_MOD);
      return;
    }
    if (n < 0) return Lose(peer);
    peer.written += static_cast<size_t>(n);
  }
  peer.out.clear();
  peer.written = 0;
  if (peer.wants_write) Watch(peer, false, EPOLL_CTL_MOD);
}

bool Engine::TakeReply(Peer& peer, const Scan& scan, Clock::time_point now) {
  if (peer.sent.empty()) return false;
  Sent sent = peer.sent.front();
  peer.sent.erase(peer.sent.begin());
  bool good = scan.status >= 200 && scan.status < 300;
  if (good && !sent.op.get && options_.ledger != nullptr) {
    options_.ledger->Acknowledge(sent.op.key, sent.number);
  }
  if (options_.verify) good = Judge(sent.op, scan);
  if (options_.contexts != nullptr && !scan.context.empty() &&
      (!sent.op.get || (*options_.contexts)[sent.op.key].empty())) {
    (*options_.contexts)[sent.op.key] = std::string(scan.context);
  }
  if (now >= options_.record_from && now < options_.deadline) {
    if (good) {
      (sent.op.get ? result_->get : result_->put).Record(now - sent.at);
    } else {
      ++result_->failures[scan.status];
      if (result_->failure.empty()) result_->failure = scan.value.substr(0, kFailureTextMax);
    }
  }
  result_->finished.store(result_->finished.load(std::memory_order_relaxed) + 1,
                          std::memory_order_relaxed);
  return true;
}

// Whether a get that verifies was answered; what the answer shows is counted by itself.
bool Engine::Judge(const Op& op, const Scan& scan) {
  const bool shown = scan.status == 200;
  if (!shown && scan.status != 404) return false;
  const auto verdict = shown ? options_.ledger->Judge(op.key, values_.NumberOf(op.key, scan.value))
                             : options_.ledger->JudgeAbsent(op.key);
  if (verdict == Ledger::Verdict::kRight) return true;
  ++(verdict == Ledger::Verdict::kLost ? result_->lost : result_->wrong);
  if (result_->example.empty()) result_->example = KeyText(op.key);
  return true;
}

// What came is scanned where it was read; only an incomplete reply is kept for the next time.
void Engine::Receive(Peer& peer) {
  ssize_t n = recv(peer.fd, chunk_.data(), chunk_.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return Lose(peer);
  auto now = Clock::now();
  peer.heard = now;
  std::string_view rest(chunk_.data(), static_cast<size_t>(n));
  if (!peer.in.empty()) rest = peer.in.append(rest);
  for (;;) {
    const Scan scan = peer.driver->Take(rest, &peer.out);
    if (scan.state == Scan::State::kBad) return Lose(peer);
    const bool whole = scan.state == Scan::State::kWhole;
    if (whole && !TakeReply(peer, scan, now)) return Lose(peer);
    if (whole && scan.closes) return Lose(peer);
    rest.remove_prefix(scan.size);
    if (!whole) break;
  }
  peer.in = std::string(rest);
  if (interval_.count() == 0) Refill(peer, now);
  if (peer.fd >= 0 && !peer.out.empty()) Flush(peer);
}

// At the deadline replies are waited for: what is under way is not cut off in the middle, so that
// whoever comes next does not meet its rest.
bool Engine::Finished(Clock::time_point now) const {
  if (now >= options_.deadline + kDrain) return true;
  return std::all_of(peers_.begin(), peers_.end(), [&](const Peer& peer) {
    return peer.sent.empty() && (peer.exhausted || now >= options_.deadline);
  });
}

void Engine::RefillAll(Clock::time_point now) {
  for (Peer& peer : peers_) {
    if (peer.sent.size() < options_.pipeline) Refill(peer, now);
  }
}

void Engine::Run() {
  std::array<epoll_event, 128> events;
  Clock::time_point look_again;  // at connections that wait or could be made again
  Clock::time_point next_check = Clock::now() + kReconnectDelay;
  for (auto now = Clock::now(); !Finished(now); now = Clock::now()) {
    if (now >= next_check) {
      LoseTheHung(now);
      next_check = now + kReconnectDelay;
    }
    if (interval_.count() > 0 ? next_due_ <= now : look_again <= now) {
      RefillAll(now);
      look_again = now + kReconnectDelay;
    }
    auto wait = std::min<Clock::duration>(
        (now < options_.deadline ? options_.deadline : options_.deadline + kDrain) - now,
        kReconnectDelay);
    if (interval_.count() > 0 && next_due_ > now) wait = std::min(wait, next_due_ - now);
    // All connections are busy: only a reply can change that.
    timespec limit{0, std::max<long>(0, std::chrono::nanoseconds(wait).count())};
    int count = epoll_pwait2(epoll_, events.data(), events.size(), &limit, nullptr);
    for (int i = 0; i < count; ++i) {
      Peer& peer = *static_cast<Peer*>(events[static_cast<size_t>(i)].data.ptr);
      uint32_t what = events[static_cast<size_t>(i)].events;
      if (peer.fd >= 0 && (what & EPOLLOUT) != 0) Flush(peer);
      if (peer.fd >= 0 && (what & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) Receive(peer);
    }
  }
  for (const Peer& peer : peers_) {
    if (!peer.sent.empty()) result_->failures[0] += peer.sent.size();
  }
}

}  // namespace lariat::cli::load

// SPDX-License-Identifier: Apache-2.0
#include "env/posix/internal/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "base/check.h"
#include "env/posix/internal/tcp_network.h"

namespace lariat::env::posix {

namespace {

constexpr size_t kReadBudgetBytes = 1 << 20;  // from one connection before others have their turn
constexpr size_t kKeptRoomMin = 16 * 1024;
constexpr size_t kKeptIdleMax = 4 * 1024;  // a buffer larger than this is given back when empty
constexpr size_t kBuffersPerSend = 128;
constexpr base::Duration kLinger = base::Seconds(1);

ssize_t SendBuffers(int fd, std::span<iovec> buffers) {
  if (buffers.size() == 1) {
    return ::send(fd, buffers[0].iov_base, buffers[0].iov_len, MSG_NOSIGNAL);
  }
  msghdr message = {};
  message.msg_iov = buffers.data();
  message.msg_iovlen = buffers.size();
  return ::sendmsg(fd, &message, MSG_NOSIGNAL);
}

}  // namespace

Connection::Connection(TcpNetwork* network, Fd fd, std::string peer)
    : network_(*network), fd_(std::move(fd)), peer_(std::move(peer)) {}

void Connection::ListForTurnEnd() {
  if (std::exchange(listed_, true)) return;
  network_.ListForTurnEnd(this);
}

void Connection::Write(std::string_view bytes) {
  if (closed_ || close_after_write_ || bytes.empty()) return;
  out_.Append(bytes);
  if (write_blocked_ || std::exchange(flush_wanted_, true)) return;
  ListForTurnEnd();
}

void Connection::Write(std::string&& bytes) {
  if (closed_ || close_after_write_ || bytes.empty()) return;
  out_.Append(std::move(bytes));
  if (write_blocked_ || std::exchange(flush_wanted_, true)) return;
  ListForTurnEnd();
}

void Connection::ResumeReading() {
  if (!std::exchange(paused_, false) || closed_) return;
  if (delivering_) return;  // paused and resumed within one OnData: nothing happened
  redeliver_ = kept_size_ > 0;
  if (!redeliver_ && !readable_) return;
  read_wanted_ = true;
  ListForTurnEnd();
}

void Connection::CloseAfterWrite() {
  if (closed_ || std::exchange(close_after_write_, true)) return;
  if (write_blocked_) return;
  flush_wanted_ = true;
  ListForTurnEnd();
}

void Connection::CloseBecause(std::string reason) {
  if (std::exchange(closed_, true)) return;
  close_reason_ = std::move(reason);
  fd_.Close();
  out_.Clear();
  network_.loop().Cancel(std::exchange(linger_timer_, 0));
  ListForTurnEnd();
}

void Connection::OnEvents(uint32_t events) {
  if (closed_) return;  // closed by another event of this turn
  if ((events & EPOLLOUT) != 0 && write_blocked_) {
    write_blocked_ = false;
    flush_wanted_ = true;
    ListForTurnEnd();
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0) return;
  readable_ = true;
  hung_up_ = hung_up_ || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  if (Receives()) {
    ReadAll();
  } else if ((events & EPOLLERR) != 0) {
    CloseBecause(
        ErrnoText(PendingError(fd_.get())));  // a reset is no reason to wait for the reader
  }
}

bool Connection::EndOfTurn() {
  listed_ = false;
  if (closed_) {
    handler_->OnClosed(close_reason_);
    handler_.reset();
    return false;
  }
  if (std::exchange(read_wanted_, false) && Receives()) ReadAll();
  if (!closed_ && std::exchange(flush_wanted_, false)) Flush();
  return true;
}

bool Connection::Receives() const {
  if (closed_ || peer_closed_) return false;
  return lingering_ || (!paused_ && !close_after_write_);
}

void Connection::ReadAll() {
  size_t budget = kReadBudgetBytes;
  while (readable_ && Receives()) {
    if (budget == 0) {
      read_wanted_ = true;
      ListForTurnEnd();
      return;
    }
    if (!ReadOnce(&budget)) break;
  }
  if (redeliver_ && Receives()) Deliver({kept_.get(), kept_size_});
}

// One recv and its delivery. False when there is nothing more to read for now.
bool Connection::ReadOnce(size_t* budget) {
  const std::span<char> shared = network_.scratch();
  char* to = shared.data();
  size_t room = shared.size();
  const bool append = kept_size_ > 0 && !lingering_;
  if (append) {
    if (kept_capacity_ - kept_size_ < kKeptRoomMin) Keep({kept_.get(), kept_size_});
    to = kept_.get() + kept_size_;
    room = kept_capacity_ - kept_size_;
  }
  network_.stats().receive_calls.Add(1);
  const ssize_t got = ::recv(fd_.get(), to, room, 0);
  if (got < 0) {
    if (errno == EINTR) return true;
    readable_ = false;
    if (errno != EAGAIN && errno != EWOULDBLOCK) CloseBecause(ErrnoText(errno));
    return false;
  }
  if (got == 0) {
    OnPeerClosed();
    return false;
  }
  const auto count = static_cast<size_t>(got);
  network_.stats().bytes_received.Add(count);
  *budget -= std::min(*budget, count);
  // A short read emptied the kernel's buffer, and what comes later is a new event. The end of the
  // stream may be part of the event that we are in, so then it is looked for.
  if (count < room && !hung_up_) readable_ = false;
  if (lingering_) return true;
  if (append) kept_size_ += count;
  Deliver(append ? std::string_view(kept_.get(), kept_size_) : std::string_view(to, count));
  return true;
}

void Connection::Deliver(std::string_view bytes) {
  redeliver_ = false;
  delivering_ = true;
  const size_t used = handler_->OnData(bytes);
  delivering_ = false;
  LARIAT_CHECK(used <= bytes.size(), "a handler used more bytes than it was given");
  if (closed_) return;
  const std::string_view rest = bytes.substr(used);
  if (!rest.empty()) {
    // Kept bytes that were not touched stay where they are.
    if (rest.data() != kept_.get()) Keep(rest);
    return;
  }
  kept_size_ = 0;
  if (kept_capacity_ > kKeptIdleMax) {
    kept_.reset();
    kept_capacity_ = 0;
  }
}

// Makes `rest` (which may lie in kept_) the kept bytes, with room for more after them.
void Connection::Keep(std::string_view rest) {
  const bool inside = kept_size_ > 0;
  // Doubling keeps the copying of a long value linear in its length. Bytes that just came are
  // small leftovers as a rule, and get no room before more of them comes.
  const size_t capacity = inside ? rest.size() + std::max(rest.size(), kKeptRoomMin)
                                 : std::max(rest.size(), kKeptIdleMax);
  if (capacity <= kept_capacity_) {
    std::memmove(kept_.get(), rest.data(), rest.size());
  } else {
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    std::memcpy(larger.get(), rest.data(), rest.size());
    kept_ = std::move(larger);
    kept_capacity_ = capacity;
  }
  kept_size_ = rest.size();
}

void Connection::OnPeerClosed() {
  peer_closed_ = true;
  readable_ = false;
  if (lingering_) {
    CloseBecause("closed by this side");
    return;
  }
  if (handler_->KeepOpenAfterPeerClosed() || closed_) return;
  if (out_.empty()) {
    CloseBecause("closed by the peer");
  } else {
    CloseAfterWrite();
  }
}

void Connection::Flush() {
  std::array<iovec, kBuffersPerSend> buffers;
  while (!out_.empty()) {
    const size_t count = out_.Fill(buffers);
    network_.stats().send_calls.Add(1);
    const ssize_t sent = SendBuffers(fd_.get(), std::span(buffers.data(), count));
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        write_blocked_ = true;
      } else {
        CloseBecause(ErrnoText(errno));
      }
      return;
    }
    network_.stats().bytes_sent.Add(static_cast<uint64_t>(sent));
    out_.Consume(static_cast<size_t>(sent));
  }
  if (close_after_write_) {
    StartLingering();
  } else {
    handler_->OnDrained();
  }
}

// A close while the peer's bytes are unread would reset the connection, and the peer could lose
// the reply it is being sent. So only our direction is closed, and the rest of theirs is dropped.
void Connection::StartLingering() {
  if (peer_closed_ || ::shutdown(fd_.get(), SHUT_WR) != 0) {
    CloseBecause(peer_closed_ ? "closed by the peer" : "closed by this side");
    return;
  }
  lingering_ = true;
  linger_timer_ = network_.loop().After(kLinger, [this] { Close(); });
  if (!readable_) return;
  read_wanted_ = true;
  ListForTurnEnd();
}

}  // namespace lariat::env::posix

// SPDX-License-Identifier: Apache-2.0
#include "env/posix/line_output.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <span>
#include <thread>
#include <utility>

#include "env/posix/internal/socket.h"

namespace lariat::env::posix {

namespace {

// What a pipe that is ready takes without blocking (PIPE_BUF).
constexpr size_t kPieceBytes = 4096;
constexpr base::Duration kEndLimit = base::Seconds(2);

// Bytes written, 0 if the descriptor is not ready after all, -1 if it takes nothing any more.
ssize_t WritePiece(int fd, std::string_view text) {
  const size_t size = std::min(text.size(), kPieceBytes);
  ssize_t written = ::send(fd, text.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (written < 0 && errno == ENOTSOCK) written = ::write(fd, text.data(), size);
  if (written >= 0) return written;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

bool Ready(int fd, base::Duration limit) {
  pollfd entry = {fd, POLLOUT, 0};
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
  return ::poll(&entry, 1, static_cast<int>(ms)) > 0;
}

}  // namespace

class LineOutput::Writer {
 public:
  explicit Writer(Options options)
      : dropped_line_(std::move(options.dropped_line)),
        bytes_max_(options.bytes_max),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    queues_[0].fd = options.out;
    queues_[1].fd = options.error;
  }

  void Write(To to, std::string line, Weight weight) {
    const std::lock_guard lock(mutex_);
    Queue& queue = queues_[static_cast<size_t>(to)];
    const size_t limit = weight == Weight::kHeavy ? 2 * bytes_max_ : bytes_max_;
    if (queue.bytes + line.size() > limit) {
      ++queue.dropped;
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    SayDropped(&queue);
    Push(&queue, std::move(line));
    Wake();
  }

  bool Flush(base::Duration limit) {
    std::unique_lock lock(mutex_);
    return emptied_.wait_for(lock, limit, [this] { return Empty(); });
  }

  // Result: the thread has ended or is about to.
  bool Stop(base::Duration limit) {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    Wake();
    return emptied_.wait_for(lock, limit, [this] { return ended_; });
  }

  void Run() {
    pthread_setname_np(pthread_self(), "output");
    while (WaitForWork()) {
      for (Queue& queue : queues_) WriteOne(&queue);
    }
    const std::lock_guard lock(mutex_);
    ended_ = true;
    emptied_.notify_all();
  }

  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  struct Queue {
    int fd = -1;
    std::deque<std::string> lines;
    size_t bytes = 0;      // of all lines
    size_t sent = 0;       // of the first line
    uint64_t dropped = 0;  // and not said yet
    bool ready = false;    // the thread's
  };

  bool Empty() const { return queues_[0].lines.empty() && queues_[1].lines.empty(); }
  void Wake() const {
    const uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof(one));
  }
  static void Push(Queue* queue, std::string line) {
    queue->bytes += line.size();
    queue->lines.push_back(std::move(line));
  }
  void SayDropped(Queue* queue) {
    const uint64_t count = std::exchange(queue->dropped, 0);
    if (count > 0 && dropped_line_) Push(queue, dropped_line_(count));
  }

  // Until a descriptor with lines is ready, or there is news. False when it is time to end.
  bool WaitForWork() {
    std::array<pollfd, 3> entries = {
        {{wake_.get(), POLLIN, 0}, {-1, POLLOUT, 0}, {-1, POLLOUT, 0}}};
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return false;
      for (size_t i = 0; i < queues_.size(); ++i) {
        if (!queues_[i].lines.empty()) entries[i + 1].fd = queues_[i].fd;
      }
    }
    if (::poll(entries.data(), entries.size(), -1) < 0) return true;
    uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof(count));
    for (size_t i = 0; i < queues_.size(); ++i) queues_[i].ready = entries[i + 1].revents != 0;
    return true;
  }

  // One piece of the first line. The line stays in the queue meanwhile, so that Flush waits for it;
  // others only add behind it, which moves no element of a deque.
  void WriteOne(Queue* queue) {
    if (!std::exchange(queue->ready, false)) return;
    std::string_view piece;
    {
      const std::lock_guard lock(mutex_);
      piece = std::string_view(queue->lines.front()).substr(queue->sent);
    }
    const ssize_t written = WritePiece(queue->fd, piece);
    const std::lock_guard lock(mutex_);
    if (written < 0) dropped_.fetch_add(1, std::memory_order_relaxed);
    queue->sent =
        written < 0 ? queue->lines.front().size() : queue->sent + static_cast<size_t>(written);
    if (queue->sent < queue->lines.front().size()) return;
    queue->bytes -= queue->lines.front().size();
    queue->lines.pop_front();
    queue->sent = 0;
    if (queue->lines.empty()) SayDropped(queue);
    if (Empty()) emptied_.notify_all();
  }

  const std::function<std::string(uint64_t)> dropped_line_;
  const size_t bytes_max_;
  const Fd wake_;
  mutable std::mutex mutex_;
  std::condition_variable emptied_;  // or ended
  std::array<Queue, 2> queues_;
  bool stopping_ = false;
  bool ended_ = false;
  std::atomic<uint64_t> dropped_ = 0;
};

LineOutput::LineOutput(Options options) : writer_(std::make_shared<Writer>(std::move(options))) {
  // Detached: a join would wait for a reader who may never come.
  std::thread([writer = writer_] { writer->Run(); }).detach();
}

LineOutput::~LineOutput() {
  const auto end = std::chrono::steady_clock::now() + kEndLimit;
  writer_->Flush(kEndLimit);
  const auto left = end - std::chrono::steady_clock::now();
  writer_->Stop(std::max<base::Duration>(left, base::Millis(100)));
}

void LineOutput::Write(To to, std::string line, Weight weight) {
  writer_->Write(to, std::move(line), weight);
}

bool LineOutput::Flush(base::Duration limit) { return writer_->Flush(limit); }
uint64_t LineOutput::dropped() const { return writer_->dropped(); }

bool WriteWithin(base::Duration limit, int fd, std::string_view text) {
  while (!text.empty()) {
    if (!Ready(fd, limit)) return false;
    const ssize_t written = WritePiece(fd, text);
    if (written < 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace lariat::env::posix

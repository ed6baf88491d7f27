// SPDX-License-Identifier: Apache-2.0
// For the tests of this folder: a world with streams in memory that behave as TCP's do: bytes come
// in pieces of any size, ends are half-closed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "env/env.h"
#include "env/stream.h"

namespace lariat::env::tls {

struct TestHandler final : StreamHandler {
  explicit TestHandler(Stream& s) : stream(s) {}
  size_t OnData(std::string_view bytes) override { return on_data ? on_data(bytes) : Read(bytes); }
  bool KeepOpenAfterPeerClosed() override {
    peer_closed = true;
    return keep_open;
  }
  void OnClosed(const std::string& reason) override {
    if (closed_as != nullptr) *closed_as = reason;
  }
  size_t Read(std::string_view bytes) {
    if (read != nullptr) *read += bytes;
    return bytes.size();
  }

  Stream& stream;
  std::function<size_t(std::string_view)> on_data;
  std::string* read = nullptr;
  std::string* closed_as = nullptr;
  bool keep_open = false;
  bool peer_closed = false;
};

class World;

class MemoryStream final : public Stream {
 public:
  explicit MemoryStream(World& world) : world_(world) {}
  void Write(std::string_view bytes) override {
    if (!Ending()) out += bytes;
  }
  void Write(std::string&& bytes) override { Write(std::string_view(bytes)); }
  size_t UnsentBytes() const override { return out.size(); }
  void PauseReading() override { paused = true; }
  void ResumeReading() override {
    paused = false;
    fresh = fresh || !in.empty();
  }
  void CloseAfterWrite() override { close_after_write = true; }
  void Close() override {
    closed = true;
    out.clear();
  }
  const std::string& PeerAddress() const override { return address; }
  bool Ending() const { return closed || close_after_write; }
  bool Step();  // false: nothing to do

  MemoryStream* other = nullptr;
  std::unique_ptr<StreamHandler> handler;
  std::string in, out;
  std::string address = "memory:1";
  bool paused = false, fresh = false, closed = false, close_after_write = false;
  bool keep_handler = false;  // when it is gone: the test looks into it
  bool end_sent = false, end_came = false, end_told = false, gone = false;

 private:
  World& world_;
};

// Time, tasks, and a network in which every address is that of a listener.
class World : public Clock, public Entropy, public Executor, public Timers, public Network {
 public:
  base::Instant Now() const override { return now_; }
  base::WallTime Wall() const override { return {1'800'000'000'000}; }
  uint64_t Next() override { return ++last_; }
  void Post(Task task) override { tasks_.push_back(std::move(task)); }
  TimerId After(base::Duration delay, Task task) override {
    timers_.emplace(++last_, std::pair(now_ + delay, std::move(task)));
    return last_;
  }
  void Cancel(TimerId id) override { timers_.erase(id); }
  Env env() { return {*this, *this, *this, *this}; }

  base::Result<std::string> Listen(ListenOptions options, MakeHandler make) override {
    listeners_[options.address] = std::move(make);
    return options.address;
  }
  void Connect(const std::string& address, base::Duration, MakeHandler make,
               base::UniqueFunction<void(base::Error)>) override {
    Post([this, address, make = std::move(make)]() mutable { Join(address, make); });
  }
  void StopListening() override { listeners_.clear(); }

  // One end of a connection to the listener, with this handler.
  MemoryStream& Join(const std::string& address, MakeHandler& make) {
    MemoryStream& near = Add();
    MemoryStream& far = Add();
    near.other = &far;
    far.other = &near;
    far.handler = listeners_.at(address)(far);
    if (far.handler == nullptr) far.Close();
    near.handler = make(near);
    return near;
  }

  // One turn: tasks, then the streams.
  bool Turn() {
    std::deque<Task> tasks;
    tasks.swap(tasks_);
    for (Task& task : tasks) task();
    bool busy = !tasks.empty();
    for (size_t i = 0; i < streams_.size(); ++i) busy = streams_[i]->Step() || busy;
    return busy;
  }
  void Run() {
    while (Turn()) {
    }
  }
  void Advance(base::Duration by) {
    now_ += by;
    while (true) {
      const auto due = std::find_if(timers_.begin(), timers_.end(),
                                    [this](auto& each) { return each.second.first <= now_; });
      if (due == timers_.end()) break;
      Task task = std::move(due->second.second);
      timers_.erase(due);
      task();
    }
    Run();
  }
  size_t timers() const { return timers_.size(); }

  size_t piece = SIZE_MAX;  // bytes that arrive at once

 private:
  MemoryStream& Add() {
    streams_.push_back(std::make_unique<MemoryStream>(*this));
    return *streams_.back();
  }

  base::Instant now_{base::Seconds(1000)};
  uint64_t last_ = 0;
  std::deque<Task> tasks_;
  std::map<TimerId, std::pair<base::Instant, Task>> timers_;
  std::map<std::string, MakeHandler> listeners_;
  std::vector<std::unique_ptr<MemoryStream>> streams_;
};

inline bool MemoryStream::Step() {
  if (gone) return false;
  bool busy = false;
  if (closed && !end_sent) {
    end_sent = busy = true;
    other->end_came = true;
  }
  if (closed) {
    gone = true;
    if (handler != nullptr) handler->OnClosed("closed by this side");
    if (!keep_handler) handler.reset();
    return true;
  }
  if (!out.empty()) {
    const size_t count = std::min(world_.piece, out.size());
    other->in += out.substr(0, count);
    other->fresh = true;
    out.erase(0, count);
    busy = true;
    if (out.empty() && handler != nullptr && !close_after_write) handler->OnDrained();
  }
  if (close_after_write && out.empty() && !end_sent) {
    end_sent = busy = true;
    other->end_came = true;
  }
  if (close_after_write && end_sent && (end_came || other->gone)) {
    closed = true;
    return true;
  }
  if (Ending() || paused || handler == nullptr) return busy;
  if (fresh) {
    fresh = false;
    const size_t used = handler->OnData(in);
    in.erase(0, used);
    return true;
  }
  if (end_came && !end_told && other->out.empty()) {
    end_told = true;
    if (!handler->KeepOpenAfterPeerClosed() && !closed) CloseAfterWrite();
    return true;
  }
  return busy;
}

}  // namespace lariat::env::tls

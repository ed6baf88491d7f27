// SPDX-License-Identifier: Apache-2.0
// One thread that turns many requests for durability into few syncs: everybody who asked before a
// sync starts is served by it, everybody who asks while it runs is served by the next one.
//
//   asked     a b c      d e f g          h
//   sync      [--1--][--2--][--3--]       [--4--]
//
//             1 serves a, 2 serves b and c, 3 serves d to g.
//
// With one slow disk the batches grow by themselves, so no timer is needed. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "storage/engine.h"

namespace lariat::storage {

class GroupCommit {
 public:
  // `sync` runs on the committer's thread only. `period` > 0: it runs at least that often.
  GroupCommit(std::function<base::Status()> sync, std::chrono::milliseconds period);
  ~GroupCommit();  // as Stop

  // All requests that go to one queue in one round arrive there as one task.
  void Request(CompletionQueue* queue, Engine::SyncDone done);
  // Serves who waits, then ends the thread. No Request may follow.
  void Stop();

 private:
  struct Waiter {
    CompletionQueue* queue;
    Engine::SyncDone done;
  };
  void Run();
  static void Complete(std::vector<Waiter> waiters, const base::Status& status);

  const std::function<base::Status()> sync_;
  const std::chrono::milliseconds period_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Waiter> waiting_;
  bool asleep_ = false;  // whoever asks first wakes the thread; while it syncs nobody needs to
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lariat::storage

// SPDX-License-Identifier: Apache-2.0
// The outside world as a shard sees it: time, randomness, its event loop and its peers. The core
// gets these passed in and knows no other clock, thread or socket. `env/posix` makes them real;
// `sim/` makes them virtual. One Env belongs to one shard; unless a method says otherwise it is
// called only from that shard's thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/time.h"
#include "base/unique_function.h"
#include "base/uuid.h"

namespace lariat::env {

using Task = base::UniqueFunction<void()>;
using TimerId = uint64_t;  // 0 is never a timer

class Clock {
 public:
  virtual ~Clock() = default;
  virtual base::Instant Now() const = 0;    // monotonic
  virtual base::WallTime Wall() const = 0;  // may jump either way
  // The same in microseconds.
  virtual int64_t WallMicros() const { return Wall().ms * 1000; }
};

class Entropy {
 public:
  virtual ~Entropy() = default;
  // 64 bits that no other call on any node will give again, as far as chance allows.
  virtual uint64_t Next() = 0;
};

class Executor {
 public:
  virtual ~Executor() = default;
  // Runs the task on this shard's thread after the events that are already waiting: the end of
  // the present turn of the loop. Thread-safe. Tasks posted by one thread run in their order.
  virtual void Post(Task task) = 0;
  // Runs the task in the present turn, after all that was waiting when it began and before what it
  // wrote is sent: for what is gathered during a turn. Outside a turn, and where there are none, it
  // is a Post. This shard's thread.
  virtual void AtTurnEnd(Task task) { Post(std::move(task)); }
  // Of the present turn of the loop, for figures; 0: it does not count them. This shard's thread.
  virtual uint64_t TurnNumber() const { return 0; }
};

class Timers {
 public:
  virtual ~Timers() = default;
  virtual TimerId After(base::Duration delay, Task task) = 0;
  virtual void Cancel(TimerId id) = 0;  // unknown or fired ids are ignored
};

struct Env {
  Clock& clock;
  Entropy& entropy;
  Executor& executor;
  Timers& timers;
};

}  // namespace lariat::env

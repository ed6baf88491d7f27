// SPDX-License-Identifier: Apache-2.0
#include "env/posix/shard_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <map>
#include <set>
#include <thread>
#include <vector>

#include "base/prng.h"
#include "env/posix/internal/timer_heap.h"
#include "env/posix/signals.h"
#include "env/posix/test_util.h"

namespace lariat::env::posix {
namespace {

using base::Millis;
using testing::ElementsAre;

base::Instant At(int64_t ms) { return base::Instant(Millis(ms)); }

TEST(TimerHeap, AgreesWithASortedMap) {
  base::Prng prng(7);
  TimerHeap heap;
  std::map<std::pair<int64_t, int>, TimerId> model;  // by deadline, then by the order of adding
  std::pair<int64_t, int> fired;
  for (int i = 0; i < 20000; ++i) {
    const auto step = prng.Below(10);
    if (step < 5) {
      const std::pair<int64_t, int> key(static_cast<int64_t>(prng.Below(50)) + i / 100, i);
      model[key] = heap.Add(At(key.first), [&fired, key] { fired = key; });
    } else if (step < 7 && !model.empty()) {
      const auto victim = std::next(model.begin(), static_cast<int>(prng.Below(model.size())));
      heap.Cancel(victim->second);
      model.erase(victim);
    } else {
      const int64_t now = static_cast<int64_t>(prng.Below(50)) + i / 100;
      Task task = heap.PopDue(At(now));
      ASSERT_EQ(static_cast<bool>(task), !model.empty() && model.begin()->first.first <= now);
      if (!task) continue;
      task();
      ASSERT_EQ(fired, model.begin()->first);
      model.erase(model.begin());
    }
    ASSERT_EQ(heap.empty(), model.empty());
  }
}

TEST(TimerHeap, FiresByDeadlineThenByOrderAndForgetsCancelled) {
  TimerHeap heap;
  std::vector<int> fired;
  const auto note = [&](int what) { return [&fired, what] { fired.push_back(what); }; };
  heap.Add(At(20), note(3));
  heap.Add(At(10), note(1));
  const TimerId cancelled = heap.Add(At(10), note(99));
  heap.Add(At(10), note(2));
  heap.Add(At(30), note(4));
  heap.Cancel(cancelled);
  const TimerId reused = heap.Add(At(25), note(5));
  EXPECT_NE(reused, cancelled);
  heap.Cancel(cancelled);  // must not hit the timer that has its slot now
  while (Task task = heap.PopDue(At(29))) task();
  EXPECT_THAT(fired, ElementsAre(1, 2, 3, 5));
  EXPECT_EQ(heap.first_deadline(), At(30));
}

TEST(ShardLoop, WhatIsLeftForTheTurnsEndRunsInThatTurn) {
  ShardLoop loop("t");
  loop.Start();
  std::vector<std::pair<int, uint64_t>> ran;  // what, and in which turn
  Executor& executor = loop.env().executor;
  const auto note = [&ran, &executor](int what) { ran.emplace_back(what, executor.TurnNumber()); };
  OnLoop(loop, [&] {
    executor.Post([note] { note(4); });
    executor.AtTurnEnd([note, &executor] {
      note(2);
      executor.AtTurnEnd([note] { note(3); });
    });
    note(1);
  });
  ASSERT_TRUE(Eventually([&] { return OnLoop(loop, [&] { return ran.size(); }) == 4; }));
  loop.Stop();
  loop.Join();
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(ran[i], std::pair(static_cast<int>(i) + 1, ran[0].second));
  }
  EXPECT_EQ(ran[3].first, 4);
  EXPECT_GT(ran[3].second, ran[0].second);
}

TEST(ShardLoop, ClockAndEntropyAreReal) {
  ShardLoop loop("t");
  Env env = loop.env();
  const base::Instant before = env.clock.Now();
  EXPECT_GE(env.clock.Now(), before);
  EXPECT_GT(env.clock.Wall().ms, 1'600'000'000'000);
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(env.entropy.Next()).second);
}

TEST(ShardLoop, RunsTasksPostedBeforeItRanInOrder) {
  ShardLoop loop("t");
  std::vector<int> order;
  Executor& executor = loop.env().executor;
  executor.Post([&] {
    order.push_back(1);
    executor.Post([&] {
      order.push_back(3);
      loop.Stop();
    });
  });
  executor.Post([&] { order.push_back(2); });
  loop.Run();
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
}

TEST(ShardLoop, TasksOfOneTurnSeeItsNumber) {
  ShardLoop loop("t");
  std::vector<uint64_t> turns;
  Executor& executor = loop.env().executor;
  const auto note = [&] { turns.push_back(executor.TurnNumber()); };
  executor.Post(note);
  executor.Post([&] {
    note();
    executor.Post([&] {
      note();
      loop.Stop();
    });
  });
  loop.Run();
  ASSERT_EQ(turns.size(), 3U);
  EXPECT_GT(turns[0], 0U);
  EXPECT_EQ(turns[0], turns[1]);
  EXPECT_GT(turns[2], turns[1]);
}

TEST(ShardLoop, EachThreadsTasksRunInTheirOrder) {
  constexpr int kThreads = 4;
  constexpr int kTasks = 5000;
  ShardLoop loop("t");
  loop.Start();
  std::vector<int> last(kThreads, -1);
  std::atomic<int> done = 0;
  std::atomic<bool> ordered = true;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTasks; ++i) {
        loop.env().executor.Post([&, t, i] {
          if (last[t] != i - 1) ordered = false;
          last[t] = i;
          ++done;
        });
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(Eventually([&] { return done == kThreads * kTasks; }));
  EXPECT_TRUE(ordered);
}

TEST(ShardLoop, TasksPostedWhileItIsBusyCostOneWake) {
  ShardLoop loop("t");
  loop.Start();
  std::promise<void> busy;
  std::promise<void> go;
  loop.env().executor.Post([&] {
    busy.set_value();
    go.get_future().wait();
  });
  busy.get_future().wait();
  const uint64_t wakes = loop.wakes();
  std::atomic<int> ran = 0;
  for (int i = 0; i < 100; ++i) loop.env().executor.Post([&] { ++ran; });
  EXPECT_EQ(loop.wakes(), wakes + 1);
  go.set_value();
  EXPECT_TRUE(Eventually([&] { return ran == 100; }));
}

TEST(ShardLoop, ATaskPostedByATaskWaitsForTheNextTurn) {
  ShardLoop loop("t");
  std::vector<uint64_t> turns;
  Executor& executor = loop.env().executor;
  std::function<void()> again = [&] {
    turns.push_back(loop.turns());
    if (turns.size() == 3) return loop.Stop();
    executor.Post([&] { again(); });
  };
  executor.Post([&] { again(); });
  loop.Run();
  EXPECT_EQ(turns[1], turns[0] + 1);
  EXPECT_EQ(turns[2], turns[1] + 1);
}

TEST(ShardLoop, TimersFireInOrderAndNotEarly) {
  ShardLoop loop("t");
  Env env = loop.env();
  std::vector<int> fired;
  const base::Instant start = env.clock.Now();
  base::Instant end;
  env.timers.After(Millis(20), [&] { fired.push_back(2); });
  const TimerId cancelled = env.timers.After(Millis(5), [&] { fired.push_back(99); });
  env.timers.After(Millis(5), [&] { fired.push_back(1); });
  env.timers.After(Millis(-1), [&] {
    fired.push_back(0);
    env.timers.Cancel(cancelled);
    env.timers.After(Millis(30), [&] {
      end = env.clock.Now();
      fired.push_back(3);
      loop.Stop();
    });
  });
  env.timers.Cancel(12345);
  loop.Run();
  EXPECT_THAT(fired, ElementsAre(0, 1, 2, 3));
  EXPECT_GE(end - start, Millis(30));
}

TEST(ShardLoop, AnEarlierTimerThanTheOneWaitedForIsSeen) {
  ShardLoop loop("t");
  loop.Start();
  std::atomic<bool> fired = false;
  OnLoop(loop, [&] { loop.env().timers.After(base::Seconds(1000), [] {}); });
  OnLoop(loop, [&] { loop.env().timers.After(Millis(1), [&] { fired = true; }); });
  EXPECT_TRUE(Eventually([&] { return fired.load(); }));
}

TEST(ShardLoop, MeasuresItsLongestTurn) {
  ShardLoop loop("t");
  loop.Start();
  OnLoop(loop, [] { std::this_thread::sleep_for(std::chrono::milliseconds(5)); });
  OnLoop(loop, [] {});
  EXPECT_GE(loop.TakeLongestTurn(), Millis(5));
}

TEST(ShardLoop, AnIdleLoopTakesNoTurns) {
  ShardLoop loop("t");
  loop.Start();
  OnLoop(loop, [] {});
  uint64_t turns = loop.turns();
  // It settles: no turn between two looks some time apart.
  EXPECT_TRUE(Eventually([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return std::exchange(turns, loop.turns()) == loop.turns();
  }));
}

TEST(Signals, ArriveOnTheLoop) {
  ShardLoop loop("t");
  std::atomic<int> got = 0;
  {
    const Signals signals(&loop, {SIGHUP, SIGUSR1}, [&](int signal) { got = signal; });
    loop.Start();
    ::kill(::getpid(), SIGHUP);
    EXPECT_TRUE(Eventually([&] { return got == SIGHUP; }));
    ::kill(::getpid(), SIGUSR1);
    EXPECT_TRUE(Eventually([&] { return got == SIGUSR1; }));
    loop.Stop();
    loop.Join();
  }
}

}  // namespace
}  // namespace lariat::env::posix

// SPDX-License-Identifier: Apache-2.0
// What a client decides, apart from any socket, clock or thread: whether a try is repeated, whether
// it can be afforded, and when a read is slow. Pure; not thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "client/wire/wire.h"

namespace lariat::client {

// Planted in tests only: a checker is trusted once it has failed.
enum class Bug : uint8_t {
  kNone,
  kRepeatsUnsafeWrites,  // a write without an id is sent again although the first may have arrived
  kForgetsUnknown,       // a refusal after a lost try is sold as "not done"
  kBudgetNeverEmpty,     // retries cost nothing
  kHedgesWithoutShare,   // second requests cost nothing
  kHedgesToTheSameNode,  // the second request goes where the first one waits
  kTrustsOtherContexts,  // a session takes any answer for one that covers what it has seen
};

// Deposits `ratio` for each operation, up to `burst`, and takes 1 for each extra request: extra
// load is bounded by a share of the load, also when every operation fails. Starts full.
class TokenBucket {
 public:
  TokenBucket(double ratio, double burst) : ratio_(ratio), burst_(burst), tokens_(burst) {}
  void Deposit() { tokens_ = tokens_ + ratio_ < burst_ ? tokens_ + ratio_ : burst_; }
  bool Take() {
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  double ratio_, burst_, tokens_;
};

// The 95th percentile of the last kSamples latencies, looked up anew after every kEach.
class LatencyWindow {
 public:
  static constexpr size_t kSamples = 256;
  static constexpr size_t kEach = 32;

  void Add(std::chrono::microseconds latency);
  // Zero until kEach latencies are known.
  std::chrono::microseconds Slow() const { return slow_; }

 private:
  std::vector<std::chrono::microseconds> samples_;
  size_t count_ = 0;
  std::chrono::microseconds slow_{0};
};

// How one try ended.
struct Answer {
  enum class End : uint8_t {
    kReply,
    kNotSent,  // it definitely did not get there
    kLost,     // the connection ended after something was sent
    kSilent,   // no answer in time
  };
  End end = End::kReply;
  Reply reply;          // kReply
  std::string message;  // the others: why, in words
};

struct Judgement {
  bool try_again = false;
  bool is_free = false;         // nobody was bothered: the budget is not asked
  bool may_be_applied = false;  // a write, by this try
  std::chrono::milliseconds pause{0};
};

Judgement Judge(const Request& request, const Answer& answer, Bug bug = Bug::kNone);

// The error that an operation ends in when `answer` was its last try. `may_be_applied`: by any.
Error ErrorOf(const Answer& answer, bool is_read, bool may_be_applied, Bug bug = Bug::kNone);

}  // namespace lariat::client

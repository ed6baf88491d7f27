// SPDX-License-Identifier: Apache-2.0
// One operation from its start to its end: tries, repeats, a second request when a read is slow,
// the deadline. What is decided stands in policy.h; this is the shell with the timer. Lives on the
// thread of its loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "client/node.h"

namespace lariat::client {

// What all calls of a client share.
struct CallContext {
  boost::asio::io_context& loop;
  const ClientOptions& options;
  Counters& counters;
  Bug bug = Bug::kNone;
  TokenBucket retries;
  TokenBucket hedges;
  LatencyWindow reads;
  std::minstd_rand random;
  std::function<void()> on_trouble;  // a node could not be reached or gave a wrong answer
};

class Call : public std::enable_shared_from_this<Call> {
 public:
  using Done = std::function<void(Call& ended, Result<Reply>)>;

  // `context` must outlive it. `done` is called once, at the latest at the deadline; with the reply
  // of a read also if its code is NotFound.
  Call(CallContext& context, std::shared_ptr<const Request> request, Clock::time_point deadline,
       Done done);
  // `nodes`: whom to ask, the best first; each once.
  void Start(std::vector<std::shared_ptr<Node>> nodes);
  void Fail(Error error);
  const Request& request() const { return *request_; }

 private:
  struct Try {
    std::shared_ptr<Exchange> exchange;
    std::shared_ptr<Node> node;
    Clock::time_point limit;
    bool is_live = true;
    bool is_hedge = false;
  };

  void Send(bool is_hedge);
  std::shared_ptr<Node> NextNode(bool is_hedge);
  void OnAnswer(size_t number, Answer answer);
  bool TryAgain(const Judgement& judgement);
  void FinishBy(const Answer& last);
  void Finish(Result<Reply> result);
  bool HasLive() const;
  bool MayHaveArrived() const;
  void Arm();
  void OnTimer();
  void Hedge();

  CallContext& context_;
  const std::shared_ptr<const Request> request_;
  const Clock::time_point begun_;
  const Clock::time_point deadline_;
  Done done_;
  boost::asio::steady_timer timer_;
  std::vector<std::shared_ptr<Node>> nodes_;
  size_t next_node_ = 0;
  std::vector<Try> tries_;
  int attempts_ = 0;            // second requests for slow reads apart
  Clock::time_point retry_at_;  // zero: none is due
  Clock::time_point hedge_at_;  // likewise
  bool may_be_applied_ = false;
  std::optional<Answer> told_;  // the last refusal of a node
};

}  // namespace lariat::client

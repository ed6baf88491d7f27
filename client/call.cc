// SPDX-License-Identifier: Apache-2.0
#include "client/call.h"

#include <algorithm>
#include <utility>

namespace lariat::client {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kBackoffMin{5};
constexpr milliseconds kBackoffMax{200};
constexpr milliseconds kAnswerTakes{50};  // at most, of a node to us
constexpr Clock::time_point kNever{};

}  // namespace

Call::Call(CallContext& context, std::shared_ptr<const Request> request, Clock::time_point deadline,
           Done done)
    : context_(context),
      request_(std::move(request)),
      begun_(Clock::now()),
      deadline_(deadline),
      done_(std::move(done)),
      timer_(context.loop) {}

void Call::Start(std::vector<std::shared_ptr<Node>> nodes) {
  nodes_ = std::move(nodes);
  context_.retries.Deposit();
  const bool may_hedge = request_->op == Request::Op::kGet && context_.options.hedge_ratio > 0;
  if (may_hedge) context_.hedges.Deposit();
  const std::chrono::microseconds slow = context_.reads.Slow();
  if (may_hedge && slow.count() > 0 && nodes_.size() > 1) {
    hedge_at_ = begun_ + std::max<std::chrono::microseconds>(slow, context_.options.hedge_min);
  }
  Send(false);
}

// A second request has to go elsewhere: where the first waits, it would wait behind it.
std::shared_ptr<Node> Call::NextNode(bool is_hedge) {
  if (is_hedge && context_.bug == Bug::kHedgesToTheSameNode) return tries_.front().node;
  return nodes_[next_node_++ % nodes_.size()];
}

void Call::Send(bool is_hedge) {
  const auto now = Clock::now();
  Try next;
  next.is_hedge = is_hedge;
  next.node = NextNode(is_hedge);
  next.limit = deadline_;
  // Another try may follow this one: it does not get all of the time.
  if (request_->IsRepeatable() && attempts_ + 1 < context_.options.attempts) {
    next.limit = std::min(deadline_, now + context_.options.attempt_timeout);
  }
  next.exchange = std::make_shared<Exchange>();
  next.exchange->request = request_;
  // The node's answer, if only that its time was up, has to be here before ours is.
  const auto left = std::chrono::duration_cast<milliseconds>(next.limit - now);
  next.exchange->time = std::max(milliseconds(1), left - std::min(left / 8, kAnswerTakes));
  const size_t number = tries_.size();
  next.exchange->done = [self = shared_from_this(), number](Answer answer) {
    self->OnAnswer(number, std::move(answer));
  };
  if (!is_hedge) ++attempts_;
  ++context_.counters.attempts;
  tries_.push_back(next);
  Arm();
  next.node->Send(next.exchange);  // the last, since it may answer at once
}

void Call::OnAnswer(size_t number, Answer answer) {
  if (!done_) return;
  tries_[number].is_live = false;
  const Judgement judgement = Judge(*request_, answer, context_.bug);
  may_be_applied_ = may_be_applied_ || judgement.may_be_applied;
  if (!judgement.try_again) {
    // That there is no value is an answer of its own: it has a context.
    const Code code = answer.reply.code;
    const bool shown = code == Code::Ok || (request_->IsRead() && code == Code::NotFound);
    if (answer.end == Answer::End::kReply && shown) {
      if (tries_[number].is_hedge) ++context_.counters.hedges_won;
      answer.reply.tries = attempts_;
      return Finish(std::move(answer.reply));
    }
    return FinishBy(answer);
  }
  if (answer.end == Answer::End::kReply) told_ = answer;
  if (answer.end != Answer::End::kReply) context_.on_trouble();
  if (HasLive()) return;
  if (!TryAgain(judgement)) FinishBy(answer);
}

// What a node said tells more than that another one could not be reached.
void Call::FinishBy(const Answer& last) {
  const Answer& answer = last.end == Answer::End::kNotSent && told_ ? *told_ : last;
  Finish(ErrorOf(answer, request_->IsRead(), may_be_applied_, context_.bug));
}

bool Call::TryAgain(const Judgement& judgement) {
  if (attempts_ >= context_.options.attempts) return false;
  const auto backoff = std::min(kBackoffMax, kBackoffMin * (1 << std::min(attempts_, 10)));
  // From half of it to all of it, so that those that failed together do not come back together.
  const auto spread = milliseconds(1 + context_.random() % static_cast<unsigned>(backoff.count()));
  milliseconds pause = std::max(judgement.pause, (backoff + spread) / 2);
  if (judgement.is_free && next_node_ < nodes_.size()) pause = milliseconds(0);
  const auto at = Clock::now() + pause;
  if (at >= deadline_) return false;
  if (!judgement.is_free && context_.bug != Bug::kBudgetNeverEmpty && !context_.retries.Take()) {
    ++context_.counters.retries_refused;
    return false;
  }
  ++context_.counters.retries;
  hedge_at_ = kNever;
  retry_at_ = at;
  Arm();
  return true;
}

void Call::Finish(Result<Reply> result) {
  timer_.cancel();
  for (Try& each : tries_) {
    each.exchange->abandoned = each.exchange->abandoned || each.is_live;
    each.exchange->done = nullptr;  // it holds this call
  }
  if (request_->op == Request::Op::kGet && result.ok()) {
    context_.reads.Add(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun_));
  }
  std::exchange(done_, nullptr)(*this, std::move(result));
}

void Call::Fail(Error error) {
  if (!done_) return;
  if (!request_->IsRead() && (may_be_applied_ || MayHaveArrived())) {
    error.outcome = Outcome::Unknown;
  }
  Finish(std::move(error));
}

bool Call::HasLive() const {
  return std::any_of(tries_.begin(), tries_.end(), [](const Try& each) { return each.is_live; });
}

bool Call::MayHaveArrived() const {
  return std::any_of(tries_.begin(), tries_.end(),
                     [](const Try& each) { return each.is_live && each.exchange->sent != kNever; });
}

void Call::Arm() {
  auto next = deadline_;
  for (const Try& each : tries_) {
    if (each.is_live) next = std::min(next, each.limit);
  }
  for (const auto at : {retry_at_, hedge_at_}) {
    if (at != kNever) next = std::min(next, at);
  }
  timer_.expires_at(next);
  timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (!error && self->done_) self->OnTimer();
  });
}

void Call::OnTimer() {
  const auto now = Clock::now();
  if (now >= deadline_) {
    ++context_.counters.timeouts;
    for (Try& each : tries_) {
      if (each.is_live) each.node->GiveUp(each.exchange);
    }
    return Fail({Code::Timeout, "no answer within the deadline", Outcome::NotDone});
  }
  if (hedge_at_ != kNever && now >= hedge_at_) Hedge();
  if (retry_at_ != kNever && now >= retry_at_) {
    retry_at_ = kNever;
    return Send(false);
  }
  for (size_t i = 0; i < tries_.size() && done_; ++i) {
    if (!tries_[i].is_live || now < tries_[i].limit) continue;
    const Try silent = tries_[i];
    silent.node->GiveUp(silent.exchange);
    OnAnswer(i, {Answer::End::kSilent, {}, silent.node->address() + ": no answer in time"});
  }
  if (done_) Arm();
}

void Call::Hedge() {
  hedge_at_ = kNever;
  if (context_.bug != Bug::kHedgesWithoutShare && !context_.hedges.Take()) {
    ++context_.counters.hedges_refused;
    return;
  }
  ++context_.counters.hedges;
  Send(true);
}

}  // namespace lariat::client

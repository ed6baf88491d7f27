// SPDX-License-Identifier: Apache-2.0
#include "client/policy.h"

#include <algorithm>

namespace lariat::client {

void LatencyWindow::Add(std::chrono::microseconds latency) {
  if (samples_.size() < kSamples) {
    samples_.push_back(latency);
  } else {
    samples_[count_ % kSamples] = latency;
  }
  if (++count_ % kEach != 0) return;
  std::vector<std::chrono::microseconds> sorted = samples_;
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() * 95 / 100);
  std::nth_element(sorted.begin(), at, sorted.end());
  slow_ = *at;
}

Judgement Judge(const Request& request, const Answer& answer, Bug bug) {
  Judgement out;
  const bool repeatable = request.IsRepeatable() || bug == Bug::kRepeatsUnsafeWrites;
  switch (answer.end) {
    case Answer::End::kNotSent:
      out.try_again = out.is_free = true;
      return out;
    case Answer::End::kLost:
    case Answer::End::kSilent:
      out.may_be_applied = !request.IsRead();
      out.try_again = repeatable;
      return out;
    case Answer::End::kReply:
      break;
  }
  out.pause = answer.reply.retry_in;
  switch (answer.reply.code) {
    case Code::InsufficientReplicas:  // another node may see others alive
    case Code::Unavailable:
    case Code::Overloaded:
    case Code::RateLimited:
      out.try_again = true;
      return out;
    case Code::Timeout:
    case Code::Unknown:
      out.may_be_applied = !request.IsRead();
      out.try_again = repeatable;
      return out;
    case Code::Server:  // that node's disk, for example; it did nothing
      out.try_again = true;
      return out;
    default:
      return out;
  }
}

Error ErrorOf(const Answer& answer, bool is_read, bool may_be_applied, Bug bug) {
  Error error;
  const bool unknown = !is_read && may_be_applied && bug != Bug::kForgetsUnknown;
  error.outcome = unknown ? Outcome::Unknown : Outcome::NotDone;
  switch (answer.end) {
    case Answer::End::kReply:
      error.code = answer.reply.code;
      error.message = answer.reply.message;
      break;
    case Answer::End::kNotSent:
      error.code = Code::Unreachable;
      error.message = answer.message;
      break;
    case Answer::End::kLost:
      error.code = is_read ? Code::Unavailable : Code::Unknown;
      error.message = answer.message;
      break;
    case Answer::End::kSilent:
      error.code = Code::Timeout;
      error.message = answer.message;
      break;
  }
  if (is_read && error.code == Code::Unknown) error.code = Code::Timeout;
  if (unknown) error.message += "; the write may or may not have been applied";
  return error;
}

}  // namespace lariat::client

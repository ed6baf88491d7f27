// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/pump.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "apps/lariat/terminal/text.h"

namespace lariat::cli::transfer {

namespace {

using Millis = std::chrono::milliseconds;

// One slow record may hold back the resume offset, but not let the tracker grow without bound.
constexpr size_t kWindowMax = 8192;

// All connections of a node that hangs find it out for themselves; this keeps them from coming
// back.
constexpr Millis kAvoidHung{30000};

Millis RetryAfter(const net::Response& response) {
  std::string_view text = response.Header("retry-after");
  int64_t seconds = 0;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  return std::chrono::seconds(std::clamp<int64_t>(seconds, 0, 30));
}

}  // namespace

Pump::Pump(PumpOptions options, RecordReader& reader, Job& job, Tracker& tracker,
           Progress& progress, std::function<void()> each_second)
    : options_(std::move(options)),
      reader_(reader),
      job_(job),
      tracker_(tracker),
      progress_(progress),
      each_second_(std::move(each_second)),
      lanes_(std::max<size_t>(options_.concurrency, 1)),
      avoid_until_(options_.nodes.size()),
      jitter_(static_cast<uint64_t>(Clock::now().time_since_epoch().count())) {
  for (size_t i = 0; i < lanes_.size(); ++i) {
    lanes_[i].node = i % options_.nodes.size();
    lanes_[i].connection.emplace(loop_, options_.nodes[lanes_[i].node], options_.trust);
  }
}

std::string Pump::Run() {
  FillIdle();
  if (busy_ > 0) {
    loop_.After(std::chrono::seconds(1), [this] { Tick(); });
    loop_.Run();
  }
  return stopped_because_;
}

void Pump::Tick() {
  each_second_();
  loop_.After(std::chrono::seconds(1), [this] { Tick(); });
}

void Pump::FillIdle() {
  for (Lane& lane : lanes_) {
    if (!reading_ || tracker_.window() >= kWindowMax) break;
    if (lane.busy || !ReadInto(lane)) continue;
    lane.busy = true;
    ++busy_;
    lane.attempts = 0;
    lane.first_sent = Clock::now();
    Send(lane);
  }
  if (busy_ == 0) loop_.Stop();
}

// The next record worth sending; what is no record is counted and passed over, now and in a
// resumed run, since it would never become one.
bool Pump::ReadInto(Lane& lane) {
  while (true) {
    if (tally_.failed() > options_.errors_max && stopped_because_.empty()) {
      stopped_because_ = fmt::format("more than {} failures", options_.errors_max);
    }
    if (!stopped_because_.empty()) {
      reading_ = false;
      return false;
    }
    std::string why;
    auto next = reader_.Read(&lane.record, &why);
    if (next == RecordReader::Next::kEnd || next == RecordReader::Next::kBroken) {
      reading_ = false;
      if (next == RecordReader::Next::kBroken) stopped_because_ = why;
      return false;
    }
    lane.ticket = tracker_.Begin(lane.record.end);
    bool bad = next == RecordReader::Next::kBad;
    if (!bad) why = Refusal(lane.record, NowMs());
    if (why.empty()) return true;
    FailRecord(lane.record, bad ? "malformed record" : "cannot be stored", why);
    tracker_.End(lane.ticket);
  }
}

void Pump::Send(Lane& lane) {
  ++lane.attempts;
  net::Request request = job_.Make(lane.record);
  if (!options_.authorization.empty()) {
    request.headers.emplace_back("Authorization", options_.authorization);
  }
  lane.connection->Send(std::move(request), options_.waits, [this, &lane](net::Outcome outcome) {
    OnOutcome(lane, std::move(outcome));
  });
}

void Pump::OnOutcome(Lane& lane, net::Outcome outcome) {
  if (!outcome) {
    MoveOn(lane, outcome.error().hung);
    bool tried_all = lane.attempts % options_.nodes.size() == 0;
    return Retry(lane, outcome.error().message, Millis(tried_all ? 100 : 0));
  }
  Verdict verdict = job_.Judge(lane.record, *outcome);
  switch (verdict.kind) {
    case Verdict::Kind::kRetry:
      return Retry(lane, verdict.reason, std::max(Millis(20), RetryAfter(*outcome)));
    case Verdict::Kind::kStop:
      stopped_because_ = verdict.detail;
      [[fallthrough]];
    case Verdict::Kind::kFailed:
      FailRecord(lane.record, verdict.reason, verdict.detail);
      break;
    case Verdict::Kind::kDone:
      tally_.Done(lane.record.value.size());
      if (verdict.already) tally_.Already();
      if (verdict.twice) tally_.Twice();
      break;
  }
  tracker_.End(lane.ticket);
  Finish(lane);
}

// To the next node that did not hang a moment ago, with a new connection.
void Pump::MoveOn(Lane& lane, bool hung) {
  const size_t count = options_.nodes.size();
  if (hung) avoid_until_[lane.node] = Clock::now() + kAvoidHung;
  const size_t next = (lane.node + 1) % count;
  size_t steps = 0;
  while (steps < count && avoid_until_[(next + steps) % count] > Clock::now()) ++steps;
  lane.node = (next + steps % count) % count;
  lane.connection.emplace(loop_, options_.nodes[lane.node], options_.trust);
}

void Pump::Retry(Lane& lane, const std::string& reason, Millis at_least) {
  if (Clock::now() - lane.first_sent >= options_.give_up) {
    FailRecord(lane.record, "gave up after retries", reason);
    tracker_.Freeze();
    return Finish(lane);
  }
  tally_.Retried();
  Millis delay = at_least;
  if (at_least.count() > 0) {
    // Exponential with jitter, so that the connections do not come back all at once.
    unsigned doublings = std::min(lane.attempts, 6U);
    delay = std::min(Millis(2000), Millis(20 * (1 << doublings)));
    delay = std::max(at_least, delay / 2 + Millis(jitter_.Between(0, delay.count() / 2)));
  }
  loop_.After(delay, [this, &lane] { Send(lane); });
}

void Pump::Finish(Lane& lane) {
  lane.busy = false;
  --busy_;
  progress_.Update(tally_.done() + tally_.failed(), tracker_.offset());
  FillIdle();
}

void Pump::FailRecord(const Record& record, const std::string& reason, const std::string& detail) {
  std::string where = fmt::format("{}:{}", options_.source, record.line);
  if (!record.key.empty()) where += fmt::format(": key '{}'", Printable(record.key));
  tally_.Failed(reason, where + ": " + detail);
  if (options_.on_failed) options_.on_failed(record, reason, detail);
}

}  // namespace lariat::cli::transfer

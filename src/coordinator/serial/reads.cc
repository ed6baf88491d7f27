// SPDX-License-Identifier: Apache-2.0
#include "coordinator/serial/reads.h"

#include <algorithm>
#include <vector>

#include "causal/context.h"
#include "causal/serial/serial.h"
#include "coordinator/internal/replies.h"
#include "coordinator/quorum.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using base::Fail;

// A write under way is done after about one more round trip.
constexpr base::Duration kPause = base::Millis(5);
constexpr uint32_t kFastTries = 8;
constexpr base::Duration kSettleTime = base::Seconds(5);

}  // namespace

struct SerialReads::Job {
  struct Replica {
    enum class State : uint8_t { kAsked, kAnswered, kFailed };
    State state = State::kAsked;
    bool found = false;
    base::Hash128 digest;
    std::string object;
  };

  GetRequest request;
  GetDone done;  // empty: it was answered
  std::weak_ptr<bool> home;
  base::Instant deadline{};
  uint64_t seen = 0;  // the version in the client's context
  Target target;
  Lineup lineup;
  std::vector<Replica> replicas;  // of the present ask
  uint32_t ask = 0;               // replies to earlier ones do not count
  uint32_t tries = 0;
  uint32_t stale = 0;
  bool pausing = false;

  // Whether a majority of each list is among those of whom `counts` is true.
  template <typename Counts>
  bool HasMajorities(Counts counts) const {
    for (const ListSet list : {kInRead, kInMove}) {
      size_t all = 0, counted = 0;
      for (size_t i = 0; i < replicas.size(); ++i) {
        if ((lineup.sets[i] & list) == 0) continue;
        ++all;
        if (counts(replicas[i])) ++counted;
      }
      if (all > 0 && counted < all / 2 + 1) return false;
    }
    return true;
  }
};

SerialReads::SerialReads(OpContext& context, Admission& admission, SerialRounds& rounds)
    : context_(context), admission_(admission), rounds_(rounds) {}

bool SerialReads::Serves(const std::string& bucket) const {
  const auto* found = context_.view() ? context_.view()->FindBucket(bucket) : nullptr;
  return found != nullptr && causal::IsAgreed(found->conflict);
}

void SerialReads::Get(GetRequest request, GetDone done) {
  auto target = context_.Locate(request.bucket, request.key);
  if (!target) return done(Fail(std::move(target.error())));
  const auto quorum =
      ReadQuorum(request.consistency, *target->bucket, context_.settings().request_timeout_ms);
  if (!quorum) return done(Fail(quorum.error()));
  uint64_t seen = 0;
  if (request.context && !request.context->empty()) {
    const auto version = causal::SerialVersionOf(*request.context, request.bucket, request.key);
    if (!version) return done(Fail(version.error()));
    seen = *version;
  }
  if (auto status = admission_.Admit(0); !status) return done(Fail(std::move(status.error())));
  // Not make_shared: the deadline that outlives it shall keep only the control block.
  auto job = JobPtr(new Job());
  job->request = std::move(request);
  job->done = std::move(done);
  job->home = context_.home();
  job->deadline = context_.clock().Now() + base::Millis(quorum->timeout_ms);
  job->seen = seen;
  deadlines_.Add(job->deadline, job);
  job->request.confirm ? RunRound(job) : Ask(job);
}

void SerialReads::Settle(const std::string& bucket, const std::string& key) {
  const auto name = std::make_pair(bucket, key);
  if (settling_.size() >= kSettlesMax || !settling_.insert(name).second) return;
  rounds_.Submit({bucket, key}, serial::Op(), context_.clock().Now() + kSettleTime,
                 [this, name, home = context_.home()](const base::Result<serial::Outcome>&) {
                   if (!home.expired()) settling_.erase(name);
                 });
}

void SerialReads::Tick(base::Instant now) {
  deadlines_.Expire(now, [this](const std::weak_ptr<Job>& weak) {
    const auto job = weak.lock();
    if (job) End(job, Fail(Code::kTimeout, "no majority of the replicas answered in time"));
  });
  pauses_.Expire(now, [this](const std::pair<JobPtr, uint32_t>& pause) {
    const JobPtr& job = pause.first;
    if (job->done && job->ask == pause.second) GoOn(job);
  });
}

void SerialReads::End(const JobPtr& job, base::Result<GetReply> reply) {
  if (!job->done) return;
  admission_.Leave(0);
  std::exchange(job->done, nullptr)(std::move(reply));
}

// --- one round trip ------------------------------------------------------------------------------

void SerialReads::Ask(const JobPtr& job) {
  auto target = context_.Locate(job->request.bucket, job->request.key);
  if (!target) return End(job, Fail(std::move(target.error())));
  const auto [n, other_n] = target->Ns();
  auto able = CheckAlive(*target, context_.replicas(), {membership::MajorityOf(n), 0},
                         {membership::MajorityOf(other_n), 0}, false);
  if (!able) return End(job, Fail(std::move(able.error())));
  job->target = std::move(*target);
  job->lineup = ReadLineup(job->target, context_.replicas(), /*with_move_list=*/true);
  if (job->lineup.sets.empty()) job->lineup.sets.assign(job->lineup.nodes.size(), kInRead);
  job->replicas.assign(job->lineup.nodes.size(), {});
  job->pausing = false;
  const uint32_t ask = ++job->ask;
  const auto first = std::find(job->lineup.usable.begin(), job->lineup.usable.end(), true);
  const auto with_data = static_cast<size_t>(first - job->lineup.usable.begin());
  for (size_t i = 0; i < job->lineup.nodes.size(); ++i) {
    if (!job->lineup.usable[i]) job->replicas[i].state = Job::Replica::State::kFailed;
  }
  const base::Duration left = std::max(job->deadline - context_.clock().Now(), base::Millis(1));
  const Target asked = job->target;
  const Lineup lineup = job->lineup;
  for (size_t i = 0; i < lineup.nodes.size() && job->done && job->ask == ask; ++i) {
    if (!lineup.usable[i]) continue;
    wire::ReadRequest request;
    request.bucket = asked.bucket->id;
    request.token = asked.token.value;
    request.key = job->request.key;
    request.digest_only = i != with_data && job->tries == 0;
    context_.replicas().Read({*asked.view, lineup.nodes[i], left}, std::move(request),
                             [this, job, ask, i](wire::ReadReply&& reply) {
                               if (job->home.expired()) {
                                 if (job->done)
                                   job->done(Fail(Code::kUnavailable, "shutting down"));
                                 job->done = nullptr;
                                 return;
                               }
                               OnReply(job, ask, i, std::move(reply));
                             });
  }
}

void SerialReads::OnReply(const JobPtr& job, uint32_t ask, size_t replica,
                          wire::ReadReply&& reply) {
  if (!job->done || job->ask != ask) return;
  if (reply.outcome.code == Code::kStaleEpoch) {
    ++job->ask;  // what else comes of it was planned by the same topology
    return context_.WaitFor(
        job->target.view, job->lineup.nodes[replica], job->stale++,
        [this, job, left = job->ask] {
          if (!job->home.expired() && job->done && job->ask == left) Ask(job);
        },
        job->deadline);
  }
  Job::Replica& from = job->replicas[replica];
  from.state = reply.outcome.ok() ? Job::Replica::State::kAnswered : Job::Replica::State::kFailed;
  from.found = reply.found;
  from.digest = reply.digest;
  from.object = std::move(reply.object);
  Judge(job);
}

void SerialReads::Judge(const JobPtr& job) {
  using State = Job::Replica::State;
  for (const Job::Replica& candidate : job->replicas) {
    const bool has_data = !candidate.found || !candidate.object.empty();
    if (candidate.state != State::kAnswered || !has_data) continue;
    const bool agreed = job->HasMajorities([&](const Job::Replica& other) {
      return other.state == State::kAnswered && other.found == candidate.found &&
             (!other.found || other.digest == candidate.digest);
    });
    if (!agreed) continue;
    if (!candidate.found) return Show(job, causal::SerialState());
    const auto object = causal::Object::Decode(candidate.object);
    if (!object || object->serial() == nullptr) {
      return End(job, Fail(Code::kCorruption, "the state of the key cannot be read"));
    }
    const serial::Terms terms{context_.clock().Wall(), context_.settings().limits_clock_drift_ms};
    const bool expired =
        !object->serial()->value.tombstone && serial::IsGone(object->serial()->value, terms);
    if (expired) return RunRound(job);
    context_.metrics().serial_fast_reads.Add();
    return Show(job, *object->serial());
  }
  // Enough have answered, and yet: what is missing may be a replica that never answers.
  const bool enough =
      job->HasMajorities([](const Job::Replica& r) { return r.state == State::kAnswered; });
  const bool all = std::none_of(job->replicas.begin(), job->replicas.end(),
                                [](const Job::Replica& r) { return r.state == State::kAsked; });
  if ((enough || all) && !std::exchange(job->pausing, true)) {
    pauses_.Add(context_.clock().Now() + kPause, {job, job->ask});
  }
}

void SerialReads::GoOn(const JobPtr& job) {
  if (++job->tries < kFastTries) return Ask(job);
  RunRound(job);
}

// --- a round -------------------------------------------------------------------------------------

void SerialReads::RunRound(const JobPtr& job) {
  ++job->ask;
  rounds_.Submit({job->request.bucket, job->request.key}, serial::Op(), job->deadline,
                 [this, job](base::Result<serial::Outcome> result) {
                   if (job->home.expired() || !job->done) return;
                   if (!result) return End(job, Fail(std::move(result.error())));
                   causal::SerialState state;
                   state.version = result->version;
                   if (result->value) state.value = std::move(*result->value);
                   state.value.written = {result->written_ms};
                   Show(job, state);
                 });
}

void SerialReads::Show(const JobPtr& job, const causal::SerialState& state) {
  if (state.version < job->seen) {
    return End(job, Fail(Code::kNotCovered, "the context is of a version that the key never had"));
  }
  GetReply reply;
  reply.version = SerialVersion(state.version);
  reply.timestamp = state.value.written;
  reply.context = SerialContext(state.version, job->request.bucket, job->request.key);
  if (!state.value.tombstone) {
    const causal::Value& value = state.value;
    reply.values.push_back(
        {value.bytes, value.content_type, value.written, value.expires_ms, reply.version});
  }
  for (const Job::Replica& r : job->replicas) {
    if (r.state == Job::Replica::State::kAnswered) ++reply.replicas.primaries;
  }
  End(job, std::move(reply));
}

}  // namespace lariat::coordinator

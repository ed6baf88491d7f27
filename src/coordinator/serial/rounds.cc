// SPDX-License-Identifier: Apache-2.0
#include "coordinator/serial/rounds.h"

#include <algorithm>
#include <utility>

#include "base/coding.h"
#include "causal/serial/serial.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using base::Fail;
using consensus::ProposerCore;

// A promise got beforehand is used within this time: an acceptor whose log was cut waits longer
// before it votes again.
constexpr base::Duration kCacheTime = base::Seconds(10);
constexpr base::Duration kRefusalsTime = base::Millis(30);  // for all of them to arrive
constexpr size_t kLinesCachedMax = 4096;                    // of a shard
constexpr size_t kCachedValueBytesMax = 64 << 10;
constexpr int64_t kBackOffMsMin = 5, kBackOffMsFirst = 50, kBackOffMsMax = 500;
// Views that one round may outlive, if they leave its acceptors as they are.
constexpr uint64_t kEpochsMax = 3;

std::string LineName(const SerialRounds::Place& place) {
  std::string name;
  base::ByteWriter out(&name);
  out.Sized(place.bucket);
  out.Raw(place.key);
  return name;
}

}  // namespace

struct SerialRounds::Round {
  std::string name;  // of the line
  Place place;
  Target target;
  Lineup lineup;
  std::vector<WaiterPtr> batch;
  std::vector<serial::Op> ops;           // of the batch, in order
  std::vector<serial::Outcome> results;  // by the last change that was made
  std::weak_ptr<bool> home;
  std::optional<ProposerCore> core;
  base::Instant deadline{};
  uint32_t stale = 0;  // requests refused as stale
  // The first attempt rests on promises that were got beforehand. Another proposer may have got
  // later ones meanwhile; if every acceptor says so, nobody has the proposal or will, for each
  // accept is delivered once at most (peer_requests.cc): the operations begin anew. Otherwise the
  // core hears the refusals, and has to find out.
  bool cached = false;
  std::vector<std::pair<Action, consensus::AcceptReply>> refusals;
  consensus::Ballot voted;  // of the last proposal that was accepted somewhere
  uint32_t votes = 0;       // for it
  bool changes = false;     // what is proposed has writes of the batch
  bool proposed = false;
  bool corrupt = false;  // the state could not be read
  bool over = false;
};

void SerialRounds::Waiter::End(base::Result<serial::Outcome> result) {
  if (done) std::exchange(done, nullptr)(std::move(result));
}

SerialRounds::SerialRounds(OpContext& context)
    : context_(context), prng_(context.entropy().Next()) {}

serial::Terms SerialRounds::Terms() const {
  return {context_.clock().Wall(), context_.settings().limits_clock_drift_ms};
}

void SerialRounds::Submit(const Place& place, serial::Op op, base::Instant deadline, Done done) {
  // Not make_shared: the deadline that outlives it shall keep only the control block.
  auto waiter = WaiterPtr(new Waiter{std::move(op), deadline, std::move(done), false});
  waiters_.Add(deadline, waiter);
  const std::string name = LineName(place);
  Line& line = lines_[name];
  line.waiting.push_back(std::move(waiter));
  if (!line.round) StartRound(name);
}

void SerialRounds::Tick(base::Instant now) {
  waiters_.Expire(now, [](const std::weak_ptr<Waiter>& weak) {
    const auto waiter = weak.lock();
    if (!waiter) return;
    if (!waiter->op.IsWrite()) {
      return waiter->End(Fail(Code::kTimeout, "no majority of the replicas answered in time"));
    }
    waiter->End(waiter->sent
                    ? Fail(Code::kUnknown,
                           "no majority of the replicas answered in time; the write may or may "
                           "not have happened, or happen yet")
                    : Fail(Code::kUnavailable,
                           "no majority of the replicas promised in time; nothing was proposed"));
  });
  rounds_.Expire(now, [this](const std::weak_ptr<Round>& weak) {
    if (const auto round = weak.lock()) Run(round, round->core->OnTimeout());
  });
  back_offs_.Expire(now, [](const std::function<void()>& again) { again(); });
  idle_.Expire(now, [this, now](const std::string& name) {
    const auto line = lines_.find(name);
    if (line == lines_.end() || line->second.round || line->second.cache_until > now) return;
    lines_.erase(line);
  });
}

// --- a round -------------------------------------------------------------------------------------

std::vector<SerialRounds::WaiterPtr> SerialRounds::TakeBatch(Line& line) {
  std::vector<WaiterPtr> batch;
  while (!line.waiting.empty() && batch.size() < kSerialBatchMax) {
    if (line.waiting.front()->done) batch.push_back(std::move(line.waiting.front()));
    line.waiting.pop_front();
  }
  return batch;
}

void SerialRounds::StartRound(const std::string& name) {
  const auto found = lines_.find(name);
  Line& line = found->second;
  std::vector<WaiterPtr> batch = TakeBatch(line);
  if (batch.empty()) return Rest(name, line);
  base::ByteReader in(name);
  const std::string bucket(in.Sized());
  const std::string key(in.Rest());
  auto target = context_.Locate(bucket, key);
  base::Status able;
  if (target) {
    const auto [n, other_n] = target->Ns();
    able = CheckAlive(*target, context_.replicas(), {membership::MajorityOf(n), 0},
                      {membership::MajorityOf(other_n), 0}, false);
  } else {
    able = Fail(std::move(target.error()));
  }
  if (!able) {
    for (const WaiterPtr& waiter : batch) waiter->End(Fail(able.error()));
    if (const auto left = lines_.find(name); left != lines_.end() && !left->second.round) {
      StartRound(name);  // who came meanwhile, or is left
    }
    return;
  }
  const RoundPtr round = MakeRound(name, line, std::move(*target), std::move(batch));
  round->place = {bucket, key};
  line.round = round;
  rounds_.Add(round->deadline, round);
  context_.metrics().serial_rounds.Add();
  Run(round, round->core->Start());
}

SerialRounds::RoundPtr SerialRounds::MakeRound(const std::string& name, Line& line, Target target,
                                               std::vector<WaiterPtr> batch) {
  if (!ballots_) {
    ballots_.emplace(target.view->MemberAt(target.view->self).Number(), context_.entropy().Next());
  }
  // Not make_shared: see Submit.
  auto round = RoundPtr(new Round());
  round->name = name;
  round->home = context_.home();
  round->lineup = WriteLineup(target, context_.replicas());
  for (const WaiterPtr& waiter : batch) {
    round->deadline = std::max(round->deadline, waiter->deadline);
    round->ops.push_back(waiter->op);
  }
  if (batch.size() > 1) context_.metrics().serial_combined.Add(batch.size());
  round->batch = std::move(batch);
  ProposerCore::Options options;
  options.acceptors = round->lineup.nodes.size();
  options.lists.assign(round->lineup.sets.begin(), round->lineup.sets.end());
  options.ask_next = true;
  consensus::ProposerCache cache = std::move(line.cache);
  const bool fresh =
      line.cache_fence == target.view->fence() && context_.clock().Now() < line.cache_until;
  if (!fresh) cache = {};
  round->cached = !cache.empty();
  if (round->cached) context_.metrics().serial_short_rounds.Add();
  round->target = std::move(target);
  round->core.emplace(
      std::move(options), &*ballots_,
      [this, &round = *round](std::optional<std::string_view> current) {
        return Change(round, current);
      },
      std::move(cache));
  return round;
}

std::optional<std::string> SerialRounds::Change(Round& round,
                                                std::optional<std::string_view> current) {
  causal::SerialState state;
  if (current) {
    auto decoded = causal::SerialState::OfBody(*current);
    round.corrupt = !decoded;
    if (!decoded) return std::nullopt;
    state = std::move(*decoded);
  }
  // Who was told meanwhile that nothing of it was done has to be right.
  for (size_t i = 0; i < round.ops.size(); ++i) {
    if (!round.batch[i]->done) round.ops[i] = serial::Op();
  }
  round.changes = serial::Apply(round.ops, Terms(), &state, &round.results);
  return round.changes ? std::optional(state.Body()) : std::nullopt;
}

void SerialRounds::Run(const RoundPtr& round, const Actions& actions) {
  for (const Action& action : actions) {
    if (round->over) return;
    switch (action.kind) {
      case ProposerCore::ActionKind::kPrepare:
        Prepare(round, action);
        break;
      case ProposerCore::ActionKind::kAccept:
        Accept(round, action);
        break;
      case ProposerCore::ActionKind::kBackOff:
        BackOff(round, action.attempt);
        break;
      case ProposerCore::ActionKind::kFinish:
        Finish(round);
        break;
    }
  }
}

base::Duration SerialRounds::TimeLeft(const Round& round) const {
  return std::max(round.deadline - context_.clock().Now(), base::Millis(1));
}

void SerialRounds::Prepare(const RoundPtr& round, const Action& action) {
  const Target& target = round->target;
  wire::ReadRequest request;
  request.bucket = target.bucket->id;
  request.token = target.token.value;
  request.key = round->place.key;
  request.promise = action.ballot;
  context_.replicas().Read({*target.view, round->lineup.nodes[action.acceptor], TimeLeft(*round)},
                           std::move(request), [this, round, action](const wire::ReadReply& reply) {
                             if (!round->home.expired() && !round->over)
                               OnPrepared(round, action, reply);
                           });
}

void SerialRounds::OnPrepared(const RoundPtr& round, const Action& action,
                              const wire::ReadReply& reply) {
  // An acceptor that knows no promises gives none.
  const bool votes = reply.outcome.ok() && !reply.promised.IsZero();
  if (!votes) return Failed(round, action, reply.outcome.code);
  consensus::PrepareReply vote;
  vote.ok = reply.promised == action.ballot;
  vote.ballot = action.ballot;
  vote.seen = reply.promised;
  if (vote.ok && reply.found) {
    const auto parts = causal::SerialPartsOf(reply.object);
    if (!parts) return Failed(round, action, Code::kCorruption);
    vote.accepted = parts->accepted;
    vote.value = std::string(parts->body);
  }
  Run(round, round->core->OnPrepareReply(action.acceptor, vote));
}

void SerialRounds::Accept(const RoundPtr& round, const Action& action) {
  const consensus::Proposal& proposal = round->core->proposal();
  if (proposal.ballot != action.ballot) return;  // its reply overtook those behind it
  round->proposed = true;
  for (const WaiterPtr& waiter : round->batch) waiter->sent |= round->changes;
  const Target& target = round->target;
  wire::WriteRequest request;
  request.bucket = target.bucket->id;
  request.token = target.token.value;
  request.key = round->place.key;
  request.object = causal::SerialObject(
      proposal.ballot, proposal.value ? *proposal.value : causal::SerialState().Body());
  request.durability = static_cast<uint8_t>(membership::Durability::kSync);
  request.next = proposal.next;
  context_.replicas().Write({*target.view, round->lineup.nodes[action.acceptor], TimeLeft(*round)},
                            std::move(request),
                            [this, round, action](const wire::WriteReply& reply) {
                              if (!round->home.expired() && !round->over)
                                OnAccepted(round, action, reply);
                            });
}

void SerialRounds::OnAccepted(const RoundPtr& round, const Action& action,
                              const wire::WriteReply& reply) {
  const bool votes = reply.outcome.ok() && !reply.promised.IsZero();
  if (!votes) return Failed(round, action, reply.outcome.code);
  consensus::AcceptReply vote;
  vote.ok = reply.standing == causal::Standing::kHeld;
  vote.ballot = action.ballot;
  vote.seen = reply.promised;
  const auto& next = round->core->proposal().next;
  vote.next_promised = vote.ok && !next.IsZero() && reply.promised == next;
  if (vote.ok) {
    round->votes = round->voted == action.ballot ? round->votes + 1 : 1;
    round->voted = action.ballot;
  }
  if (vote.ok || !round->cached || action.attempt != 1) {
    return Run(round, round->core->OnAcceptReply(action.acceptor, vote));
  }
  ballots_->Observe(vote.seen);
  round->refusals.emplace_back(action, std::move(vote));
  if (round->refusals.size() == round->lineup.nodes.size()) {
    context_.metrics().serial_conflicts.Add();
    for (const WaiterPtr& waiter : round->batch) waiter->sent = false;
    return Leave(round, std::move(round->batch));
  }
  if (round->refusals.size() > 1) return;
  back_offs_.Add(context_.clock().Now() + kRefusalsTime, [this, round] {
    round->cached = false;
    for (const auto& [refused, refusal] : std::exchange(round->refusals, {})) {
      if (round->home.expired() || round->over) return;
      Run(round, round->core->OnAcceptReply(refused.acceptor, refusal));
    }
  });
}

// --- what goes wrong -----------------------------------------------------------------------------

void SerialRounds::Failed(const RoundPtr& round, const Action& action, Code code) {
  if (code != Code::kStaleEpoch) {
    context_.metrics().replica_failures.Add();
    return Run(round, round->core->OnFailure(action));
  }
  context_.WaitFor(
      round->target.view, round->lineup.nodes[action.acceptor], round->stale++,
      [this, round, action] {
        if (!round->home.expired() && !round->over) SendAgain(round, action);
      },
      round->deadline);
}

// The other node had another topology, or this one has. If the acceptors are still the same ones,
// the round goes on; otherwise it begins anew, unless its proposal went out to the earlier ones.
void SerialRounds::SendAgain(const RoundPtr& round, const Action& action) {
  if (context_.clock().Now() >= round->deadline) return;  // its time is up in this very tick
  auto target = context_.Locate(round->place.bucket, round->place.key);
  if (target) {
    const membership::View& before = *round->target.view;
    const membership::View& now = *target->view;
    Lineup lineup = WriteLineup(*target, context_.replicas());
    const bool same =
        now.topology.epoch - before.topology.epoch <= kEpochsMax &&
        lineup.sets == round->lineup.sets &&
        std::equal(lineup.nodes.begin(), lineup.nodes.end(), round->lineup.nodes.begin(),
                   round->lineup.nodes.end(), [&](ring::NodeIndex a, ring::NodeIndex b) {
                     return now.MemberAt(a).Number() == before.MemberAt(b).Number();
                   });
    if (same) {
      round->target = std::move(*target);
      round->lineup = std::move(lineup);
      context_.metrics().requests_sent_again.Add();
      return Run(round, {action});
    }
  }
  if (round->proposed) return Run(round, round->core->OnTimeout());
  context_.metrics().requests_planned_again.Add();
  Leave(round, std::move(round->batch));
}

void SerialRounds::BackOff(const RoundPtr& round, uint32_t attempt) {
  context_.metrics().serial_conflicts.Add();
  const int64_t doubled = prng_.Between(kBackOffMsMin, kBackOffMsFirst)
                          << std::min<uint32_t>(attempt - 1, 6);
  const auto wait = base::Millis(std::min(doubled, kBackOffMsMax));
  back_offs_.Add(context_.clock().Now() + wait, [this, round] {
    if (!round->home.expired() && !round->over) Run(round, round->core->OnBackedOff());
  });
}

// --- outcomes ------------------------------------------------------------------------------------

void SerialRounds::Finish(const RoundPtr& round) {
  ProposerCore::Result result = round->core->TakeResult();
  Line& line = lines_[round->name];
  const bool small = !result.value || result.value->size() <= kCachedValueBytesMax;
  if (small && lines_.size() <= kLinesCachedMax) {
    line.cache = std::move(result.cache);
    line.cache_fence = round->target.view->fence();
    line.cache_until = context_.clock().Now() + kCacheTime;
  }
  std::vector<WaiterPtr> again;
  if (round->corrupt) {
    result.outcome = ProposerCore::Outcome::kNotApplied;
    result.error = {Code::kCorruption, "the state of the key cannot be read"};
  }
  switch (result.outcome) {
    case ProposerCore::Outcome::kDecided:
    case ProposerCore::Outcome::kRefused:
      for (size_t i = 0; i < round->batch.size(); ++i) {
        round->results[i].replicas = round->votes;
        round->batch[i]->End(std::move(round->results[i]));
      }
      break;
    case ProposerCore::Outcome::kNotApplied:
      for (const WaiterPtr& waiter : round->batch) waiter->End(Fail(result.error));
      break;
    case ProposerCore::Outcome::kUnknown:
      Resolve(round, result, &again);
      break;
  }
  Leave(round, std::move(again));
}

void SerialRounds::Resolve(const RoundPtr& round, const ProposerCore::Result& result,
                           std::vector<WaiterPtr>* again) {
  std::optional<causal::SerialState> state;
  if (result.confirmed) {
    auto decoded = causal::SerialState::OfBody(result.value.value_or(causal::SerialState().Body()));
    if (decoded) state = std::move(*decoded);
  }
  for (size_t i = 0; i < round->batch.size(); ++i) {
    const WaiterPtr& waiter = round->batch[i];
    const serial::Fate fate =
        serial::FateOf(waiter->op, round->results[i], state ? &*state : nullptr, Terms());
    if (fate == serial::Fate::kAnswered) {
      waiter->End(*serial::AnswerTo(*waiter->op.id, *state, Terms()));
    } else if (fate == serial::Fate::kOut && context_.clock().Now() < waiter->deadline) {
      waiter->sent = false;
      again->push_back(waiter);
    } else {
      context_.metrics().serial_unknowns.Add();
      waiter->End(
          Fail(waiter->op.IsWrite() ? Code::kUnknown : Code::kTimeout, result.error.message));
    }
  }
}

void SerialRounds::Leave(const RoundPtr& round, std::vector<WaiterPtr> again) {
  round->over = true;
  Line& line = lines_[round->name];
  line.round = nullptr;
  line.waiting.insert(line.waiting.begin(), again.begin(), again.end());
  StartRound(round->name);
}

void SerialRounds::Rest(const std::string& name, const Line& line) {
  if (!line.cache.empty()) return idle_.Add(line.cache_until, name);
  lines_.erase(std::string(name));
}

}  // namespace lariat::coordinator

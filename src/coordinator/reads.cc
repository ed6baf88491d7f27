// SPDX-License-Identifier: Apache-2.0
// The read half of the coordinator: flights that several clients share, and the reply they get.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "coordinator/coordinator.h"

namespace lariat::coordinator {

using base::Code;
using base::Fail;

base::Error Coordinator::TooLate(uint32_t needed) {
  return {Code::kTimeout,
          "the read waited for an earlier one of the same key until its time was up; nothing was "
          "changed by it",
          needed, 0};
}

void Coordinator::StartRead(const Target& target, ReadPlan plan, ReadDone done) {
  ReadOp::Options options;
  options.core = {plan.needed, target.bucket->n, plan.strict, target.bucket->conflict,
                  plan.needed_other};
  options.compare_all = plan.compare_all;
  options.view = target.view;
  // What one replica says may vanish anyhow.
  const bool with_other = plan.strict && plan.needed > 1;
  options.lineup = ReadLineup(target, replicas_, with_other);
  if (plan.sloppy) {
    const auto spares = SparesOf(target, replicas_);
    AddSpares(spares, &options.lineup);
    options.core.sloppy = true;
    options.core.pr = plan.primaries;
    options.core.spares = spares.size();
  }
  options.bucket = target.bucket->id;
  options.token = target.token.value;
  options.key = std::move(plan.key);
  options.idempotency_key = std::move(plan.idempotency_key);
  options.durability = target.bucket->durability;
  const base::Instant now = env_.clock.Now();
  options.timeout = plan.deadline - now;
  // Not make_shared: the deadline that outlives it shall keep only the control block.
  auto op = std::shared_ptr<ReadOp>(
      new ReadOp(std::move(options), replicas_, *this, metrics_, std::move(done)));
  read_deadlines_.Add(plan.deadline, op);
  hedges_.Add(now + base::Millis(settings_.request_hedge_ms), op);
  op->Start();
}

void Coordinator::Get(GetRequest request, GetDone done) {
  auto target = Locate(request.bucket, request.key);
  if (!target) return done(Fail(target.error()));
  auto quorum = ReadQuorum(request.consistency, *target->bucket, settings_.request_timeout_ms);
  if (!quorum) return done(Fail(quorum.error()));
  if (auto status = CheckReadable(*target, *quorum); !status) return done(Fail(status.error()));
  if (auto status = Admit(0); !status) return done(Fail(status.error()));
  auto leaving = [this, alive = std::weak_ptr<bool>(alive_),
                  done = std::move(done)](base::Result<GetReply> reply) mutable {
    if (!alive.expired()) Leave(0);
    done(std::move(reply));
  };
  const base::Instant due = env_.clock.Now() + base::Millis(quorum->timeout_ms);
  std::string flight_key = request.bucket + '\0' + request.key + '\0' +
                           std::to_string(quorum->MinimumAlive()) + '\0' +
                           std::to_string(quorum->timeout_ms);
  if (!target->replicas.other.empty()) {
    flight_key += '\0' + std::to_string(quorum->NeededOf(target->NextN()));
  }
  // No bucket's name begins so.
  if (quorum->sloppy) flight_key = '\0' + std::to_string(quorum->primaries) + '\0' + flight_key;
  const auto under_way = flights_.find(flight_key);
  if (under_way != flights_.end()) {
    metrics_.reads_coalesced.Add();
    Flight& flight = under_way->second;
    if (flight.next_request.empty()) flight.next_request.push_back(std::move(request));
    flight.next.push_back(Waiting(std::move(leaving), quorum->MinimumAlive(), due));
    flight.next_due = std::max(flight.next_due, due);
    return;
  }
  flights_[flight_key].riding.push_back(std::move(leaving));
  StartFlight({std::move(flight_key), std::move(request), due}, *target, *quorum);
}

base::Status Coordinator::CheckReadable(const Target& target, const Quorum& quorum) const {
  const uint32_t needed = quorum.MinimumAlive();
  // A sloppy read brings what it returns to the other list as far as that can be done.
  const bool both = needed > 1 && !quorum.sloppy && IsStrict(target, quorum);
  return CheckAlive(target, {needed, quorum.primaries},
                    {both ? quorum.NeededOf(target.NextN()) : 0, 0}, quorum.sloppy);
}

// With r + w <= n the replicas asked need not know of the latest write, so there is nothing that a
// wait for their agreement would make true.
bool Coordinator::IsStrict(const Target& target, const Quorum& quorum) {
  return quorum.MinimumAlive() + target.bucket->w > target.bucket->n;
}

void Coordinator::Waiter::End(base::Result<GetReply> reply) {
  if (done) std::exchange(done, nullptr)(std::move(reply));
}

GetDone Coordinator::Waiting(GetDone done, uint32_t needed, base::Instant due) {
  // Not make_shared: as in StartRead.
  auto waiter = std::shared_ptr<Waiter>(new Waiter{std::move(done), needed});
  waiter_deadlines_.Add(due, waiter);
  return [waiter](base::Result<GetReply> reply) { waiter->End(std::move(reply)); };
}

// By the present view: the flight is a later one, or its topology has changed under way.
void Coordinator::PlanFlight(FlightPlan plan) {
  auto target = Locate(plan.request.bucket, plan.request.key);
  if (!target) return Land(std::move(plan), Fail(target.error()));
  auto quorum = ReadQuorum(plan.request.consistency, *target->bucket, settings_.request_timeout_ms);
  if (!quorum) return Land(std::move(plan), Fail(quorum.error()));
  if (auto status = CheckReadable(*target, *quorum); !status) {
    return Land(std::move(plan), Fail(status.error()));
  }
  StartFlight(std::move(plan), *target, *quorum);
}

void Coordinator::StartFlight(FlightPlan plan, const Target& target, const Quorum& quorum) {
  ReadPlan read{plan.request.key, "", quorum.MinimumAlive(), quorum.NeededOf(target.NextN()),
                plan.deadline};
  read.strict = IsStrict(target, quorum);
  read.sloppy = quorum.sloppy;
  read.primaries = quorum.primaries;
  read.compare_all = !read.strict && random_.Below(100) < target.bucket->read_repair;
  StartRead(target, std::move(read),
            [this, alive = std::weak_ptr<bool>(alive_), view = target.view,
             plan = std::move(plan)](base::Result<ReadResult> result) mutable {
              if (alive.expired()) return;
              if (!result && result.error().code == Code::kStaleEpoch) {
                metrics_.requests_planned_again.Add();
                return PlanFlight(std::move(plan));
              }
              auto reply = result ? MakeReply(*view, plan.request, *result)
                                  : base::Result<GetReply>(Fail(result.error()));
              Land(std::move(plan), std::move(reply));
            });
}

void Coordinator::Land(FlightPlan plan, base::Result<GetReply> reply) {
  auto flight = flights_.extract(plan.key);
  LARIAT_CHECK(!flight.empty(), "a flight lands once");
  Flight& landed = flight.mapped();
  std::vector<GetDone> riding = std::move(landed.riding);
  if (!landed.next.empty()) {
    // The next flight starts before the callbacks run: they may ask for the key again.
    flights_[plan.key].riding = std::move(landed.next);
    FlightPlan next{std::move(plan.key), std::move(landed.next_request.front()), landed.next_due};
    if (next.deadline > env_.clock.Now()) {
      PlanFlight(std::move(next));
    } else {
      Land(std::move(next), Fail(TooLate(0)));
    }
  }
  for (size_t i = 0; i + 1 < riding.size(); ++i) riding[i](reply);
  riding.back()(std::move(reply));
}

base::Result<GetReply> Coordinator::MakeReply(const membership::View& view,
                                              const GetRequest& request,
                                              const ReadResult& result) const {
  GetReply reply;
  reply.replicas = {result.answered - result.stand_ins, result.stand_ins};
  const causal::Object& object = result.object;
  if (object.Empty()) return reply;
  reply.version = NameVersion(object.Version(), view);
  reply.context = causal::EncodeContext(object.WholeContext(), request.bucket, request.key);
  for (const causal::ValueView& value : object.LiveValues(env_.clock.Wall())) {
    ShownValue shown;
    shown.bytes = value.value->bytes;
    shown.content_type = value.value->content_type;
    shown.written = value.value->written;
    shown.expires_ms = value.value->expires_ms;
    shown.version = NameVersion(object.VersionOf(value.dot), view);
    reply.timestamp = std::max(reply.timestamp, shown.written);
    reply.values.push_back(std::move(shown));
  }
  return reply;
}

}  // namespace lariat::coordinator

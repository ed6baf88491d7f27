// SPDX-License-Identifier: Apache-2.0
#include "coordinator/internal/read_flights.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "coordinator/internal/replies.h"
#include "coordinator/read_op.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using base::Fail;

base::Error TooLate(uint32_t needed) {
  return {Code::kTimeout,
          "the read waited for an earlier one of the same key until its time was up; nothing was "
          "changed by it",
          needed, 0};
}

base::Result<Quorum> QuorumOf(const OpContext& context, const GetRequest& request,
                              const Target& target) {
  return ReadQuorum(request.consistency, *target.bucket, context.settings().request_timeout_ms,
                    target.view->topology.NextN(*target.bucket));
}

// With r + w <= n the replicas asked need not know of the latest write, so there is nothing that a
// wait for their agreement would make true.
bool IsStrict(const Target& target, const Quorum& quorum) {
  const uint32_t n = target.Ns().read;
  return quorum.NeededOf(n) + target.bucket->WritersOf(n) > n;
}

constexpr size_t kFlightNumbersBytes = 24;

// Reads with the same key may share flights.
std::string FlightKey(const GetRequest& request, const Target& target, const Quorum& quorum) {
  std::string key;
  key.reserve(request.bucket.size() + request.key.size() + kFlightNumbersBytes);
  base::ByteWriter w(&key);
  w.Sized(request.bucket);
  w.Sized(request.key);
  w.Varint(quorum.NeededOf(target.Ns().read));
  w.Varint(static_cast<uint64_t>(quorum.timeout_ms));
  w.Varint(target.replicas.other.empty() ? 0 : quorum.NeededOfOther(target.Ns().other));
  if (quorum.sloppy) w.Varint(quorum.primaries);
  return key;
}

}  // namespace

void ReadFlights::Get(GetRequest request, GetDone done) {
  auto target = context_.Locate(request.bucket, request.key);
  if (!target) return done(Fail(target.error()));
  auto quorum = QuorumOf(context_, request, *target);
  if (!quorum) return done(Fail(quorum.error()));
  if (auto status = Check(*target, *quorum); !status) return done(Fail(status.error()));
  if (auto status = admission_.Admit(0); !status) return done(Fail(status.error()));
  GetDone leaving = Leaving(std::move(done));
  const base::Instant due = context_.clock().Now() + base::Millis(quorum->timeout_ms);
  std::string key = FlightKey(request, *target, *quorum);
  const auto under_way = flights_.find(key);
  if (under_way != flights_.end()) {
    context_.metrics().reads_coalesced.Add();
    Flight& flight = under_way->second;
    if (flight.next_request.empty()) flight.next_request.push_back(std::move(request));
    flight.next.push_back(Waiting(std::move(leaving), quorum->NeededOf(target->Ns().read), due));
    flight.next_due = std::max(flight.next_due, due);
    return;
  }
  flights_[key].riding.push_back(std::move(leaving));
  Start({std::move(key), std::move(request), due}, *target, *quorum);
}

void ReadFlights::Tick(base::Instant now) {
  waiters_.Expire(now, [](const std::weak_ptr<Waiter>& weak) {
    if (auto waiter = weak.lock()) waiter->End(Fail(TooLate(waiter->needed)));
  });
}

base::Status ReadFlights::Check(const Target& target, const Quorum& quorum) const {
  const auto [n, other_n] = target.Ns();
  const uint32_t needed = quorum.NeededOf(n);
  // A sloppy read brings what it returns to the move list as far as that can be done.
  const bool both = needed > 1 && !quorum.sloppy && IsStrict(target, quorum);
  return CheckAlive(target, context_.replicas(), {needed, quorum.primaries},
                    {both ? quorum.NeededOfOther(other_n) : 0, 0}, quorum.sloppy);
}

GetDone ReadFlights::Leaving(GetDone done) {
  return
      [this, home = context_.home(), done = std::move(done)](base::Result<GetReply> reply) mutable {
        if (!home.expired()) admission_.Leave(0);
        done(std::move(reply));
      };
}

void ReadFlights::Waiter::End(base::Result<GetReply> reply) {
  if (done) std::exchange(done, nullptr)(std::move(reply));
}

GetDone ReadFlights::Waiting(GetDone done, uint32_t needed, base::Instant due) {
  // Not make_shared: the deadline that outlives it shall keep only the control block.
  auto waiter = std::shared_ptr<Waiter>(new Waiter{std::move(done), needed});
  waiters_.Add(due, waiter);
  return [waiter](base::Result<GetReply> reply) { waiter->End(std::move(reply)); };
}

// By the present view: the flight is a later one, or its topology has changed under way.
void ReadFlights::Prepare(Plan plan) {
  auto target = context_.Locate(plan.request.bucket, plan.request.key);
  if (!target) return Land(std::move(plan), Fail(target.error()));
  auto quorum = QuorumOf(context_, plan.request, *target);
  if (!quorum) return Land(std::move(plan), Fail(quorum.error()));
  if (auto status = Check(*target, *quorum); !status) {
    return Land(std::move(plan), Fail(status.error()));
  }
  Start(std::move(plan), *target, *quorum);
}

void ReadFlights::Start(Plan plan, const Target& target, const Quorum& quorum) {
  const auto [n, other_n] = target.Ns();
  ReadPlan read{plan.request.key, "", quorum.NeededOf(n), quorum.NeededOfOther(other_n),
                plan.deadline};
  read.strict = IsStrict(target, quorum);
  read.sloppy = quorum.sloppy;
  read.primaries = quorum.primaries;
  read.compare_all = !read.strict && random_.Below(100) < target.bucket->read_repair;
  reads_.Start(target, std::move(read),
               [this, home = context_.home(), view = target.view,
                plan = std::move(plan)](base::Result<ReadResult> result) mutable {
                 if (home.expired()) return;
                 if (!result && result.error().code == Code::kStaleEpoch) {
                   context_.metrics().requests_planned_again.Add();
                   return Prepare(std::move(plan));
                 }
                 auto reply = result ? base::Result<GetReply>(ShowObject(
                                           *result, plan.request, *view, context_.clock().Wall()))
                                     : Fail(result.error());
                 Land(std::move(plan), std::move(reply));
               });
}

void ReadFlights::Land(Plan plan, base::Result<GetReply> reply) {
  auto flight = flights_.extract(plan.key);
  LARIAT_CHECK(!flight.empty(), "a flight lands once");
  Flight& landed = flight.mapped();
  std::vector<GetDone> riding = std::move(landed.riding);
  if (!landed.next.empty()) {
    // The next flight starts before the callbacks run: they may ask for the key again.
    flights_[plan.key].riding = std::move(landed.next);
    Plan next{std::move(plan.key), std::move(landed.next_request.front()), landed.next_due};
    if (next.deadline > context_.clock().Now()) {
      Prepare(std::move(next));
    } else {
      Land(std::move(next), Fail(TooLate(0)));
    }
  }
  for (size_t i = 0; i + 1 < riding.size(); ++i) riding[i](reply);
  riding.back()(std::move(reply));
}

}  // namespace lariat::coordinator

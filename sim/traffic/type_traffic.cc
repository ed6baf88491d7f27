// SPDX-License-Identifier: Apache-2.0
#include "sim/traffic/type_traffic.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "causal/types/operation.h"
#include "causal/types/shown.h"

namespace lariat::sim {

using base::Code;

namespace {

constexpr const char* kCounters = "counters";
constexpr const char* kSets = "sets";
constexpr base::Duration kWay = base::Duration(20'000);
constexpr base::Duration kEndLimit = base::Seconds(10);
constexpr base::Duration kLook = base::Millis(2);
constexpr int kAttempts = 5;
constexpr base::Instant kEver{base::Duration::max()};

bool IsSet(const std::string& key) { return key[0] == 's'; }
const char* BucketOf(const std::string& key) { return IsSet(key) ? kSets : kCounters; }

}  // namespace

// Does one request after the other.
class TypeTraffic::Client {
 public:
  Client(TypeTraffic& traffic, uint64_t seed) : traffic_(traffic), prng_(seed) {}

  void ThinkThenAct() {
    if (traffic_.stopped_) return;
    Cluster& cluster = traffic_.cluster_;
    cluster.scheduler().After(DrawDelay(cluster.options().think_ms * 1000, &prng_), [this] {
      if (!traffic_.stopped_) Act();
    });
  }

 private:
  struct Knowledge {
    std::string context;
    base::Instant from{};
    base::Instant to{};
    std::set<std::string> elements;
  };

  void Act() {
    const std::vector<std::string> keys = traffic_.Keys();
    const std::string key = keys[prng_.Below(keys.size())];
    if (prng_.Chance(0.3)) return Read(key);
    causal::Operation operation;
    Event event;
    coordinator::WriteRequest request{BucketOf(key), key, {}, {}, {}, {}};
    event.sent = traffic_.cluster_.scheduler().Now();
    if (!IsSet(key)) {
      operation.step.increment = event.amount = prng_.Between(-2, 5);
    } else {
      operation.step.kind = causal::Kind::kSet;
      event.element = std::string(1, static_cast<char>('a' + prng_.Below(6)));
      Knowledge& known = known_[key];
      event.removes = prng_.Chance(0.4);
      if (event.removes && known.elements.contains(event.element) && prng_.Chance(0.6)) {
        request.write.context = known.context;
        event.saw_from = known.from;
        event.saw_to = known.to;
      } else if (event.removes) {
        event.saw_from = event.sent;
        event.saw_to = kEver;  // until it has ended
      }
      (event.removes ? operation.step.remove : operation.step.add) = {event.element};
    }
    request.write.is_operation = true;
    request.write.value = operation.Encode();
    Write(std::move(request), std::move(event));
  }

  void Write(coordinator::WriteRequest request, Event event) {
    std::vector<Event>& events = traffic_.events_[request.key];
    const std::string key = request.key;
    const size_t number = events.size();
    events.push_back(std::move(event));
    traffic_.report_.Count("types: operations");
    const size_t machine = prng_.Below(traffic_.cluster_.size());
    const auto end = [this, key, number](Fate fate) {
      Event& ended = traffic_.events_[key][number];
      ended.fate = fate;
      ended.ended = traffic_.cluster_.scheduler().Now();
      if (ended.removes && ended.saw_to == kEver && fate == Fate::kDone) {
        ended.saw_to = ended.ended;
      }
      if (fate == Fate::kDone) traffic_.report_.Count("types: operations done");
      ThinkThenAct();
    };
    if (!traffic_.cluster_.machine(machine).Running()) return end(Fate::kNotDone);
    traffic_.Ask(
        machine,
        [this, machine, request = std::move(request), end](uint64_t attempt) mutable {
          auto& node = traffic_.cluster_.machine(machine).node();
          node.shard(0).coordinator().Write(
              std::move(request),
              [this, attempt, machine, end](const base::Result<coordinator::WriteReply>& reply) {
                if (!traffic_.End(attempt)) return;
                if (reply) return end(Fate::kDone);
                const Code code = reply.error().code;
                if (code == Code::kNotFound) traffic_.MakeBuckets(machine);
                end(code == Code::kUnknown ? Fate::kUnknown : Fate::kNotDone);
              });
        },
        [end] { end(Fate::kUnknown); });
  }

  void Read(const std::string& key) {
    const size_t machine = prng_.Below(traffic_.cluster_.size());
    if (!traffic_.cluster_.machine(machine).Running()) return ThinkThenAct();
    const base::Instant started = traffic_.cluster_.scheduler().Now();
    traffic_.Ask(
        machine,
        [this, machine, key, started](uint64_t attempt) {
          auto& node = traffic_.cluster_.machine(machine).node();
          node.shard(0).coordinator().Get(
              {BucketOf(key), key, {}, {}, {}},
              [this, attempt, key, started](const base::Result<coordinator::GetReply>& reply) {
                if (!traffic_.End(attempt)) return;
                if (reply) OnRead(key, started, *reply);
                ThinkThenAct();
              });
        },
        [this] { ThinkThenAct(); });
  }

  void OnRead(const std::string& key, base::Instant started, const coordinator::GetReply& reply) {
    const std::string shown = reply.values.empty() ? "" : reply.values.front().bytes;
    traffic_.CheckRead(key, started, shown);
    if (!IsSet(key)) return;
    Knowledge known{reply.context, started, traffic_.cluster_.scheduler().Now(), {}};
    const auto elements = causal::ElementsOf(shown);
    if (elements) known.elements.insert(elements->begin(), elements->end());
    known_[key] = std::move(known);
  }

  TypeTraffic& traffic_;
  base::Prng prng_;
  std::map<std::string, Knowledge> known_;
};

TypeTraffic::TypeTraffic(Cluster& cluster, Report& report, uint64_t seed)
    : cluster_(cluster), report_(report) {
  base::Prng prng(seed);
  for (int64_t i = 0; i < cluster.options().type_clients; ++i) {
    clients_.push_back(std::make_unique<Client>(*this, prng.Next()));
  }
}

TypeTraffic::~TypeTraffic() = default;

std::vector<std::string> TypeTraffic::Keys() const { return {"c0", "c1", "s0", "s1"}; }

void TypeTraffic::Start() {
  if (!clients_.empty()) MakeBuckets(0);
  for (auto& client : clients_) client->ThinkThenAct();
}

void TypeTraffic::MakeBuckets(size_t machine) {
  if (!cluster_.machine(machine).Running()) return;
  for (const char* name : {kCounters, kSets}) {
    membership::BucketProperties bucket;
    bucket.name = name;
    bucket.conflict = name == kSets ? causal::Kind::kSet : causal::Kind::kCounter;
    bucket.n = static_cast<uint32_t>(cluster_.options().n);
    bucket.r = bucket.w = bucket.n / 2 + 1;
    cluster_.machine(machine).Post(0, [this, machine, bucket] {
      auto& shard = cluster_.machine(machine).node().shard(0);
      if (shard.coordinator().Bucket(bucket.name)) return;
      shard.coordinator().SetBucket(bucket, {}, [](const base::Status&) {});
    });
  }
}

void TypeTraffic::Ask(size_t machine, base::UniqueFunction<void(uint64_t)> ask,
                      base::UniqueFunction<void()> lost) {
  const uint64_t attempt = next_attempt_++;
  waiting_.emplace(attempt, Attempt{machine, std::move(lost)});
  Machine& m = cluster_.machine(machine);
  cluster_.scheduler().After(kWay, [&m, life = m.Life(), attempt, ask = std::move(ask)]() mutable {
    if (!m.Running() || m.Life() != life) return;
    m.Post(0, [attempt, ask = std::move(ask)]() mutable { ask(attempt); });
  });
  const base::Duration patience = base::Millis(2 * cluster_.options().request_timeout_ms + 300);
  cluster_.scheduler().After(patience, [this, attempt] {
    auto late = waiting_.extract(attempt);
    if (!late.empty()) late.mapped().give_up();
  });
}

void TypeTraffic::OnDown(size_t machine) {
  std::vector<uint64_t> ids;
  for (const auto& [id, attempt] : waiting_) {
    if (attempt.machine == machine) ids.push_back(id);
  }
  for (const uint64_t id : ids) waiting_.extract(id).mapped().give_up();
}

// --- judging -------------------------------------------------------------------------------------

void TypeTraffic::CheckRead(const std::string& key, base::Instant started,
                            const std::string& shown) {
  report_.Count("checks: values that merge");
  if (IsSet(key)) {
    CheckSet(key, started, shown);
  } else {
    CheckCounter(key, started, shown.empty() ? "0" : shown);
  }
}

void TypeTraffic::CheckCounter(const std::string& key, base::Instant started,
                               const std::string& shown) {
  const base::Instant now = cluster_.scheduler().Now();
  int64_t low = 0;
  int64_t high = 0;
  for (const Event& event : events_[key]) {
    const bool certain = event.IsDoneBy(started);
    if (!certain && !event.MayBeDoneBy(now)) continue;
    low += certain ? event.amount : std::min<int64_t>(0, event.amount);
    high += certain ? event.amount : std::max<int64_t>(0, event.amount);
  }
  const int64_t value = std::stoll(shown);
  if (value >= low && value <= high) return;
  report_.Fail("counter", key, fmt::format("a read shows {}, not {} to {}", value, low, high), now);
}

void TypeTraffic::CheckSet(const std::string& key, base::Instant started,
                           const std::string& shown) {
  const base::Instant now = cluster_.scheduler().Now();
  const auto elements = causal::ElementsOf(shown);
  if (!elements) return report_.Fail("set", key, "a read shows no list", now);
  const std::set<std::string_view> there(elements->begin(), elements->end());
  const std::vector<Event>& events = events_[key];
  for (char name = 'a'; name < 'g'; ++name) {
    const std::string element(1, name);
    const auto of = [&](const Event& e, bool removes) {
      return e.element == element && e.removes == removes;
    };
    // An addition stays unless a removal may have seen it, and another one may have taken its
    // place.
    const bool must = std::any_of(events.begin(), events.end(), [&](const Event& add) {
      return of(add, false) && add.IsDoneBy(started) &&
             std::none_of(events.begin(), events.end(), [&](const Event& removal) {
               return of(removal, true) && removal.MayBeDoneBy(now) && removal.saw_to >= add.sent;
             });
    });
    // Whatever may have been added was certainly seen by a removal that is done.
    const bool may = std::any_of(events.begin(), events.end(), [&](const Event& add) {
      return of(add, false) && add.MayBeDoneBy(now) &&
             std::none_of(events.begin(), events.end(), [&](const Event& removal) {
               return of(removal, true) && removal.IsDoneBy(started) &&
                      add.IsDoneBy(removal.saw_from);
             });
    });
    const bool shows = there.contains(element);
    if (shows && !may) report_.Fail("set", key, element + " is back", now);
    if (!shows && must) report_.Fail("set", key, element + " is lost", now);
  }
}

std::optional<std::string> TypeTraffic::ReadAll(size_t machine, const std::string& key) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    bool answered = false;
    std::optional<std::string> shown;
    const base::Instant started = cluster_.scheduler().Now();
    cluster_.machine(machine).Post(0, [&, machine] {
      coordinator::GetRequest request{BucketOf(key), key, {}, {}, {}};
      request.consistency.level = coordinator::Level::kAll;
      request.consistency.timeout_ms = 3000;
      cluster_.machine(machine).node().shard(0).coordinator().Get(
          std::move(request), [&](const base::Result<coordinator::GetReply>& reply) {
            answered = true;
            if (reply) shown = reply->values.empty() ? "" : reply->values.front().bytes;
          });
    });
    if (!cluster_.scheduler().RunUntilTrue([&] { return answered; }, kEndLimit, kLook)) break;
    if (shown) {
      CheckRead(key, started, *shown);
      return shown;
    }
    cluster_.RunFor(base::Millis(100));
  }
  report_.Fail("heals", key, "it cannot be read from all replicas after all faults have ended",
               cluster_.scheduler().Now());
  return std::nullopt;
}

void TypeTraffic::CheckEnd() {
  for (const std::string& key : Keys()) {
    if (events_[key].empty()) continue;
    const auto& events = events_[key];
    const bool any = std::any_of(events.begin(), events.end(),
                                 [](const Event& e) { return e.fate == Fate::kDone; });
    if (!any) continue;
    std::optional<std::string> first;
    for (const size_t machine : cluster_.Members()) {
      const auto shown = ReadAll(machine, key);
      if (!shown || report_.failed()) return;
      if (!first) first = shown;
      if (*shown == *first) continue;
      return report_.Fail("converges", key, "two reads of all replicas differ",
                          cluster_.scheduler().Now());
    }
  }
}

}  // namespace lariat::sim

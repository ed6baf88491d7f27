// SPDX-License-Identifier: Apache-2.0
#include "sim/traffic/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "coordinator/pages/position.h"

namespace lariat::sim {

using base::Code;

namespace {

constexpr base::Instant kNotYet{};

// Whether the answer says for certain that nothing was done.
Outcome OutcomeOf(const base::Error& error, Bug bug) {
  if (error.code == Code::kUnknown && bug != Bug::kUnknownIsNotDone) return Outcome::kUnknown;
  return Outcome::kNotDone;
}

}  // namespace

Traffic::Client::Client(Traffic& traffic, int number, uint64_t seed)
    : traffic_(traffic), cluster_(traffic.cluster_), number_(number), prng_(seed) {}

base::Duration Traffic::Client::Latency() { return base::Duration(20000) + DrawDelay(100, &prng_); }

base::Duration Traffic::Client::Patience() const {
  return base::Millis(2 * cluster_.options().request_timeout_ms + 300);
}

void Traffic::Client::Note(const std::string& key, const std::string& text) {
  cluster_.trace().Note(cluster_.scheduler().Now(), -1, key, text,
                        [&] { return fmt::format("c{} {}", number_ + 1, text); });
}

Write& Traffic::Client::WriteOf(const Order& order) {
  return traffic_.history_.Of(order.key).writes[static_cast<size_t>(order.token)];
}

void Traffic::Client::ThinkThenAct() {
  if (traffic_.stopped_) return;
  cluster_.scheduler().After(DrawDelay(cluster_.options().think_ms * 1000, &prng_), [this] {
    if (!traffic_.stopped_) Act();
  });
}

void Traffic::Client::Act() {
  const Options& o = cluster_.options();
  const std::string key = traffic_.keys_[prng_.Below(traffic_.keys_.size())];
  const int64_t weights[] = {o.mix_get,         o.mix_put,        o.mix_blind, o.mix_delete,
                             o.mix_conditional, o.mix_idempotent, o.mix_list};
  int64_t total = 0;
  for (const int64_t weight : weights) total += weight;
  int64_t pick = prng_.Between(0, total - 1);
  size_t kind = 0;
  while (pick >= weights[kind]) pick -= weights[kind++];
  switch (kind) {
    case 0:
      return Read(key);
    case 1:
      return Put(key, true);
    case 2:
      return Put(key, false);
    case 3:
      return Delete(key);
    case 4:
      return Conditional(key);
    case 5:
      return Idempotent(key);
    default:
      return List();
  }
}

bool Traffic::Client::PickMachine(size_t* machine, uint32_t* shard) {
  *machine = prng_.Below(cluster_.size());
  *shard = static_cast<uint32_t>(prng_.Below(static_cast<uint64_t>(cluster_.options().shards)));
  return cluster_.machine(*machine).Running();
}

// Runs the task on the shard's loop after the way there, unless the machine went down.
template <typename Task>
void Traffic::Client::AtMachine(size_t machine, uint32_t shard, Task task) {
  Machine& m = cluster_.machine(machine);
  cluster_.scheduler().After(Latency(),
                             [&m, shard, life = m.Life(), task = std::move(task)]() mutable {
                               if (m.Running() && m.Life() == life) m.Post(shard, std::move(task));
                             });
}

std::optional<int64_t> Traffic::Client::MoreThan(int64_t replicas) {
  const Options& o = cluster_.options();
  if (!prng_.Chance(static_cast<double>(o.stronger_percent) / 100)) return std::nullopt;
  return prng_.Between(replicas, o.n);
}

std::optional<bool> Traffic::Client::StrictOrNot() {
  const Options& o = cluster_.options();
  if (o.sloppy == 0 || !prng_.Chance(static_cast<double>(o.strict_percent) / 100)) {
    return std::nullopt;
  }
  return false;
}

// --- reads -------------------------------------------------------------------------------------

void Traffic::Client::Read(const std::string& key) {
  size_t machine = 0;
  uint32_t shard = 0;
  if (!PickMachine(&machine, &shard)) return ThinkThenAct();
  traffic_.report_.Count("requests: reads");
  const uint64_t attempt =
      traffic_.Begin({machine, shard, [this](const base::Error*) { ThinkThenAct(); }});
  cluster_.scheduler().After(Patience(), [this, attempt] {
    if (traffic_.End(attempt)) ThinkThenAct();
  });
  AtMachine(machine, shard,
            [this, key, attempt, machine, shard, r = MoreThan(cluster_.options().r),
             sloppy = StrictOrNot()] {
              const base::Instant started = cluster_.scheduler().Now();
              coordinator::GetRequest request{kBucket, key, {}};
              request.consistency.r = r;
              request.consistency.sloppy = sloppy;
              cluster_.machine(machine).node().shard(shard).coordinator().Get(
                  std::move(request), [this, key, attempt, started, machine, r,
                                       sloppy](base::Result<coordinator::GetReply> reply) {
                    if (reply) traffic_.CheckServer(machine, started, key);
                    std::vector<int> shown;
                    const ReadTerms terms{started, r.value_or(cluster_.options().r), false,
                                          sloppy.has_value()};
                    if (reply) traffic_.RecordRead(key, terms, *reply, &shown);
                    std::string text = "read " + key + ":";
                    if (!reply) text += " " + reply.error().message;
                    for (const int t : shown) text += fmt::format(" t{}", t);
                    Note(key, text);
                    if (!traffic_.End(attempt)) return;
                    if (reply) {
                      traffic_.report_.Count("requests: reads answered");
                      knowledge_[key] = {reply->context.empty() ? std::optional<std::string>()
                                                                : std::move(reply->context),
                                         std::move(shown)};
                    }
                    ThinkThenAct();
                  });
            });
}

// --- lists -------------------------------------------------------------------------------------

// One more page of this client's walk, through any machine.
void Traffic::Client::List() {
  size_t machine = 0;
  uint32_t shard = 0;
  if (!PickMachine(&machine, &shard)) return ThinkThenAct();
  traffic_.report_.Count("requests: pages");
  const uint64_t attempt =
      traffic_.Begin({machine, shard, [this](const base::Error*) { ThinkThenAct(); }});
  cluster_.scheduler().After(Patience(), [this, attempt] {
    if (traffic_.End(attempt)) ThinkThenAct();
  });
  coordinator::ListRequest request;
  request.bucket = kBucket;
  request.limit = prng_.Between(1, 6);
  request.values = true;
  request.cursor = cursor_;
  AtMachine(machine, shard, [this, request = std::move(request), attempt, machine, shard] {
    const base::Instant started = cluster_.scheduler().Now();
    cluster_.machine(machine).node().shard(shard).coordinator().List(
        request, [this, request, attempt, machine,
                  started](const base::Result<coordinator::ListReply>& page) {
          if (!traffic_.End(attempt)) return;
          if (page) {
            traffic_.CheckServer(machine, started, request.cursor);
            OnPage(started, request, *page);
            cursor_ = page->cursor;
          }
          ThinkThenAct();
        });
  });
}

// A page is a read of each key that it passes, of those too that it does not show.
void Traffic::Client::OnPage(base::Instant started, const coordinator::ListRequest& asked,
                             const coordinator::ListReply& page) {
  traffic_.report_.Count("requests: pages answered");
  const uint32_t bucket = membership::BucketIdOf(kBucket);
  coordinator::ListRequest next = asked;
  next.cursor = page.cursor;
  const std::string from = asked.cursor.empty() ? "" : *coordinator::DecodeCursor(bucket, asked);
  const std::string to = page.cursor.empty() ? "" : *coordinator::DecodeCursor(bucket, next);
  std::map<std::string, coordinator::GetReply> shown;
  for (const coordinator::ListedKey& listed : page.keys) {
    if (shown.emplace(listed.key, listed.shown).second) continue;
    traffic_.report_.Fail("lists", listed.key, "a page shows a key twice",
                          cluster_.scheduler().Now());
  }
  const Options& o = cluster_.options();
  coordinator::GetReply absent;
  absent.replicas.primaries = static_cast<uint32_t>(o.r);
  for (const std::string& key : traffic_.keys_) {
    const std::string position = coordinator::PositionOf(ring::TokenOf(key), key);
    const bool passed = position >= from && coordinator::IsBefore(position, to);
    const auto found = shown.find(key);
    const bool listed = found != shown.end();
    if (listed && !passed) {
      traffic_.report_.Fail("lists", key, "a page shows a key that it does not pass",
                            cluster_.scheduler().Now());
    }
    if (!passed) continue;
    std::vector<int> tokens;
    traffic_.RecordRead(key, {started, o.r, false, true}, listed ? found->second : absent, &tokens);
    Note(key, fmt::format("listed: t{}", fmt::join(tokens, " t")));
  }
}

// --- writes ------------------------------------------------------------------------------------

Traffic::Client::OrderRef Traffic::Client::NewOrder(const std::string& key, bool is_delete) {
  auto order = std::make_shared<Order>();
  KeyHistory& history = traffic_.history_.Of(key);
  order->key = key;
  order->is_delete = is_delete;
  order->token = static_cast<int>(history.writes.size());
  order->w = MoreThan(cluster_.options().w);
  order->sloppy = StrictOrNot();
  const Options& o = cluster_.options();
  if (!is_delete && prng_.Chance(static_cast<double>(o.ttl_percent) / 100)) {
    order->ttl_s = prng_.Between(1, o.ttl_max_s);
  }
  Write write;
  write.is_delete = is_delete;
  write.sent = cluster_.scheduler().Now();
  history.writes.push_back(std::move(write));
  ++traffic_.orders_open_;
  return order;
}

void Traffic::Client::Put(const std::string& key, bool with_context) {
  const OrderRef order = NewOrder(key, false);
  if (with_context) {
    order->context = knowledge_[key].context;
    WriteOf(*order).seen = knowledge_[key].seen;
  }
  Try(order);
}

void Traffic::Client::Delete(const std::string& key) {
  const OrderRef order = NewOrder(key, true);
  order->context = prng_.Chance(0.5) ? knowledge_[key].context : std::nullopt;
  if (order->context) {
    WriteOf(*order).seen = knowledge_[key].seen;
  } else {
    WriteOf(*order).covers_what_it_found = true;
  }
  Try(order);
}

void Traffic::Client::Conditional(const std::string& key) {
  const OrderRef order = NewOrder(key, false);
  const Knowledge& known = knowledge_[key];
  const uint64_t kind = prng_.Below(3);
  if (kind == 0) {
    order->if_none_match = true;
  } else if (kind == 1 && known.context) {
    order->if_match = known.context;
    WriteOf(*order).seen = known.seen;
  } else {
    order->if_match = "*";
    WriteOf(*order).covers_what_it_found = true;
  }
  Try(order);
}

void Traffic::Client::Idempotent(const std::string& key) {
  const OrderRef order = NewOrder(key, false);
  Write& write = WriteOf(*order);
  order->idempotency_key = fmt::format("c{}-{}", number_, order->token);
  order->attempts_left = static_cast<int>(prng_.Between(2, 4));
  order->again_at_once = prng_.Chance(0.5);
  order->context = knowledge_[key].context;
  write.seen = knowledge_[key].seen;
  write.idempotent = true;
  const bool at_once = order->again_at_once;
  Try(order);
  if (at_once && order->attempts_left > 0) {
    cluster_.scheduler().After(Latency(), [this, order] {
      if (order->attempts_left > 0) Try(order);
    });
  }
}

void Traffic::Client::Try(const OrderRef& order) {
  --order->attempts_left;
  ++order->under_way;
  ++order->attempts;
  Write& write = WriteOf(*order);
  write.attempts = order->attempts;
  traffic_.report_.Count("requests: writes");
  size_t machine = 0;
  uint32_t shard = 0;
  const bool up = PickMachine(&machine, &shard);
  Note(order->key, fmt::format("{} t{} {}at m{}.{}, seen {}", order->is_delete ? "deletes" : "puts",
                               order->token, order->idempotency_key.empty() ? "" : "(once) ",
                               machine + 1, shard, fmt::join(write.seen, ",")));
  if (!up) return OnOutcome(order, Outcome::kNotDone);
  write.coordinator = machine;
  const uint64_t attempt = traffic_.Begin(
      {machine, shard, [this, order](const base::Error*) { OnOutcome(order, Outcome::kUnknown); }});
  cluster_.scheduler().After(Patience(), [this, order, attempt] {
    if (traffic_.End(attempt)) OnOutcome(order, Outcome::kUnknown);
  });
  AtMachine(machine, shard,
            [this, order, attempt, machine, shard] { Submit(order, attempt, machine, shard); });
}

void Traffic::Client::Submit(const OrderRef& order, uint64_t attempt, size_t machine,
                             uint32_t shard) {
  Write& write = WriteOf(*order);
  if (order->attempts == 1 || write.started == base::Instant{}) {
    write.started = cluster_.scheduler().Now();
  }
  auto done = [this, order, attempt, machine, shard](base::Result<coordinator::WriteReply> reply) {
    OnAnswer(order, attempt, machine, shard, std::move(reply));
  };
  auto& service = cluster_.machine(machine).node().shard(shard).coordinator();
  const auto idempotency = order->idempotency_key.empty()
                               ? std::optional<std::string>()
                               : std::optional<std::string>(order->idempotency_key);
  coordinator::WriteRequest request;
  request.bucket = kBucket;
  request.key = order->key;
  request.write.is_delete = order->is_delete;
  request.write.context = order->context;
  request.write.if_match = order->if_match;
  if (!order->is_delete) {
    request.write.value = PaddedBy(static_cast<size_t>(cluster_.options().value_bytes),
                                   TokenText(order->key, order->token));
    request.write.if_none_match_any = order->if_none_match;
    request.write.ttl_s = order->ttl_s;
  }
  request.idempotency_key = idempotency;
  request.consistency.w = order->w;
  request.consistency.sloppy = order->sloppy;
  service.Write(std::move(request), std::move(done));
}

void Traffic::Client::OnAnswer(const OrderRef& order, uint64_t attempt, size_t machine,
                               uint32_t shard, base::Result<coordinator::WriteReply> reply) {
  Note(order->key, fmt::format("t{}: {}", order->token,
                               reply ? fmt::format("done by {}{}", reply->replicas.primaries,
                                                   reply->replayed ? ", an earlier answer" : "")
                                     : fmt::format("{}: {}", base::CodeName(reply.error().code),
                                                   reply.error().message)));
  if (!reply) {
    const Outcome outcome = OutcomeOf(reply.error(), cluster_.bug());
    if (traffic_.End(attempt)) OnOutcome(order, outcome);
    return;
  }
  // A repeat writes down when its first attempt began, which may have been before.
  if (order->attempts == 1) traffic_.CheckServer(machine, WriteOf(*order).started, order->key);
  if (cluster_.bug() == Bug::kContextCoversUnseen) {
    auto& service = cluster_.machine(machine).node().shard(shard).coordinator();
    service.Get({kBucket, order->key, {}}, [this, order, attempt, reply = std::move(*reply)](
                                               base::Result<coordinator::GetReply> read) mutable {
      if (read) reply.context = read->context;
      if (traffic_.End(attempt)) Acknowledge(order, std::move(reply));
    });
    return;
  }
  if (traffic_.End(attempt)) Acknowledge(order, std::move(*reply));
}

Acknowledgement Traffic::Client::AckOf(const Order& order,
                                       const coordinator::WriteReply& reply) const {
  const Options& o = cluster_.options();
  Acknowledgement ack{order.token, static_cast<uint32_t>(order.w.value_or(o.w))};
  ack.sloppy = o.sloppy != 0 && !order.sloppy;
  if (reply.replayed) return ack;
  ack.primaries = reply.replicas.primaries;
  ack.fallbacks = reply.replicas.fallbacks;
  if (cluster_.bug() == Bug::kFallbackCounted) ack.primaries += std::exchange(ack.fallbacks, 0);
  return ack;
}

void Traffic::Client::Acknowledge(const OrderRef& order, coordinator::WriteReply reply) {
  const base::Instant now = cluster_.scheduler().Now();
  Write& write = WriteOf(*order);
  KeyHistory& history = traffic_.history_.Of(order->key);
  const Acknowledgement ack = AckOf(*order, reply);
  // Stand-ins alone may forget it before a replica is back, where hints are kept for a moment only.
  const bool fragile =
      ack.sloppy && ack.primaries == 0 && cluster_.options().HintsAge() && write.done == kNotYet;
  const Outcome outcome = fragile ? Outcome::kUnknown : Outcome::kDone;
  if (!fragile && write.outcome != Outcome::kDone) write.done = now;
  if (!fragile) write.outcome = Outcome::kDone;
  traffic_.report_.Count("requests: writes acknowledged");
  if (!order->is_delete) {
    CheckAcknowledgement(cluster_, traffic_.dots_, history, ack, &traffic_.report_);
  }
  const bool lww = cluster_.options().lww != 0;
  if (!reply.context.empty()) {
    auto context = causal::DecodeContext(reply.context, kBucket, order->key);
    if (!context) {
      traffic_.report_.Fail("values", order->key, "a write gives a context that does not decode",
                            now);
    } else if (lww && !write.stamp) {
      write.stamp = Stamp{context->lww_stamp, context->lww_node};
    }
  }
  const bool first = order->first_context.empty();
  if (first) order->first_context = reply.context;
  const bool strict = cluster_.options().strict_idempotency != 0;
  if (!first && strict && order->first_context != reply.context) {
    traffic_.report_.Fail("one_event", order->key,
                          fmt::format("a repeat of t{} got another answer", order->token), now);
  }
  // What the client knows now: what its context covered, and its own write.
  if (!write.covers_what_it_found && !order->if_none_match && !order->is_delete) {
    Knowledge& known = knowledge_[order->key];
    known.seen = write.seen;
    known.seen.push_back(order->token);
    known.context = std::move(reply.context);
  }
  OnOutcome(order, outcome);
}

void Traffic::Client::OnOutcome(const OrderRef& order, Outcome outcome) {
  Write& write = WriteOf(*order);
  --order->under_way;
  order->not_done += outcome == Outcome::kNotDone ? 1 : 0;
  if (outcome == Outcome::kUnknown && write.outcome != Outcome::kDone) {
    write.outcome = Outcome::kUnknown;
  }
  write.ended = cluster_.scheduler().Now();
  if (order->attempts_left > 0) {
    // The answer may have been lost: the same request again, perhaps through another node.
    cluster_.scheduler().After(Latency(), [this, order] {
      if (order->attempts_left > 0) Try(order);
    });
    return;
  }
  if (order->under_way > 0) return;
  --traffic_.orders_open_;
  if (order->not_done == order->attempts) write.outcome = Outcome::kNotDone;
  traffic_.report_.Count(fmt::format("requests: writes {}", OutcomeName(write.outcome)));
  ThinkThenAct();
}

}  // namespace lariat::sim

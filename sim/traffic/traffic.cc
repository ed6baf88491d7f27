// SPDX-License-Identifier: Apache-2.0
#include "sim/traffic/traffic.h"

#include <fmt/format.h>

#include <utility>

#include "sim/traffic/client.h"

namespace lariat::sim {

Traffic::Traffic(Cluster& cluster, DotRegistry& dots, History& history, Report& report,
                 uint64_t seed)
    : cluster_(cluster), dots_(dots), history_(history), report_(report), prng_(seed) {
  for (int64_t i = 0; i < cluster.options().keys; ++i) {
    keys_.push_back("k" + std::to_string(i));
    history_.Of(keys_.back());
  }
  for (int64_t i = 0; i < cluster.options().clients; ++i) {
    clients_.push_back(std::make_unique<Client>(*this, static_cast<int>(i), prng_.Next()));
  }
}

Traffic::~Traffic() = default;

void Traffic::Start() {
  for (auto& client : clients_) client->ThinkThenAct();
}

uint64_t Traffic::Begin(Attempt attempt) {
  const uint64_t id = next_attempt_++;
  waiting_.emplace(id, std::move(attempt));
  return id;
}

bool Traffic::End(uint64_t id) { return waiting_.erase(id) > 0; }

void Traffic::OnDown(size_t machine) {
  std::vector<uint64_t> ids;
  for (const auto& [id, attempt] : waiting_) {
    if (attempt.machine == machine) ids.push_back(id);
  }
  for (const uint64_t id : ids) {
    auto attempt = waiting_.extract(id);
    attempt.mapped().give_up(nullptr);
  }
}

void Traffic::CheckServer(size_t machine, base::Instant started, const std::string& key) {
  if (!cluster_.HadLeft(machine, started)) return;
  report_.Fail("serves", key, fmt::format("m{} serves a client after it has left", machine + 1),
               cluster_.scheduler().Now());
}

void Traffic::RecordRead(const std::string& key, const ReadTerms& terms,
                         const coordinator::GetReply& reply, std::vector<int>* shown) {
  const base::Instant now = cluster_.scheduler().Now();
  const Options& options = cluster_.options();
  Read read;
  read.started = terms.started;
  read.ended = now;
  read.all_replicas = terms.at_the_end;
  for (const coordinator::ShownValue& value : reply.values) {
    const std::string_view text = WithoutPadding(value.bytes);
    const auto token = TokenOfText(key, text);
    const size_t known = history_.Of(key).writes.size();
    const bool whole = value.bytes.size() - text.size() == static_cast<size_t>(options.value_bytes);
    if (!token || !whole || static_cast<size_t>(*token) >= known) {
      report_.Fail("values", key, "a read shows '" + value.bytes + "', which nobody wrote", now);
      continue;
    }
    read.shown.push_back(*token);
  }
  if (options.lww != 0 && !reply.context.empty()) {
    auto context = causal::DecodeContext(reply.context, kBucket, key);
    if (!context) {
      report_.Fail("values", key, "a read gives a context that does not decode", now);
    } else {
      read.stamp = Stamp{context->lww_stamp, context->lww_node};
    }
  }
  const bool sloppy = options.sloppy != 0 && !terms.strict;
  const uint32_t answered = reply.replicas.primaries + (sloppy ? reply.replicas.fallbacks : 0);
  if (answered < terms.needed || answered > options.NMax()) {
    report_.Fail("quorum", key,
                 fmt::format("a read of {} replicas, needed {}", answered, terms.needed), now);
  }
  *shown = read.shown;
  history_.Of(key).reads.push_back(std::move(read));
}

void Traffic::ReadAll(size_t machine, const std::string& key,
                      base::UniqueFunction<void(bool)> done) {
  cluster_.machine(machine).Post(0, [this, machine, key, done = std::move(done)]() mutable {
    coordinator::GetRequest request{kBucket, key, {}};
    request.consistency.level = coordinator::Level::kAll;
    request.consistency.sloppy = false;
    request.consistency.timeout_ms = 3000;
    const base::Instant started = cluster_.scheduler().Now();
    cluster_.machine(machine).node().shard(0).coordinator().Get(
        std::move(request), [this, key, started, done = std::move(done)](
                                base::Result<coordinator::GetReply> reply) mutable {
          std::vector<int> shown;
          const auto* bucket = cluster_.Newest()->FindBucket(kBucket);
          const ReadTerms terms{started, bucket->n, true, true};
          if (reply) RecordRead(key, terms, *reply, &shown);
          cluster_.trace().Note(cluster_.scheduler().Now(), -1, key, "", [&] {
            std::string text = "read of all replicas: ";
            if (!reply) return text + reply.error().message;
            for (const int t : shown) text += fmt::format(" t{}", t);
            return text;
          });
          done(reply.has_value());
        });
  });
}

}  // namespace lariat::sim

// SPDX-License-Identifier: Apache-2.0
#include "frontend/resp/internal/databases.h"

#include <utility>

#include "frontend/resp/internal/shared.h"

namespace lariat::frontend::resp {
namespace {

// A bucket is made by one shard and known to the others a moment later.
constexpr base::Duration kLookPause = base::Millis(5);

}  // namespace

void Databases::WhenReady(Shared& shared, uint32_t database, Then then) {
  if (const auto bucket = shared.kv.Bucket(BucketOf(database))) {
    if (!causal::TakesBytes(bucket->conflict)) {
      const base::Status refused = base::Fail(
          base::Code::kWrongType, "the database's bucket holds values of type '" +
                                      std::string(causal::RowOf(bucket->conflict).name) +
                                      "', which this protocol does not have yet; use HTTP");
      return then(refused);
    }
    ready_[database] = true;
  }
  if (ready_[database]) return then({});
  waiting_[database].push_back(std::move(then));
  if (waiting_[database].size() == 1) Make(shared, database);
}

void Databases::Make(Shared& shared, uint32_t database) {
  // As many replicas as the cluster keeps where nobody says otherwise.
  auto like = shared.kv.Bucket("default");
  if (!like) return End(database, base::Fail(like.error()));
  std::remove_reference_t<decltype(*like)> bucket;
  bucket.name = BucketOf(database);
  bucket.conflict = causal::Kind::kLww;
  bucket.n = like->n;
  bucket.r = bucket.w = like->n / 2 + 1;
  bucket.durability = like->durability;
  const base::Instant give_up =
      shared.env.clock.Now() + base::Millis(shared.settings.request_timeout_ms);
  shared.kv.SetBucket(std::move(bucket), coordinator::Caller::Node(),
                      [this, &shared, database, give_up](const base::Status& status) {
                        if (!status) return End(database, status);
                        Look(shared, database, give_up);
                      });
}

void Databases::Look(Shared& shared, uint32_t database, base::Instant give_up) {
  if (!shared.alive) return End(database, base::Fail(base::Code::kUnavailable, "shutting down"));
  ready_[database] = shared.kv.Bucket(BucketOf(database)).has_value();
  if (ready_[database]) return End(database, {});
  if (shared.env.clock.Now() > give_up) {
    return End(database, base::Fail(base::Code::kUnavailable,
                                    "the database's bucket was made, and this node does not know "
                                    "of it yet; nothing was done"));
  }
  shared.env.timers.After(kLookPause,
                          [this, &shared, database, give_up] { Look(shared, database, give_up); });
}

void Databases::End(uint32_t database, const base::Status& status) {
  // They may be the last that keep this.
  std::vector<Then> waiting = std::exchange(waiting_[database], {});
  for (Then& then : waiting) then(status);
}

}  // namespace lariat::frontend::resp

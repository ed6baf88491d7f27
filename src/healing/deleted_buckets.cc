// SPDX-License-Identifier: Apache-2.0
#include "healing/deleted_buckets.h"

#include <utility>

#include "base/coding.h"
#include "healing/own_records.h"
#include "repair/stream.h"

namespace lariat::healing {

namespace {

constexpr const char* kDoneName = "deleted_buckets";  // docs/formats/meta.md

}  // namespace

DeletedBuckets::DeletedBuckets(Shards& shards, peers::Home& home, storage::Engine& engine,
                               telemetry::LogSink& log)
    : shards_(shards),
      home_(home),
      engine_(engine),
      reader_(engine, home.queue(), home.metrics()),
      meta_(engine, home.queue()),
      cleaner_(home.env(), *this, reader_,
               {home.metrics().deleted_bucket_records, home.metrics().deleted_bucket_bytes,
                "records of deleted buckets"},
               log, home.settings()) {}

void DeletedBuckets::Start() {
  Load();
  EachSecond();
}

void DeletedBuckets::Load() {
  meta_.List(kDoneName, [this](base::Result<replica::MetaStore::Values> values) {
    if (!values) return;  // asked again in a second
    loaded_ = true;
    if (values->empty()) return;
    base::ByteReader reader(values->front().second);
    const uint64_t number = reader.U64();
    if (reader.AtEnd()) done_ = number;
  });
}

void DeletedBuckets::OnView(std::shared_ptr<const membership::View> view) {
  view_ = std::move(view);
  Look();
}

void DeletedBuckets::Stop() {
  view_ = nullptr;
  cleaner_.Stop();
}

DeletedBuckets::Removed DeletedBuckets::removed() const {
  return {home_.metrics().deleted_bucket_records.value(),
          home_.metrics().deleted_bucket_bytes.value()};
}

void DeletedBuckets::EachSecond() {
  home_.env().timers.After(base::Seconds(1), [this] { EachSecond(); });
  if (!loaded_) return Load();
  Look();
}

// All that are left, in one plan named by the last of them.
void DeletedBuckets::Look() {
  if (!loaded_ || !view_ || storing_) return;
  repair::CleanerPlan plan;
  for (const membership::DeletedBucket& deleted : view_->topology.deleted) {
    if (deleted.number <= done_) continue;
    plan.fence = deleted.number;
    plan.items.push_back({deleted.id, {}});  // the whole ring
  }
  home_.metrics().deleted_buckets_left.Set(static_cast<int64_t>(plan.items.size()));
  if (plan.items.empty()) return;
  if (cleaner_.Finished(plan.fence)) return Store(plan.fence);
  cleaner_.Start(std::move(plan));
}

// In the same log as the removals, and so durable only if they are.
void DeletedBuckets::Store(uint64_t number) {
  storing_ = true;
  std::string value;
  base::ByteWriter(&value).U64(number);
  meta_.Apply({{kDoneName, std::move(value)}}, [this, number](const base::Status& status) {
    storing_ = false;
    if (!status) return;  // tried again in a second
    done_ = number;
    engine_.FreeRemoved();
    Look();
  });
}

void DeletedBuckets::Remove(uint64_t /*fence*/, std::vector<std::string> data_keys,
                            RemoveDone done) {
  const auto key = repair::ParseRecordKey(data_keys.front());
  const auto allowed = [bucket = key ? key->bucket : 0](const LocalShard& shard) {
    return shard.view() && shard.view()->WasDeleted(bucket);
  };
  RemoveOwn({shards_, home_}, std::move(data_keys), allowed, std::move(done));
}

}  // namespace lariat::healing

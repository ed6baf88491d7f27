// SPDX-License-Identifier: Apache-2.0
#include "healing/doubts.h"

#include <algorithm>
#include <utility>

#include "replica/tree/layout.h"

namespace lariat::healing {

using repair::ExchangePair;
using replica::Doubt;
using storage::Space;
using telemetry::LogLevel;

namespace {

// A node that seems to be alone may have forgotten the others: they tell it within this time.
constexpr base::Duration kAloneFor = base::Seconds(10);

// What the engine says about its last open; empty: nothing was lost.
std::string LossOf(const storage::EngineStats& stats) {
  if (stats.salvaged) return "its store was damaged, and what could be read was copied";
  if (stats.log_truncated) return "its log was cut at a damaged record";
  return "";
}

}  // namespace

Doubts::Doubts(Shards& shards, peers::Home& home, storage::Engine& engine, telemetry::LogSink& log,
               Compare compare)
    : shards_(shards),
      home_(home),
      engine_(engine),
      log_(log),
      compare_(std::move(compare)),
      since_(home.env().clock.Now()) {
  const std::string loss = LossOf(engine.Stats());
  const auto stored = engine.GetBlocking(Space::kMeta, replica::kDoubtName);
  const bool is_stored = stored || stored.error().code != base::Code::kNotFound;
  if (loss.empty() && !is_stored) return;
  auto doubt = std::make_shared<Doubt>();
  const auto known = stored ? replica::DecodeDoubt(*stored) : std::nullopt;
  if (loss.empty() && known) {
    *doubt = *known;
  } else {
    doubt->since_ms = home.env().clock.Wall().ms;
    doubt->why = loss.empty() ? "a note about it cannot be read" : loss;
  }
  doubt_ = std::move(doubt);
  noted_ = loss.empty();
  Store();
  for (uint32_t i = 0; i < shards.count(); ++i) shards.shard(i).replica().SetDoubt(doubt_);
}

void Doubts::Start() {
  if (!doubt_) return;
  Warn();
  engine_.Sync(&home_.queue(), [](const base::Status&) {});  // what the constructor wrote
  EachSecond();
}

void Doubts::Warn() const {
  log_.Log(LogLevel::kWarn, "doubt",
           "this node may lack records ({}): reads here are refused until its ranges were compared "
           "with all their other replicas",
           doubt_->why);
}

void Doubts::Raise(const std::string& why, base::UniqueFunction<void(base::Status)> done) {
  const bool looks = doubt_ || unsaved_;
  auto doubt = std::make_shared<Doubt>();
  doubt->since_ms = home_.env().clock.Wall().ms;
  doubt->why = why;
  doubt_ = std::move(doubt);
  since_ = home_.env().clock.Now();
  passed_.clear();
  if (view_) map_ = repair::MapOf(*view_);
  Warn();
  Store();
  Publish();
  if (!looks) EachSecond();
  engine_.Sync(&home_.queue(), std::move(done));
}

void Doubts::EachSecond() {
  if (unsaved_) Store();
  Look();
  SetGauge();
  if (doubt_ || unsaved_) home_.env().timers.After(base::Seconds(1), [this] { EachSecond(); });
}

void Doubts::OnView(std::shared_ptr<const membership::View> view) {
  if (!view_ || view_->fence() != view->fence()) {
    passed_.clear();  // others hold what is held here
    view_since_ = home_.env().clock.Now();
  }
  view_ = std::move(view);
  if (!doubt_) return;
  map_ = repair::MapOf(*view_);
  Look();
}

void Doubts::OnPassed(const ExchangePair& pair, base::Instant began) {
  if (!doubt_ || began < since_) return;
  passed_.insert(pair);
  Look();
}

bool Doubts::IsCompared(storage::BucketId bucket) const {
  const bool holds = std::any_of(map_.sets.begin(), map_.sets.end(),
                                 [bucket](const auto& set) { return set.bucket == bucket; });
  if (!holds && view_->topology.operation) return false;  // it may gain what was not compared
  bool has_partner = false;
  const auto end = map_.pairs.upper_bound({bucket, UINT64_MAX});
  for (auto pair = map_.pairs.lower_bound({bucket, 0}); pair != end; ++pair) {
    has_partner = true;
    if (!passed_.contains(pair->first)) return false;
  }
  return has_partner || home_.env().clock.Now() - view_since_ >= kAloneFor;
}

void Doubts::Look() {
  if (!doubt_ || !view_ || (view_->topology.operation && map_.pairs.empty())) return;
  for (const auto& [pair, ranges] : map_.pairs) {
    if (doubt_->Covers(pair.bucket) && !passed_.contains(pair)) compare_(pair);
  }
  auto left = std::make_shared<Doubt>(*doubt_);
  bool all = !view_->topology.buckets.empty();
  for (const auto& [name, bucket] : view_->topology.buckets) {
    if (!left->Covers(bucket.id)) continue;
    if (!IsCompared(bucket.id)) {
      all = false;
      continue;
    }
    left->settled.insert(bucket.id);
    const bool alone =
        map_.pairs.lower_bound({bucket.id, 0}) == map_.pairs.upper_bound({bucket.id, UINT64_MAX});
    log_.Log(alone ? LogLevel::kError : LogLevel::kInfo, "doubt", "bucket {} {}", name,
             alone ? "has no other replica: what was lost of it is lost"
                   : "was compared with all its other replicas: it is read here again");
  }
  if (!all && *left == *doubt_) return;
  doubt_ = all ? nullptr : std::move(left);
  if (!doubt_) log_.Log(LogLevel::kInfo, "doubt", "all of this node's records were compared");
  Store();
  Publish();
  SetGauge();
}

void Doubts::Store() {
  storage::WriteBatch batch;
  if (doubt_) {
    batch.Put(Space::kMeta, std::string(replica::kDoubtName), replica::EncodeDoubt(*doubt_));
  } else {
    batch.Remove(Space::kMeta, std::string(replica::kDoubtName));
  }
  if (!noted_) TakeNote(&batch);
  unsaved_ = !engine_.Write(batch).has_value();
  noted_ = noted_ || !unsaved_;
}

// With this batch the engine's word is not needed any more. LoadCluster has written before, so
// what it wrote is durable if this is. The trees write later: until they have, what they keep is
// not to be believed at the next start either, whatever happens to this one.
void Doubts::TakeNote(storage::WriteBatch* batch) {
  batch->Remove(Space::kMeta, std::string(storage::kSalvagedKey));
  batch->Remove(Space::kMeta, std::string(storage::kLogCutKey));
  const auto stored = engine_.GetBlocking(Space::kTree, replica::TreeHeadKey());
  const auto head = stored ? replica::DecodeTreeHead(*stored) : std::nullopt;
  if (!head) return;  // none to believe
  batch->Put(Space::kTree, replica::TreeHeadKey(), replica::EncodeTreeHead({0, head->generation}));
}

void Doubts::Publish() {
  for (uint32_t i = 0; i < shards_.count(); ++i) {
    LocalShard& shard = shards_.shard(i);
    shard.Post([&shard, doubt = doubt_] { shard.replica().SetDoubt(doubt); });
  }
}

void Doubts::SetGauge() {
  int64_t ranges = doubt_ && !view_ ? 1 : 0;
  for (const repair::ReplicaSet& set : map_.sets) {
    if (doubt_ && doubt_->Covers(set.bucket)) ranges += static_cast<int64_t>(set.ranges.size());
  }
  home_.metrics().doubt_ranges.Set(ranges);
}

std::string Doubts::Why() const {
  return doubt_ ? "in doubt: it may lack records (" + doubt_->why + ")" : "";
}

void Doubts::FillStatus(std::vector<coordinator::RepairRange>* ranges) const {
  if (!doubt_ || !view_) return;
  for (coordinator::RepairRange& range : *ranges) {
    const membership::BucketProperties* bucket = view_->FindBucket(range.bucket);
    if (bucket == nullptr || !doubt_->Covers(bucket->id)) continue;
    range.state = "doubt";
    if (range.why.empty()) range.why = doubt_->why;
  }
}

}  // namespace lariat::healing

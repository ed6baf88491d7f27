// SPDX-License-Identifier: Apache-2.0
#include "replica/tree/recount.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "replica/range_reader.h"

namespace lariat::replica {

using base::Code;
using base::Fail;
using merkle::LeafSum;
using storage::Space;

namespace {

constexpr storage::ScanLimits kRecountScan = {.entries_max = 4096, .bytes_max = 256 << 10};

}  // namespace

Recount::Recount(Job job, TreeUpkeep& tree, storage::Engine& engine,
                 storage::CompletionQueue& queue, telemetry::Metrics& metrics)
    : job_(job), tree_(tree), engine_(engine), queue_(queue), metrics_(metrics), leaf_(job.first) {
  const ring::TokenSlice& slice = tree_.slice();
  const uint64_t first = std::max(merkle::FirstToken(job.first), slice.first.value);
  const uint64_t last = std::min(merkle::LastToken(job.last), slice.last.value);
  LARIAT_CHECK(first <= last, "the shard has a part of the leaves");
  from_ = storage::DataKey(job.bucket, first, "");
  to_ = KeyAfterToken(job.bucket, last);
  tree_.AddWatcher(this);
}

Recount::~Recount() { tree_.RemoveWatcher(this); }

void Recount::Step(Done done) {
  LARIAT_CHECK(!reading_ && !Finished(), "one page after the other");
  reading_ = true;
  engine_.Scan(Space::kData, from_, to_, kRecountScan, &queue_,
               lifetime_.Guard([this, done = std::move(done)](
                                   base::Result<std::vector<storage::Entry>> entries) mutable {
                 reading_ = false;
                 done(OnPage(std::move(entries)));
               }));
}

void Recount::OnChange(std::string_view data_key, const LeafPlace& place, const LeafSum& change) {
  if (place.bucket != job_.bucket || place.leaf < leaf_ || place.leaf > job_.last) return;
  if (reading_) {
    changes_.push_back({std::string(data_key), place.leaf, change});
  } else if (data_key < from_) {
    sum_ += change;  // of the open leaf; all others before from_ are closed
  }
}

// Changes behind what was read will be in the next page.
void Recount::TakeChanges(std::string_view covered_to) {
  for (const Change& change : std::exchange(changes_, {})) {
    if (covered_to.empty() || change.data_key < covered_to) late_[change.leaf] += change.change;
  }
}

base::Status Recount::OnPage(base::Result<std::vector<storage::Entry>> entries) {
  // What a dead engine shows may never have reached the disk.
  if (entries && engine_.health() == storage::Health::kDead) {
    entries = Fail(Code::kIo, "the storage engine has failed");
  }
  if (!entries) {
    if (entries.error().code != Code::kOverloaded) metrics_.replica_read_errors.Add();
    TakeChanges(from_);
    sum_ += std::exchange(late_[leaf_], {});
    return Fail(std::move(entries.error()));
  }
  const bool at_end = entries->empty();
  if (!at_end) from_ = entries->back().key + '\0';
  TakeChanges(at_end ? to_ : from_);
  for (storage::Entry& entry : *entries) CountRecord(std::move(entry));
  while (at_end && !Finished()) CloseLeaf();
  if (!Finished()) sum_ += std::exchange(late_[leaf_], {});
  late_.clear();
  return {};
}

void Recount::CountRecord(storage::Entry entry) {
  const auto key = storage::ParseDataKey(entry.key);
  while (leaf_ < merkle::LeafOf(key->token)) CloseLeaf();
  result_.bytes += entry.key.size() + entry.value.size();
  const auto record = storage::ParseRecord(entry.value);
  const auto sum = record ? RecordSum(entry.key, record->object) : Fail(record.error());
  if (sum) {
    ++result_.records;
    sum_ += *sum;
    return;
  }
  metrics_.replica_read_errors.Add();
  damaged_ = true;
  if (!job_.keep_damaged) return;
  result_.damaged.push_back({std::move(entry.key), std::move(entry.value)});
}

// A leaf that was known keeps its sum as long as a record of it is damaged: its other replicas
// have that sum too.
void Recount::CloseLeaf() {
  const LeafPlace place = {job_.bucket, leaf_};
  const LeafSum counted = sum_ + late_[leaf_];
  const bool keep = damaged_ && tree_.Leaf(place).known;
  result_.sums = keep ? TreeUpkeep::Settled::kUnchecked : tree_.Settle(place, counted);
  sum_ = {};
  damaged_ = false;
  ++leaf_;
}

}  // namespace lariat::replica

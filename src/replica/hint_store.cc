// SPDX-License-Identifier: Apache-2.0
#include "replica/hint_store.h"

#include <utility>

#include "replica/hint.h"
#include "storage/record.h"

namespace lariat::replica {
namespace {

constexpr storage::ScanLimits kHintScan = {1000, 256 << 10};

// First key behind all hints of the target for the bucket; "": nothing can be.
std::string AfterBucket(uint64_t target, storage::BucketId bucket) {
  if (bucket != UINT32_MAX) return HintKey(target, storage::DataKey(bucket + 1, 0, ""));
  return target == UINT64_MAX ? "" : HintKey(target + 1, "");
}

}  // namespace

HintStore::HintStore(storage::Engine& engine, storage::CompletionQueue& queue,
                     std::shared_ptr<HintBudget> budget, uint64_t first_version)
    : engine_(engine), queue_(queue), budget_(std::move(budget)), version_(first_version) {}

bool HintStore::Reserve(const Change& change) {
  const auto parts = ParseHintKey(change.key);
  return budget_->Reserve(parts->target, change.after - change.before);
}

void HintStore::Settle(const Change& change, bool applied) {
  if (applied) Book(change);
  budget_->Release(ParseHintKey(change.key)->target, change.after - change.before);
}

void HintStore::Book(const Change& change) {
  if (counted_ || change.key < at_) return Count(change);
  if (reading_) meanwhile_.push_back(change);
}

void HintStore::Count(const Change& change) {
  HintFigures figures;
  figures.target = ParseHintKey(change.key)->target;
  figures.hints = (change.after > 0 ? 1 : 0) - (change.before > 0 ? 1 : 0);
  figures.bytes = change.after - change.before;
  figures.oldest_ms = change.stored_ms;
  budget_->Count(figures);
}

void HintStore::Recount(ring::Token first, ring::Token last) {
  counted_ = false;
  first_ = first;
  last_ = last;
  at_.clear();
  ReadPage();
}

void HintStore::Tick() {
  if (!counted_ && !reading_) ReadPage();
}

void HintStore::ReadPage() {
  reading_ = true;
  engine_.Scan(storage::Space::kHints, at_, "", kHintScan, &queue_,
               lifetime_.Guard([this](base::Result<std::vector<storage::Entry>> entries) {
                 reading_ = false;
                 OnPage(std::move(entries));
               }));
}

void HintStore::OnPage(base::Result<std::vector<storage::Entry>> entries) {
  const std::vector<Change> meanwhile = std::exchange(meanwhile_, {});
  if (!entries) return;  // the next tick tries again
  bool more = !entries->empty();
  for (const storage::Entry& entry : *entries) {
    const auto parts = ParseHintKey(entry.key);
    at_ = entry.key + '\0';
    if (!parts) continue;
    const auto key = storage::ParseDataKey(parts->data_key);
    if (key->token < first_.value) {
      at_ = HintKey(parts->target, storage::DataKey(key->bucket, first_.value, ""));
      break;
    }
    if (key->token > last_.value) {
      at_ = AfterBucket(parts->target, key->bucket);
      more = !at_.empty();
      break;
    }
    const auto hint = ParseHint(entry.value);
    Count({entry.key, 0, static_cast<int64_t>(entry.key.size() + entry.value.size()),
           hint ? hint->stored_ms : 0});
  }
  for (const Change& change : meanwhile) {
    if (!more || change.key < at_) Count(change);
  }
  counted_ = !more;
  if (more) ReadPage();
}

}  // namespace lariat::replica

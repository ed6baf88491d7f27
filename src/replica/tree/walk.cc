// SPDX-License-Identifier: Apache-2.0
#include "replica/tree/walk.h"

#include <algorithm>
#include <utility>

namespace lariat::replica {

using base::Code;
using storage::Space;

namespace {

constexpr double kBurstSeconds = 0.1;
constexpr base::Duration kOverloadPause = base::Millis(100);
constexpr base::Duration kErrorPause = base::Seconds(10);

}  // namespace

TreeWalk::TreeWalk(uint64_t bytes_per_s, TreeUpkeep& tree, storage::Engine& engine,
                   storage::CompletionQueue& queue, telemetry::Metrics& metrics)
    : bytes_per_s_(bytes_per_s),
      tree_(tree),
      engine_(engine),
      queue_(queue),
      metrics_(metrics),
      allowance_(static_cast<double>(bytes_per_s) * kBurstSeconds) {}

TreeWalk::~TreeWalk() = default;

void TreeWalk::Tick(base::Instant now) {
  const double seconds = std::clamp(static_cast<double>((now - now_).count()) / 1e9, 0.0, 1.0);
  const auto rate = static_cast<double>(bytes_per_s_);
  allowance_ = std::min(allowance_ + rate * seconds, rate * kBurstSeconds);
  now_ = now;
  Go();
}

void TreeWalk::Go() {
  if (busy_ || !tree_.keeps() || !tree_.Loaded()) return;
  if (tree_.Complete() && !tree_.AnyUnknown() && !recount_) return;
  if (allowance_ <= 0 || now_ < not_before_) return;
  if (!recount_ && !tree_.Complete() && !discovered_) return Discover();
  if (!recount_ && !FindRun()) return;
  busy_ = true;
  recount_->Step([this](const base::Status& status) {
    busy_ = false;
    OnStep(status);
    Go();
  });
}

// Buckets that were not heard of since the start, because nobody wrote to them.
void TreeWalk::Discover() {
  busy_ = true;
  storage::ScanLimits limits;
  limits.entries_max = 1;
  engine_.Scan(
      Space::kData, storage::DataKey(static_cast<storage::BucketId>(next_bucket_), 0, ""), "",
      limits, &queue_, lifetime_.Guard([this](base::Result<std::vector<storage::Entry>> found) {
        busy_ = false;
        if (!found) {
          not_before_ = now_ + kOverloadPause;
          return;
        }
        const auto key = found->empty() ? std::nullopt : storage::ParseDataKey(found->front().key);
        if (key) tree_.Discover(key->bucket);
        next_bucket_ = key ? uint64_t{key->bucket} + 1 : UINT32_MAX;
        discovered_ = next_bucket_ >= UINT32_MAX;
        Go();
      }));
}

// False: there is nothing to do now.
bool TreeWalk::FindRun() {
  for (const storage::BucketId bucket : tree_.Buckets()) {
    if (bucket < at_.bucket) continue;
    const auto run = tree_.NextUnknown(bucket, bucket == at_.bucket ? at_.leaf : 0);
    if (!run) continue;
    at_ = {bucket, run->first};
    recount_ = std::make_unique<Recount>(Recount::Job{bucket, run->first, run->last, false}, tree_,
                                         engine_, queue_, metrics_);
    bytes_counted_ = 0;
    return true;
  }
  // The next round begins at once if leaves became unknown meanwhile, later if some are bad.
  at_ = {};
  if (std::exchange(left_some_, false)) not_before_ = now_ + kErrorPause;
  tree_.MarkComplete();
  return false;
}

void TreeWalk::OnStep(const base::Status& status) {
  const uint64_t bytes = recount_->result().bytes;
  const uint64_t bytes_now = bytes - std::exchange(bytes_counted_, bytes);
  metrics_.tree_read_bytes.Add(bytes_now);
  allowance_ -= static_cast<double>(bytes_now);
  if (!status && status.error().code == Code::kOverloaded) {
    not_before_ = now_ + kOverloadPause;
    return;
  }
  at_.leaf = recount_->leaf();
  if (!status) {
    // What cannot be read stays unknown; on with what lies behind it.
    left_some_ = true;
    ++at_.leaf;
  }
  if (!status || recount_->Finished()) recount_.reset();
}

}  // namespace lariat::replica

// SPDX-License-Identifier: Apache-2.0
#include "node/past/progress.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/coding.h"

namespace lariat::node {

using base::Code;
using base::Fail;
using storage::Space;

namespace {

constexpr uint8_t kProgressVersion = 1;

}  // namespace

std::optional<wire::Progress> DecodeProgress(std::string_view bytes) {
  base::ByteReader r(bytes);
  if (r.U8() != kProgressVersion) return std::nullopt;
  const uint64_t confirmed = r.U64();
  const wire::Progress progress{confirmed, r.U64(), 0};
  if (!r.AtEnd()) return std::nullopt;
  return progress;
}

base::Result<wire::Progress> LoadProgress(storage::Engine& engine) {
  auto stored = engine.GetBlocking(Space::kMeta, kProgressKey);
  if (!stored && stored.error().code == Code::kNotFound) return wire::Progress{};
  if (!stored) return Fail(stored.error());
  const auto progress = DecodeProgress(*stored);
  if (!progress) {
    return Fail(Code::kCorruption, "the node's progress in the data directory is damaged");
  }
  return *progress;
}

Progress::Progress(uint64_t run, wire::Progress stored, storage::Engine& engine,
                   storage::CompletionQueue& queue)
    : run_(run),
      engine_(engine),
      queue_(queue),
      base_confirmed_(stored.confirmed),
      base_written_(stored.written),
      base_votes_(stored.votes),
      next_(stored),
      told_(stored) {}

base::Status Progress::Put(const wire::Progress& progress) {
  storage::WriteBatch batch;
  std::string bytes;
  base::ByteWriter w(&bytes);
  w.U8(kProgressVersion);
  w.U64(progress.confirmed);
  w.U64(progress.written);
  batch.Put(Space::kMeta, kProgressKey, std::move(bytes));
  return engine_.Write(batch);
}

void Progress::Confirm(StatusDone done) {
  const uint64_t confirmed = next_.confirmed + 1;
  if (auto status = Put({confirmed, next_.written, 0}); !status) return done(std::move(status));
  next_.confirmed = confirmed;
  engine_.Flush(Space::kMeta, &queue_,
                [this, confirmed, done = std::move(done)](base::Status status) mutable {
                  if (status) told_.confirmed = std::max(told_.confirmed, confirmed);
                  done(std::move(status));
                });
}

void Progress::NoteWrites(uint64_t records_so_far) {
  if (records_so_far == records_) return;
  const uint64_t written = next_.written + 1;
  if (!Put({next_.confirmed, written, 0})) return;  // at the next call
  records_ = records_so_far;
  next_.written = written;
  engine_.Sync(&queue_, [this, written](const base::Status& status) {
    if (status) told_.written = std::max(told_.written, written);
  });
}

base::Status Progress::GoOnAbove(const wire::Progress& known) {
  const wire::Progress above =
      wire::MaxOf(next_, {known.confirmed, known.written + 1, known.votes});
  if (auto status = Put(above); !status) return status;
  next_ = above;
  base_confirmed_ = std::max(base_confirmed_.load(), known.confirmed);
  base_written_ = std::max(base_written_.load(), known.written);
  base_votes_ = std::max(base_votes_.load(), known.votes);
  return {};
}

}  // namespace lariat::node

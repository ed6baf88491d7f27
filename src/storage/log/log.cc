// SPDX-License-Identifier: Apache-2.0
#include "storage/log/log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lariat::storage::log {

using base::Code;
using base::Fail;

Log::Log(LogOptions options, std::unique_ptr<Disk> disk, std::unique_ptr<GroupWriter> writer,
         const env::Clock* clock, const Found& found, Segments::State segments)
    : options_(options),
      disk_(std::move(disk)),
      writer_(std::move(writer)),
      clock_(clock),
      recovered_(found.recovered),
      tail_(options_.shape, recovered_.end),
      segments_(disk_.get(), options_.shape, std::move(segments)),
      durable_(recovered_.end),
      batch_end_(recovered_.end),
      // The first mark of a start says that what was read is durable.
      claimed_(recovered_.stopped_cleanly ? recovered_.end : 0) {}

base::Status Log::Usable() const {
  if (failed_) return Fail(*failed_);
  return {};
}

base::Result<Lsn> Log::Append(const WriteBatch& batch) {
  const std::lock_guard lock(mutex_);
  scratch_.clear();
  EncodeBatch(batch, &scratch_);
  auto end = AppendLocked(FrameKind::kBatch, scratch_);
  if (!end) return end;
  batch_end_ = *end;
  unmarked_ = true;
  return end;
}

base::Result<Lsn> Log::AppendLocked(FrameKind kind, std::string_view body) {
  if (auto usable = Usable(); !usable) return Fail(usable.error());
  const size_t size = FrameBytes(body.size());
  if (size > options_.shape.segment_bytes - kBlock) {
    return Fail(Code::kTooLarge, "a batch of " + std::to_string(body.size()) +
                                     " bytes does not fit into a segment of the log");
  }
  // One batch always fits, so that the limit cannot stop the log for good.
  if (tail_.buffered_bytes() > 0 && tail_.buffered_bytes() + size > options_.buffer_bytes_max) {
    return Fail(Code::kStalled, "the log's buffer is full");
  }
  if (!tail_.Fits(size)) {
    const auto number = segments_.Start(tail_.end(), durable());
    if (!number && number.error().code != Code::kStalled) FailLocked(number.error());
    if (!number) return Fail(number.error());
    tail_.StartSegment(*number);
  }
  claimed_ = durable();
  return tail_.Append(kind, body, claimed_);
}

base::Status Log::WriteBehind() {
  const std::lock_guard writing(write_mutex_);
  Taken taken;
  {
    const std::lock_guard lock(mutex_);
    if (auto usable = Usable(); !usable) return usable;
    if (tail_.buffered_bytes() == 0) return {};
    taken = tail_.Take(Tail::Padding::kNone);
    // From here on a group has to sync them: it is not taken before write_mutex_ is free.
    for (const Piece& piece : taken.group.pieces) dirty_.insert(piece.file);
  }
  base::Status status;
  for (const Piece& piece : taken.group.pieces) {
    if (status) status = disk_->Write(piece.file, piece.offset, piece.bytes);
  }
  const std::lock_guard lock(mutex_);
  counts_.behind_bytes += taken.buffer.size();
  if (!status) FailLocked(status.error());
  tail_.GiveBack(std::move(taken));
  return status;
}

CutPoint Log::TakeCutPoint() const {
  const std::lock_guard lock(mutex_);
  return CutPoint(tail_.end());
}

base::Status Log::Cut(const CutPoint& point) {
  Control control;
  {
    const std::lock_guard lock(mutex_);
    if (auto usable = Usable(); !usable) return usable;
    if (point.lsn() > durable()) return Fail(Code::kConflict, "the cut is not durable yet");
    if (point.lsn() <= segments_.cut()) return {};
    control = segments_.NextControl(point.lsn(), durable());
  }
  auto written = disk_->WriteDurably(kControlFile, Segments::OffsetOf(control),
                                     EncodeControl(options_.shape, control));
  const std::lock_guard lock(mutex_);
  if (!written) {
    FailLocked(written.error());
    return written;
  }
  segments_.SetControl(control);
  return {};
}

base::Status Log::Grow() {
  uint32_t slot = 0;
  {
    const std::lock_guard lock(mutex_);
    if (auto usable = Usable(); !usable) return usable;
    slot = segments_.slots();
    if (slot == options_.shape.slots_max) return Fail(Code::kStalled, "the log has all its slots");
  }
  // Nobody uses the slot yet, so what fails here is no failure of the log.
  if (auto made = disk_->Make(FileOfSlot(slot), options_.shape.segment_bytes); !made) return made;
  const std::lock_guard lock(mutex_);
  segments_.AddSlot();
  return {};
}

base::Result<Lsn> Log::AppendMarkLocked(bool clean_stop) {
  std::string body;
  EncodeMark({clock_->Wall().ms, clean_stop}, &body);
  auto end = AppendLocked(FrameKind::kMark, body);
  if (end) unmarked_ = false;
  return end;
}

base::Status Log::Tick() {
  {
    const std::lock_guard lock(mutex_);
    if (auto usable = Usable(); !usable) return usable;
    const base::Instant now = clock_->Now();
    // The last synced group is not witnessed by any frame yet.
    const bool unclaimed = claimed_ < batch_end_ && batch_end_ <= durable();
    if ((!unmarked_ && !unclaimed) || now - marked_ < options_.mark_gap) return {};
    marked_ = now;
    const auto marked = AppendMarkLocked(/*clean_stop=*/false);
    if (!marked) return Fail(marked.error());
  }
  return WriteBehind();
}

base::Status Log::SyncNow() {
  Taken taken;
  {
    const std::scoped_lock both(write_mutex_, mutex_);
    taken = tail_.Take(Tail::Padding::kToBlock);
    taken.group.dirty.assign(dirty_.begin(), dirty_.end());
    dirty_.clear();
  }
  base::Status status;
  BlockingWriter(disk_.get()).Write(taken.group, [&](base::Status told) {
    status = std::move(told);
  });
  const std::lock_guard lock(mutex_);
  if (!status) {
    FailLocked(status.error());
    return status;
  }
  durable_ = taken.end;
  return {};
}

base::Status Log::Close() {
  {
    std::unique_lock lock(mutex_);
    landed_.wait(lock, [this] { return !in_flight_; });
    if (auto usable = Usable(); !usable) return usable;
    closing_ = true;  // who was asked to lead finds nothing to do
  }
  auto status = SyncNow();
  // The last words twice: the second says that the first was durable, so none that matters is
  // without a witness.
  for (int i = 0; i < 2 && status; ++i) {
    {
      const std::lock_guard lock(mutex_);
      const auto marked = AppendMarkLocked(/*clean_stop=*/true);
      if (!marked) status = Fail(marked.error());
    }
    if (status) status = SyncNow();
  }
  const std::lock_guard lock(mutex_);
  Tell(TakeDurableLocked(), {});
  if (!failed_) FailLocked({Code::kUnavailable, "the log is closed"});
  return status;
}

Lsn Log::end() const {
  const std::lock_guard lock(mutex_);
  return tail_.end();
}

LogStats Log::Stats() const {
  const std::lock_guard lock(mutex_);
  LogStats stats = counts_;
  stats.cut = segments_.cut();
  stats.end = tail_.end();
  stats.durable = durable();
  stats.slots = segments_.slots();
  stats.live_slots = segments_.live();
  stats.buffered_bytes = tail_.buffered_bytes();
  return stats;
}

}  // namespace lariat::storage::log

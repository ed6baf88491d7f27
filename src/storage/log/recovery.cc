// SPDX-License-Identifier: Apache-2.0
#include "storage/log/recovery.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

namespace lariat::storage::log {

using base::Code;
using base::Fail;

namespace {

class Walk {
 public:
  Walk(Disk* disk, const Shape& shape, uint32_t slots, Replay* replay)
      : disk_(disk),
        shape_(shape),
        slots_(slots),
        salt_(FrameSalt(shape.store)),
        replay_(replay),
        header_of_slot_(slots) {}

  base::Status ReadHeaders();
  base::Status Follow(Lsn cut);
  void Judge(const Control& control);
  Lsn HighestCut() const;
  Found Take() { return std::move(found_); }

 private:
  uint64_t Slot(uint64_t segment) const { return segment % shape_.slots_max; }
  void Load(uint64_t slot);
  bool Enter(uint64_t segment);
  std::optional<uint64_t> SegmentBehind(Lsn end) const;
  std::optional<Frame> NextFrame() const;
  std::optional<Frame> FrameAt(Lsn lsn, uint32_t gap) const;
  base::Status Deliver(const Frame& frame);
  void LookIn(uint64_t slot, uint64_t from);
  void Prove(Lsn durable, const char* who);
  void SayDamaged(std::string why);

  Disk* const disk_;
  const Shape shape_;
  const uint32_t slots_;
  const uint32_t salt_;
  Replay* const replay_;
  std::map<uint64_t, SegmentHeader> headers_;  // by number
  std::vector<std::optional<uint64_t>> header_of_slot_;
  std::string bytes_;       // of the slot that was loaded last
  uint64_t segment_ = 0;    // where the walk is; 0: before the first one
  Lsn at_ = 0;              // in it
  uint64_t ahead_max_ = 0;  // segments
  bool ends_cleanly_ = false;
  bool remains_ = false;  // something claims to lie behind the end
  Found found_;
};

base::Status Walk::ReadHeaders() {
  std::string block(kBlock, '\0');
  for (uint64_t slot = 0; slot < slots_; ++slot) {
    if (!disk_->Read(FileOfSlot(slot), 0, kBlock, block.data())) continue;  // Load says so
    const auto header = DecodeHeader(shape_, block);
    if (!header && header.error().code == Code::kUnsupported) return Fail(header.error());
    if (!header || Slot(header->number) != slot) continue;
    headers_[header->number] = *header;
    header_of_slot_[slot] = header->number;
    found_.highest = std::max(found_.highest, header->number);
  }
  return {};
}

// The cut that allowed a slot to be used again stands in its new header, so a control block that is
// damaged cannot take the log back to segments that are gone.
Lsn Walk::HighestCut() const {
  Lsn cut = 0;
  for (const auto& [number, header] : headers_) cut = std::max(cut, header.cut);
  return cut;
}

// A block that cannot be read reads as zeros. It may have held anything: damage.
void Walk::Load(uint64_t slot) {
  constexpr uint64_t kChunk = 1 << 20;
  bytes_.resize(shape_.segment_bytes);
  for (uint64_t from = 0; from < bytes_.size(); from += kChunk) {
    const uint64_t to = std::min<uint64_t>(from + kChunk, bytes_.size());
    if (disk_->Read(FileOfSlot(slot), from, to - from, &bytes_[from])) continue;
    for (uint64_t block = from; block < to; block += kBlock) {
      const auto read = disk_->Read(FileOfSlot(slot), block, kBlock, &bytes_[block]);
      if (read) continue;
      std::fill_n(&bytes_[block], kBlock, '\0');
      SayDamaged(read.error().message);
    }
  }
}

bool Walk::Enter(uint64_t segment) {
  if (!headers_.contains(segment)) return false;
  Load(Slot(segment));
  segment_ = segment;
  return true;
}

// Where the log goes on if not here. A start that found a segment without a frame began the next
// one at the same end: the newest counts.
std::optional<uint64_t> Walk::SegmentBehind(Lsn end) const {
  for (auto it = headers_.rbegin(); it != headers_.rend() && it->first > segment_; ++it) {
    if (it->second.prev_end == end) return it->first;
  }
  return std::nullopt;
}

std::optional<Frame> Walk::FrameAt(Lsn lsn, uint32_t gap) const {
  const uint64_t offset = lsn - segment_ * shape_.segment_bytes;
  if (offset >= bytes_.size()) return std::nullopt;
  auto frame = DecodeFrame(salt_, lsn, std::string_view(bytes_).substr(offset));
  // Another gap: a frame between the two is missing.
  if (frame && frame->gap != gap) return std::nullopt;
  return frame;
}

std::optional<Frame> Walk::NextFrame() const {
  if (segment_ == 0) return std::nullopt;
  if (auto frame = FrameAt(at_, 0)) return frame;
  const Lsn padded = BlockUp(at_);
  if (padded == at_) return std::nullopt;
  return FrameAt(padded, static_cast<uint32_t>(padded - at_));
}

base::Status Walk::Deliver(const Frame& frame) {
  ends_cleanly_ = false;
  switch (static_cast<FrameKind>(frame.kind)) {
    case FrameKind::kBatch: {
      auto batch = DecodeBatch(frame.body);
      if (!batch) return Fail(batch.error());
      ++found_.recovered.batches;
      return replay_->OnBatch(frame.end(), std::move(*batch));
    }
    case FrameKind::kMark: {
      const auto body = DecodeMark(frame.body);
      if (!body) return Fail(body.error());
      const Mark mark{frame.end(), {body->wall_ms}, body->clean_stop};
      found_.recovered.last_mark = mark;
      if (mark.clean_stop) found_.recovered.last_clean_stop = mark;
      ends_cleanly_ = mark.clean_stop;
      replay_->OnMark(mark);
      return {};
    }
  }
  return Fail(Code::kUnsupported, "the log has frames of kind " + std::to_string(frame.kind) +
                                      ": a later release wrote it");
}

base::Status Walk::Follow(Lsn cut) {
  Recovered& recovered = found_.recovered;
  recovered.cut = recovered.end = at_ = cut;
  if (cut > 0) {
    const uint64_t segment = SegmentBefore(cut, shape_.segment_bytes);
    // Its header was durable before its first frame. It is not needed if the log goes on elsewhere.
    const bool there = Enter(segment) || SegmentBehind(cut);
    if (!there) SayDamaged("the segment in which the log begins is gone");
    if (segment_ == segment) found_.live.insert(segment);
  }
  while (true) {
    if (const auto next = SegmentBehind(recovered.end)) {
      Enter(*next);
      at_ = *next * shape_.segment_bytes + kBlock;
    }
    const auto frame = NextFrame();
    if (!frame) return {};
    if (auto delivered = Deliver(*frame); !delivered) return delivered;
    found_.live.insert(segment_);
    recovered.end = at_ = frame->end();
  }
}

void Walk::Judge(const Control& control) {
  const Lsn end = found_.recovered.end;
  Prove(control.durable, "the control file");
  for (const auto& [number, header] : headers_) {
    Prove(header.durable, "a later segment");
    if (header.prev_end > end) remains_ = true;
  }
  ahead_max_ = found_.highest + shape_.slots_max;
  const uint64_t last = end > 0 ? SegmentBefore(end, shape_.segment_bytes) : 0;
  for (uint64_t slot = 0; slot < slots_; ++slot) {
    // A header is durable before its segment's frames are written: no later frame lies under an
    // older header. Under a damaged one anything may.
    const auto number = header_of_slot_[slot];
    if (number && *number < last) continue;
    // It was made at its full length before it had a header, the first two before there was a
    // control block, and each before the one behind it.
    const bool was_made =
        number || (control.sequence > 0 && (slot < kSlotsMin || slot + 1 < slots_));
    const auto size = disk_->Size(FileOfSlot(slot));
    if (was_made && size && *size < shape_.segment_bytes) {
      SayDamaged("slot " + std::to_string(slot) + " has become shorter");
    }
    LookIn(slot, number && *number == last ? end % shape_.segment_bytes : kBlock);
  }
  Recovered& recovered = found_.recovered;
  if (recovered.ending == Ending::kWhole && remains_) recovered.ending = Ending::kTorn;
  recovered.stopped_cleanly = ends_cleanly_ && recovered.ending == Ending::kWhole;
}

void Walk::LookIn(uint64_t slot, uint64_t from) {
  if (from == 0) return;  // the segment is full to its last byte
  Load(slot);
  const std::string_view bytes = bytes_;
  for (uint64_t at = from; at + kFrameHead <= bytes.size();) {
    Lsn lsn;
    std::memcpy(&lsn, &bytes[at + 8], sizeof lsn);
    const uint64_t segment = lsn / shape_.segment_bytes;
    const bool fits =
        lsn % shape_.segment_bytes == at && Slot(segment) == slot && lsn >= found_.recovered.end;
    const auto frame = fits ? DecodeFrame(salt_, lsn, bytes.substr(at)) : std::nullopt;
    at += frame ? FrameBytes(frame->body.size()) : kFrameAlign;
    // What is not whole may be some value's bytes: no segment is further ahead than the slots
    // allow.
    if (frame || (fits && segment <= ahead_max_)) remains_ = true;
    if (!frame) continue;
    found_.highest = std::max(found_.highest, segment);
    Prove(frame->durable, "a later frame");
  }
}

void Walk::Prove(Lsn durable, const char* who) {
  Recovered& recovered = found_.recovered;
  if (durable <= recovered.end) return;
  recovered.lost_to = std::max(recovered.lost_to, durable);
  SayDamaged(std::string(who) + " says that more was durable");
}

void Walk::SayDamaged(std::string why) {
  if (found_.recovered.ending != Ending::kDamaged) found_.recovered.why = std::move(why);
  found_.recovered.ending = Ending::kDamaged;
}

}  // namespace

base::Result<Found> Recover(Disk* disk, const Shape& shape, const Control& control, uint32_t slots,
                            Replay* replay) {
  Walk walk(disk, shape, slots, replay);
  if (auto status = walk.ReadHeaders(); !status) return Fail(status.error());
  const Lsn cut = std::max(control.cut, walk.HighestCut());
  if (auto status = walk.Follow(cut); !status) return Fail(status.error());
  walk.Judge(control);
  return walk.Take();
}

}  // namespace lariat::storage::log

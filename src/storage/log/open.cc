// SPDX-License-Identifier: Apache-2.0
// Opening a log. The rest of Log is in log.cc.
#include <algorithm>
#include <utility>

#include "storage/log/log.h"

namespace lariat::storage::log {

using base::Code;
using base::Fail;

namespace {

class Opening {
 public:
  Opening(const LogOptions& options, Disk* disk) : options_(options), disk_(disk) {}

  base::Status Run(Replay* replay);
  const Shape& shape() const { return shape_; }
  const Found& found() const { return found_; }
  Segments::State segments() const { return {control_, found_.live, found_.highest, slots_}; }

 private:
  base::Status ReadControl();
  bool AnyHeader() const;
  base::Status CountSlots();
  base::Status CheckEmpty(Replay* replay);
  base::Status KeepWhatWasRead();
  base::Status RememberDamage();
  base::Status MakeSlots();
  base::Status WriteControl();

  const LogOptions& options_;
  Disk* const disk_;
  Shape shape_;
  Control control_;
  bool is_new_ = false;
  uint32_t slots_ = 0;  // up to the last one that is there
  Found found_;
};

base::Status Opening::Run(Replay* replay) {
  if (auto status = ReadControl(); !status) return status;
  if (auto status = CountSlots(); !status) return status;
  if (is_new_) {
    if (auto status = CheckEmpty(replay); !status) return status;
    // The control block comes last: without one a log that was never opened is made anew.
    if (auto status = MakeSlots(); !status) return status;
    if (auto status = disk_->Make(kControlFile, 2 * kBlock); !status) return status;
    return WriteControl();
  }
  // So many were there before the control block was, and others without a hole: one that is missing
  // is damage.
  slots_ = std::max(slots_, kSlotsMin);
  auto found = Recover(disk_, shape_, control_, slots_, replay);
  if (!found) return Fail(found.error());
  found_ = std::move(*found);
  control_.cut = found_.recovered.cut;
  if (auto status = KeepWhatWasRead(); !status) return status;
  if (auto status = RememberDamage(); !status) return status;
  return MakeSlots();
}

base::Status Opening::ReadControl() {
  shape_ = options_.shape;
  std::string blocks(2 * kBlock, '\0');
  const auto size = disk_->Size(kControlFile);
  if (!size && size.error().code != Code::kNotFound) return Fail(size.error());
  const bool read = size && disk_->Read(kControlFile, 0, blocks.size(), blocks.data());
  bool any = false;
  for (size_t at = 0; at < blocks.size(); at += kBlock) {
    Shape shape;
    const auto control = DecodeControl(std::string_view(blocks).substr(at, kBlock), &shape);
    if (!control && control.error().code == Code::kUnsupported) return Fail(control.error());
    if (!control || control->sequence < control_.sequence) continue;
    if (shape.store != options_.shape.store) {
      return Fail(Code::kConflict, "the log belongs to the store " + shape.store.ToString());
    }
    any = true;
    control_ = *control;
    shape_ = shape;
  }
  if (any || AnyHeader()) return {};
  const bool empty = blocks.find_first_not_of('\0') == std::string::npos;
  if (size && (!read || !empty)) {
    return Fail(Code::kCorruption, "the log's control file is damaged, and no segment is there");
  }
  is_new_ = true;
  return {};
}

// Of this store. Its cut, if it has a later one, is believed in place of a damaged control block's.
bool Opening::AnyHeader() const {
  std::string block(kBlock, '\0');
  for (uint32_t slot = 0; slot < shape_.slots_max; ++slot) {
    if (!disk_->Read(FileOfSlot(slot), 0, kBlock, block.data())) continue;
    const auto header = DecodeHeader(shape_, block);
    if (header || header.error().code == Code::kUnsupported) return true;
  }
  return false;
}

base::Status Opening::CountSlots() {
  for (uint32_t slot = 0; slot < shape_.slots_max; ++slot) {
    const auto size = disk_->Size(FileOfSlot(slot));
    if (!size && size.error().code != Code::kNotFound) return Fail(size.error());
    if (size) slots_ = slot + 1;
  }
  return {};
}

// A start that was killed leaves zeros. Frames without any block that names them are no new log:
// its first segment would have the numbers of theirs.
base::Status Opening::CheckEmpty(Replay* replay) {
  const auto found = Recover(disk_, shape_, {}, slots_, replay);
  if (!found) return Fail(found.error());
  if (found->highest == 0 && found->recovered.ending == Ending::kWhole) return {};
  return Fail(Code::kCorruption, "the log has frames, but no control block and no header is left");
}

// A killed process leaves in the page cache what was never synced: now it was given out.
base::Status Opening::KeepWhatWasRead() {
  for (const uint64_t segment : found_.live) {
    if (auto synced = disk_->Sync(FileOfSlot(segment % shape_.slots_max)); !synced) return synced;
  }
  return {};
}

// Slots are made and used again from here on, and what proves the damage may go with them. So the
// control block says it, until frames with higher LSNs are there.
base::Status Opening::RememberDamage() {
  const Recovered& recovered = found_.recovered;
  if (recovered.ending != Ending::kDamaged) return {};
  control_.durable = std::max(recovered.lost_to, recovered.end + 1);
  // No frame will have these LSNs again, or the new ones would seem to be missing.
  found_.highest = std::max(found_.highest, control_.durable / shape_.segment_bytes);
  if (const auto size = disk_->Size(kControlFile); !size || *size < 2 * kBlock) {
    if (auto made = disk_->Make(kControlFile, 2 * kBlock); !made) return made;
  }
  return WriteControl();
}

// Those that an earlier start or Grow did not finish, too, and those that damage made shorter.
base::Status Opening::MakeSlots() {
  slots_ = std::max({slots_, kSlotsMin, std::min(options_.slots_at_open, shape_.slots_max)});
  for (uint32_t slot = 0; slot < slots_; ++slot) {
    const auto size = disk_->Size(FileOfSlot(slot));
    if (size && *size == shape_.segment_bytes) continue;
    if (auto made = disk_->Make(FileOfSlot(slot), shape_.segment_bytes); !made) return made;
  }
  return {};
}

base::Status Opening::WriteControl() {
  ++control_.sequence;
  return disk_->WriteDurably(kControlFile, Segments::OffsetOf(control_),
                             EncodeControl(shape_, control_));
}

}  // namespace

base::Result<std::shared_ptr<Log>> Log::Open(LogOptions options, std::unique_ptr<Disk> disk,
                                             std::unique_ptr<GroupWriter> writer,
                                             const env::Clock* clock, Replay* replay) {
  if (auto status = CheckShape(options.shape); !status) return Fail(status.error());
  Opening opening(options, disk.get());
  if (auto status = opening.Run(replay); !status) return Fail(status.error());
  options.shape = opening.shape();
  if (writer == nullptr) writer = std::make_unique<BlockingWriter>(disk.get());
  return std::shared_ptr<Log>(new Log(options, std::move(disk), std::move(writer), clock,
                                      opening.found(), opening.segments()));
}

}  // namespace lariat::storage::log

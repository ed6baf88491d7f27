// SPDX-License-Identifier: Apache-2.0
// For the tests of this folder: files that forget what was not synced, sector by sector, and lie on
// demand. FakeFiles stay when a process ends; a FakeDisk is one process's way to them.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/coding.h"
#include "base/prng.h"
#include "storage/log/disk.h"
#include "storage/log/format.h"

namespace lariat::storage::log {

// What a log with that mistake would do, done by the world around it.
enum class Bug : uint8_t {
  kNone,
  kToldBeforeWritten,   // a waiter is answered when its group is taken
  kSyncForgotten,       // a group is written to the page cache only
  kHeaderNotDurable,    // the header of a segment waits for the next sync
  kCutTooHigh,          // the cut lies behind what was flushed
  kLsnNotChecked,       // a frame of an earlier use of the slot passes
  kSumNotChecked,       // a frame that was written in part passes
  kWitnessIgnored,      // a damaged middle passes for a torn tail
  kLateWriteForgotten,  // what was written behind is not synced with the group
};

class FakeFiles {
 public:
  explicit FakeFiles(uint64_t seed) : prng(seed) {}

  struct Unsynced {
    uint64_t offset;
    std::string bytes;
  };
  struct File {
    std::string now;      // as this machine reads it
    std::string durable;  // as the next one does
    std::vector<Unsynced> unsynced;
  };

  // Any part of what was not synced is lost, in units of sectors, one of them torn.
  void PowerCut() {
    for (auto& [number, file] : files) {
      for (const Unsynced& write : file.unsynced) ApplyPart(write.offset, write.bytes, &file);
      file.unsynced.clear();
      file.now = file.durable;
    }
  }
  void ApplyPart(uint64_t offset, std::string_view bytes, File* file) {
    const uint64_t how = prng.Below(4);  // all, nothing, or some
    for (size_t at = 0; at < bytes.size();) {
      const size_t size = std::min<size_t>(kSector - (offset + at) % kSector, bytes.size() - at);
      const bool kept = how == 0 || (how > 1 && prng.Chance(0.5));
      size_t part = kept ? size : 0;
      if (how > 1 && prng.Below(16) == 0) part = prng.Below(size + 1);
      Put(offset + at, bytes.substr(at, part), &file->durable);
      at += size;
    }
  }
  static void Put(uint64_t offset, std::string_view bytes, std::string* to) {
    if (to->size() < offset + bytes.size()) to->resize(offset + bytes.size());
    std::copy(bytes.begin(), bytes.end(), to->begin() + static_cast<ptrdiff_t>(offset));
  }

  static constexpr size_t kSector = 512;
  base::Prng prng;
  std::map<FileNumber, File> files;
};

class FakeDisk final : public Disk {
 public:
  FakeDisk(FakeFiles* files, const Shape& shape, Bug bug)
      : files_(files), shape_(shape), bug_(bug) {}

  // After so many more changes the power goes, within one: nothing works any more. 0: never.
  void CutPowerAfter(uint64_t changes) { changes_left_ = changes; }
  // That change fails, with a part of it done; the others work.
  void FailAfter(uint64_t changes) { fails_in_ = changes; }
  uint64_t changes() const { return changes_; }
  bool dead() const { return dead_; }
  bool failed() const { return failed_; }

  base::Result<uint64_t> Size(FileNumber file) override {
    const auto it = files_->files.find(file);
    if (it == files_->files.end()) return Absent();
    return it->second.now.size();
  }
  base::Status Make(FileNumber file, uint64_t bytes) override {
    if (dead_) return Broken();
    const auto fate = NextChange();
    FakeFiles::File& made = files_->files[file];
    const uint64_t old = made.now.size();
    if (old >= bytes) return fate;
    made.now.resize(fate ? bytes : old + files_->prng.Below(bytes - old), '\0');
    made.durable.resize(made.now.size(), '\0');
    return fate;
  }
  base::Status Read(FileNumber number, uint64_t offset, size_t size, char* out) override {
    if (dead_) return Broken();
    const auto it = files_->files.find(number);
    if (it == files_->files.end()) return Absent();
    const std::string altered = Altered(number, it->second.now);
    std::fill_n(out, size, '\0');
    if (offset < altered.size()) altered.copy(out, size, offset);
    return {};
  }
  base::Status Write(FileNumber number, uint64_t offset, std::string_view bytes) override {
    if (dead_) return Broken();
    FakeFiles::File& file = files_->files.at(number);
    const auto fate = NextChange();
    if (!fate) bytes = bytes.substr(0, files_->prng.Below(bytes.size() + 1));
    FakeFiles::Put(offset, bytes, &file.now);
    file.unsynced.push_back({offset, std::string(bytes)});
    return fate;
  }
  base::Status WriteDurably(FileNumber number, uint64_t offset, std::string_view bytes) override {
    if (dead_) return Broken();
    if (bug_ == Bug::kSyncForgotten && number != kControlFile && offset > 0) {
      return Write(number, offset, bytes);
    }
    if (bug_ == Bug::kHeaderNotDurable && number != kControlFile && offset == 0) {
      return Write(number, offset, bytes);
    }
    std::string block(bytes);
    if (bug_ == Bug::kCutTooHigh && number == kControlFile) block = WithHigherCut(bytes);
    FakeFiles::File& file = files_->files.at(number);
    // The kernel first writes what lies in the page cache there.
    std::erase_if(file.unsynced, [&](const FakeFiles::Unsynced& old) {
      const bool apart =
          old.offset >= offset + bytes.size() || offset >= old.offset + old.bytes.size();
      if (!apart) FakeFiles::Put(old.offset, old.bytes, &file.durable);
      return !apart;
    });
    const auto fate = NextChange();
    if (!fate) files_->ApplyPart(offset, block, &file);
    if (!fate) {
      file.now = file.durable;
      for (const auto& write : file.unsynced) FakeFiles::Put(write.offset, write.bytes, &file.now);
      return fate;
    }
    FakeFiles::Put(offset, block, &file.now);
    FakeFiles::Put(offset, block, &file.durable);
    return {};
  }
  base::Status Sync(FileNumber number) override {
    if (dead_) return Broken();
    if (bug_ == Bug::kSyncForgotten) return {};
    FakeFiles::File& file = files_->files.at(number);
    if (auto fate = NextChange(); !fate) return fate;
    file.durable = file.now;
    file.unsynced.clear();
    return {};
  }

 private:
  static tl::unexpected<base::Error> Broken() { return base::Fail(base::Code::kIo, "injected"); }
  static tl::unexpected<base::Error> Absent() {
    return base::Fail(base::Code::kNotFound, "no such file");
  }
  base::Status NextChange() {
    ++changes_;
    if (changes_left_ > 0 && --changes_left_ == 0) {
      dead_ = true;
      return Broken();
    }
    if (fails_in_ > 0 && --fails_in_ == 0) {
      failed_ = true;
      return Broken();
    }
    return {};
  }
  // What a reader without that check would see.
  std::string Altered(FileNumber number, const std::string& bytes) const {
    const bool alters =
        bug_ == Bug::kLsnNotChecked || bug_ == Bug::kSumNotChecked || bug_ == Bug::kWitnessIgnored;
    if (!alters || number == kControlFile || bytes.size() < kBlock) return bytes;
    const auto header = DecodeHeader(shape_, std::string_view(bytes).substr(0, kBlock));
    if (!header) return bytes;
    const uint32_t salt = FrameSalt(shape_.store);
    std::string altered = bytes;
    for (size_t at = kBlock; at + kFrameHead <= altered.size(); at += kFrameAlign) {
      const std::string_view rest = std::string_view(altered).substr(at);
      base::ByteReader reader(rest);
      (void)reader.U32();
      Frame frame;
      const size_t length = reader.U32();
      const Lsn claimed = reader.U64();
      frame.durable = reader.U64();
      frame.gap = reader.U32();
      frame.kind = reader.U8();
      if (FrameBytes(length) > rest.size() || frame.kind == 0 || frame.gap >= kBlock) continue;
      const std::string body(rest.substr(kFrameHead, length));
      frame.body = body;
      frame.lsn = header->number * shape_.segment_bytes + at;
      const bool whole = DecodeFrame(salt, claimed, rest).has_value();
      const bool stale = whole && bug_ == Bug::kLsnNotChecked && claimed != frame.lsn;
      const bool torn = !whole && bug_ == Bug::kSumNotChecked && claimed == frame.lsn;
      const bool blind = whole && bug_ == Bug::kWitnessIgnored && frame.durable > 0;
      if (blind) frame.durable = 0;
      if (blind) frame.lsn = claimed;
      frame.durable = std::min(frame.durable, frame.lsn);
      if (stale || torn || blind) EncodeFrame(salt, frame, &altered[at]);
    }
    return altered;
  }
  std::string WithHigherCut(std::string_view block) const {
    Shape shape;
    auto control = DecodeControl(block, &shape);
    if (!control) return std::string(block);
    control->cut += 512;
    control->durable = std::max(control->durable, control->cut);
    return EncodeControl(shape, *control);
  }

  FakeFiles* const files_;
  const Shape shape_;
  const Bug bug_;
  uint64_t changes_ = 0;
  uint64_t changes_left_ = 0;
  uint64_t fails_in_ = 0;
  bool dead_ = false;
  bool failed_ = false;
};

}  // namespace lariat::storage::log

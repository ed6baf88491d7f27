// SPDX-License-Identifier: Apache-2.0
// The reader of the log, over files that hold whatever the input says. A fuzzer does not guess
// sums, so the input is a list of things to put into the slots: headers and frames with right sums,
// or bytes. Reading ends, what it gives is in order, and a log that was read can be written and
// read again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/coding.h"
#include "storage/log/log.h"

namespace {

namespace base = lariat::base;
namespace env = lariat::env;
namespace storage = lariat::storage;
namespace log = lariat::storage::log;

using Files = std::map<log::FileNumber, std::string>;

class MemoryDisk final : public log::Disk {
 public:
  explicit MemoryDisk(Files* files) : files_(files) {}
  base::Result<uint64_t> Size(log::FileNumber file) override {
    const auto it = files_->find(file);
    if (it == files_->end()) return base::Fail(base::Code::kNotFound, "none");
    return it->second.size();
  }
  base::Status Make(log::FileNumber file, uint64_t bytes) override {
    if ((*files_)[file].size() < bytes) (*files_)[file].resize(bytes, '\0');
    return {};
  }
  base::Status Read(log::FileNumber file, uint64_t offset, size_t size, char* out) override {
    if (!files_->contains(file)) return base::Fail(base::Code::kNotFound, "none");
    const std::string& bytes = files_->at(file);
    const size_t there = offset < bytes.size() ? bytes.copy(out, size, offset) : 0;
    std::fill_n(out + there, size - there, '\0');
    return {};
  }
  base::Status Write(log::FileNumber file, uint64_t offset, std::string_view bytes) override {
    LARIAT_CHECK(offset + bytes.size() <= files_->at(file).size(), "within the slot");
    files_->at(file).replace(offset, bytes.size(), bytes);
    return {};
  }
  base::Status WriteDurably(log::FileNumber file, uint64_t offset,
                            std::string_view bytes) override {
    return Write(file, offset, bytes);
  }
  base::Status Sync(log::FileNumber /*file*/) override { return {}; }

 private:
  Files* const files_;
};

class StoppedClock final : public env::Clock {
 public:
  base::Instant Now() const override { return {}; }
  base::WallTime Wall() const override { return {}; }
};

class InOrder final : public log::Replay {
 public:
  base::Status OnBatch(log::Lsn end, storage::WriteBatch /*batch*/) override {
    LARIAT_CHECK(end > last, "frames come in order");
    last = end;
    ++batches;
    return {};
  }
  log::Lsn last = 0;
  uint64_t batches = 0;
};

constexpr log::Shape kShape{{1, 2}, 4 * log::kBlock, 3};

// One thing at a time: what it is (1), slot (1), and its numbers.
void Put(base::ByteReader* input, Files* files) {
  const uint8_t what = input->U8();
  const uint64_t slot = input->U8() % kShape.slots_max;
  std::string& bytes = (*files)[log::FileOfSlot(slot)];
  bytes.resize(kShape.segment_bytes, '\0');
  // Numbers that fit the slot, mostly.
  const uint64_t number = kShape.slots_max * (input->U8() % 8) + slot;
  const uint64_t base = number * kShape.segment_bytes;
  const uint64_t at = log::kBlock + input->U8() * log::kFrameAlign;
  switch (what % 4) {
    case 0: {
      const log::SegmentHeader header{number, input->Varint(), input->Varint(), input->Varint()};
      bytes.replace(0, log::kBlock, log::EncodeHeader(kShape, header));
      break;
    }
    case 1: {
      log::Frame frame;
      frame.lsn = base + at;
      frame.durable = input->Varint();
      frame.gap = static_cast<uint32_t>(input->Varint());
      frame.kind = input->U8();
      frame.body = input->Sized();
      const size_t size = log::FrameBytes(frame.body.size());
      if (size > bytes.size() - at) break;
      log::EncodeFrame(log::FrameSalt(kShape.store), frame, &bytes[at]);
      break;
    }
    case 2: {
      const std::string_view raw = input->Sized();
      if (raw.size() < bytes.size() - at) bytes.replace(at, raw.size(), raw);
      break;
    }
    default: {
      std::string& control = (*files)[log::kControlFile];
      control.resize(2 * log::kBlock, '\0');
      const log::Control block{input->Varint(), input->Varint(), input->Varint()};
      control.replace(log::kBlock * (slot % 2), log::kBlock, log::EncodeControl(kShape, block));
    }
  }
}

void TryFrame(std::string_view input) {
  base::ByteReader reader(input);
  (void)reader.U64();
  const log::Lsn lsn = reader.U64();
  const auto frame = log::DecodeFrame(7, lsn, input);
  if (!frame) return;
  std::string bytes(log::FrameBytes(frame->body.size()), '\0');
  log::EncodeFrame(7, *frame, bytes.data());
  LARIAT_CHECK(log::DecodeFrame(7, lsn, bytes).has_value(), "what is written can be read");
}

void TryBatch(std::string_view input) {
  const auto batch = log::DecodeBatch(input);
  if (!batch) return;
  std::string bytes;
  log::EncodeBatch(*batch, &bytes);
  LARIAT_CHECK(bytes == input, "a batch has one encoding");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  TryFrame(bytes);
  TryBatch(bytes);

  Files files;
  base::ByteReader input(bytes);
  while (input.ok() && !input.AtEnd()) Put(&input, &files);
  log::LogOptions options;
  options.shape = kShape;
  StoppedClock clock;
  InOrder first;
  auto opened =
      log::Log::Open(options, std::make_unique<MemoryDisk>(&files), nullptr, &clock, &first);
  if (!opened) return 0;
  const log::Recovered recovered = (*opened)->recovered();
  LARIAT_CHECK(recovered.end >= recovered.cut, "a log ends behind its cut");
  storage::WriteBatch batch;
  batch.Put(storage::Space::kData, "k", "v");
  const auto end = (*opened)->Append(batch);
  const bool wrote = end.has_value() && (*opened)->WriteBehind().has_value();
  opened->reset();
  InOrder second;
  opened = log::Log::Open(options, std::make_unique<MemoryDisk>(&files), nullptr, &clock, &second);
  LARIAT_CHECK(opened.has_value(), "what could be read can be read again");
  LARIAT_CHECK(second.batches == first.batches + (wrote ? 1 : 0), "the same, and what came since");
  const bool damaged = (*opened)->recovered().ending == log::Ending::kDamaged;
  LARIAT_CHECK(wrote || damaged == (recovered.ending == log::Ending::kDamaged), "said again");
  LARIAT_CHECK(!wrote || !damaged, "the log went on");
  return 0;
}

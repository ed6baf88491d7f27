// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/internal/log_check.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <vector>

#include "base/coding.h"
#include "base/hash.h"

namespace lariat::storage::internal {

using base::Code;
using base::Fail;

namespace {

// RocksDB's log: blocks of 32 KiB with records that do not cross their ends. A record is a masked
// CRC-32C of all that follows the length (4), length (2), type (1) and its bytes.
constexpr size_t kBlock = 32 << 10;
constexpr size_t kHeader = 7;
constexpr uint8_t kFull = 1;
constexpr uint8_t kLast = 4;  // those of logs that are used again have greater ones

uint32_t Masked(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8U; }

// Of the record that begins here; 0: there is none.
size_t RecordSize(std::string_view block) {
  if (block.size() < kHeader) return 0;
  base::ByteReader reader(block);
  const uint32_t sum = reader.U32();
  const size_t low = reader.U8();
  const size_t size = kHeader + (low | static_cast<size_t>(reader.U8()) << 8);
  const uint8_t type = reader.U8();
  if (type < kFull || type > kLast || size > block.size()) return 0;
  const bool whole = Masked(base::Crc32c(block.substr(kHeader - 1, size - kHeader + 1))) == sum;
  return whole ? size : 0;
}

struct Shape {
  bool any = false;             // it has a record
  std::optional<uint64_t> bad;  // where the first place is that is no record
  bool more = false;            // a later block begins with one
};

Shape Examine(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Shape shape;
  std::string block(kBlock, '\0');
  for (uint64_t start = 0; !shape.more; start += kBlock) {
    file.read(block.data(), kBlock);
    const std::string_view bytes(block.data(), static_cast<size_t>(file.gcount()));
    if (bytes.empty()) break;
    if (shape.bad) {
      shape.more = RecordSize(bytes) > 0;
      continue;
    }
    // Less than a header at the end of a block is left empty.
    for (size_t at = 0; at < bytes.size() && kBlock - at >= kHeader;) {
      const size_t size = RecordSize(bytes.substr(at));
      if (size == 0) shape.bad = start + at;
      if (size == 0) break;
      shape.any = true;
      at += size;
    }
  }
  return shape;
}

// A record of no bytes with a wrong sum.
base::Status Spoil(const std::string& path, uint64_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(at));
  const char record[kHeader] = {0, 0, 0, 0, 0, 0, kFull};
  if (!file.write(record, sizeof record).flush()) {
    return Fail(Code::kIo, "cannot write " + path);
  }
  return {};
}

}  // namespace

base::Status MarkHoles(const std::string& directory) {
  std::vector<std::string> logs;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    if (entry.path().extension() == ".log") logs.push_back(entry.path().string());
  }
  std::sort(logs.begin(), logs.end(), [](const std::string& a, const std::string& b) {
    return std::pair(a.size(), a) < std::pair(b.size(), b);
  });
  bool follows = false;  // a later one has records
  for (auto log = logs.rbegin(); log != logs.rend(); ++log) {
    const Shape shape = Examine(*log);
    if (shape.bad && (shape.more || follows)) {
      if (auto marked = Spoil(*log, *shape.bad); !marked) return marked;
    }
    follows = follows || shape.any;
  }
  return {};
}

}  // namespace lariat::storage::internal

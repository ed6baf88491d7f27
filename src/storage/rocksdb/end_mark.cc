// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/internal/end_mark.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>

#include "base/coding.h"
#include "base/hash.h"
#include "storage/rocksdb/internal/store_files.h"

namespace lariat::storage::internal {
namespace {

constexpr uint8_t kVersion = 1;
constexpr std::string_view kManifest = "MANIFEST-";

}  // namespace

std::string EncodeReached(const Reached& reached) {
  std::string bytes;
  base::ByteWriter writer(&bytes);
  writer.U8(kVersion);
  writer.U64(reached.sequence);
  writer.U64(reached.manifest);
  writer.U64(reached.manifest_bytes);
  writer.U32(reached.manifest_sum);
  writer.U32(base::Crc32c(bytes));
  return bytes;
}

std::optional<Reached> DecodeReached(const std::string& bytes) {
  base::ByteReader reader(bytes);
  const bool known = reader.U8() == kVersion;
  Reached reached;
  reached.sequence = reader.U64();
  reached.manifest = reader.U64();
  reached.manifest_bytes = reader.U64();
  reached.manifest_sum = reader.U32();
  const uint32_t sum = reader.U32();
  if (!known || !reader.AtEnd() || sum != base::Crc32c({bytes.data(), bytes.size() - sizeof sum})) {
    return std::nullopt;
  }
  return reached;
}

std::optional<Reached> ReadEndMark(const std::string& directory) {
  return DecodeReached(ReadFile(directory + "/" + kEndMarkName));
}

bool EndsEarly(const std::optional<Reached>& reached, uint64_t sequence, bool log_elsewhere) {
  if (!reached || (log_elsewhere && reached->sequence == kLogElsewhere)) return false;
  return sequence < reached->sequence;
}

std::optional<uint64_t> ManifestNumber(const std::string& name) {
  if (!name.starts_with(kManifest)) return std::nullopt;
  const char* const end = name.data() + name.size();
  uint64_t number = 0;
  const auto [rest, failure] = std::from_chars(name.data() + kManifest.size(), end, number);
  const bool ends = rest == end || (rest + 1 == end && *rest == '\n');
  if (failure != std::errc() || !ends) return std::nullopt;
  return number;
}

std::string ManifestName(uint64_t number) {
  char name[40];
  const int size =
      std::snprintf(name, sizeof name, "MANIFEST-%06llu", static_cast<unsigned long long>(number));
  return {name, static_cast<size_t>(size)};
}

bool FollowManifest(const std::string& directory, uint64_t size_max, Reached* seen) {
  std::ifstream file(directory + "/" + ManifestName(seen->manifest), std::ios::binary);
  if (!file.seekg(static_cast<std::streamoff>(seen->manifest_bytes))) return false;
  char bytes[16 << 10];
  while (seen->manifest_bytes < size_max) {
    file.read(bytes, static_cast<std::streamsize>(
                         std::min<uint64_t>(sizeof bytes, size_max - seen->manifest_bytes)));
    const auto size = static_cast<size_t>(file.gcount());
    if (size == 0) break;
    seen->manifest_sum = base::Crc32c({bytes, size}, seen->manifest_sum);
    seen->manifest_bytes += size;
  }
  return !file.bad();
}

EndMark::~EndMark() {
  if (file_ >= 0) ::close(file_);
}

void EndMark::Note(uint64_t sequence) {
  durable_ = seen_;
  Look();
  // Of a manifest that is new there is nothing yet that is known to be durable.
  if (durable_.manifest != seen_.manifest) durable_ = {0, seen_.manifest, 0, 0};
  (void)Write(sequence, /*sync=*/false);
}

bool EndMark::NoteAll(uint64_t sequence) {
  Look();
  durable_ = seen_;
  return Write(sequence, /*sync=*/true);
}

void EndMark::Look() {
  const auto current = ManifestNumber(ReadFile(directory_ + "/CURRENT"));
  if (!current) return;
  if (*current != seen_.manifest) seen_ = {0, *current, 0, 0};
  FollowManifest(directory_, UINT64_MAX, &seen_);
}

bool EndMark::Write(uint64_t sequence, bool sync) {
  Reached reached = durable_;
  reached.sequence = sequence;
  if (written_ == reached && !sync) return true;
  const std::string path = directory_ + "/" + kEndMarkName;
  if (file_ < 0) file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  const std::string bytes = EncodeReached(reached);
  if (::pwrite(file_, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return false;
  written_ = reached;
  return !sync || ::fsync(file_) == 0;
}

}  // namespace lariat::storage::internal

// SPDX-License-Identifier: Apache-2.0
#include "replica/tree/layout.h"

#include "base/coding.h"

namespace lariat::replica {
namespace {

using merkle::LeafSum;

constexpr uint8_t kTreeVersion = 1;
constexpr size_t kPageKeySize = 4 + 1 + 2;
constexpr size_t kJournalKeySize = 4 + 2 + 4 + 8;
constexpr uint32_t kJournalBucket = 0xfffffffe;  // behind the pages of every bucket
constexpr uint32_t kHeadBucket = 0xffffffff;
constexpr size_t kEventBytesMax = 4 + 2 + 1 + merkle::kLeafSumBytes;

void PutBigEndian(uint64_t value, int bytes, std::string* out) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>(value >> shift));
  }
}

uint64_t GetBigEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

uint32_t GetBigEndian32(std::string_view bytes) {
  return static_cast<uint32_t>(GetBigEndian(bytes));
}

// Nothing, and the reader is not ok() any more, if the bytes are too short.
LeafSum ReadSum(base::ByteReader* in) {
  const auto sum = LeafSum::Decode(in->Raw(merkle::kLeafSumBytes));
  if (!sum) in->MarkBad();
  return sum.value_or(LeafSum{});
}

}  // namespace

std::string TreePageKey(const PagePlace& place, uint32_t part) {
  std::string key;
  PutBigEndian(place.bucket, 4, &key);
  PutBigEndian(place.page, 1, &key);
  PutBigEndian(part, 2, &key);
  return key;
}

std::string TreeJournalKey(uint32_t part, const JournalSeq& seq) {
  std::string key;
  PutBigEndian(kJournalBucket, 4, &key);
  PutBigEndian(part, 2, &key);
  PutBigEndian(seq.run, 4, &key);
  PutBigEndian(seq.number, 8, &key);
  return key;
}

std::string TreeHeadKey() {
  std::string key;
  PutBigEndian(kHeadBucket, 4, &key);
  return key;
}

std::string TreePartKey(uint32_t part) {
  std::string key = TreeHeadKey();
  PutBigEndian(part, 2, &key);
  return key;
}

std::optional<TreeKeyOfPage> ParseTreePageKey(std::string_view key) {
  if (key.size() != kPageKeySize || GetBigEndian(key.substr(0, 4)) >= kJournalBucket) {
    return std::nullopt;
  }
  return TreeKeyOfPage{{GetBigEndian32(key.substr(0, 4)), GetBigEndian32(key.substr(4, 1))},
                       GetBigEndian32(key.substr(5, 2))};
}

std::optional<TreeKeyOfJournal> ParseTreeJournalKey(std::string_view key) {
  if (key.size() != kJournalKeySize || GetBigEndian(key.substr(0, 4)) != kJournalBucket) {
    return std::nullopt;
  }
  return TreeKeyOfJournal{GetBigEndian32(key.substr(4, 2)),
                          {GetBigEndian32(key.substr(6, 4)), GetBigEndian(key.substr(10))}};
}

std::string EncodeTreePage(const TreePage& page) {
  std::string value;
  value.reserve(16 + page.leaves.size() * (2 + merkle::kLeafSumBytes));
  base::ByteWriter writer(&value);
  writer.U32(page.generation);
  writer.U32(page.upto.run);
  writer.U64(page.upto.number);
  for (const TreePage::Leaf& leaf : page.leaves) {
    writer.U8(static_cast<uint8_t>(leaf.leaf));
    writer.U8(leaf.sum ? 1 : 0);
    if (leaf.sum) leaf.sum->AppendTo(&value);
  }
  return value;
}

std::optional<TreePage> DecodeTreePage(std::string_view value) {
  base::ByteReader reader(value);
  TreePage page;
  page.generation = reader.U32();
  page.upto.run = reader.U32();
  page.upto.number = reader.U64();
  while (reader.ok() && !reader.AtEnd()) {
    TreePage::Leaf leaf;
    leaf.leaf = reader.U8();
    if (reader.U8() != 0) leaf.sum = ReadSum(&reader);
    page.leaves.push_back(leaf);
  }
  return reader.ok() ? std::optional(std::move(page)) : std::nullopt;
}

std::string EncodeTreeJournal(uint32_t generation, const std::vector<LeafEvent>& events) {
  std::string value;
  value.reserve(4 + events.size() * kEventBytesMax);
  base::ByteWriter writer(&value);
  writer.U32(generation);
  for (const LeafEvent& event : events) {
    writer.U32(event.place.bucket);
    writer.U8(static_cast<uint8_t>(event.place.leaf));
    writer.U8(static_cast<uint8_t>(event.place.leaf >> 8));
    writer.U8(static_cast<uint8_t>(event.kind));
    if (event.kind != LeafEventKind::kUnknown) event.sum.AppendTo(&value);
  }
  return value;
}

std::optional<TreeJournalEntry> DecodeTreeJournal(std::string_view value) {
  base::ByteReader reader(value);
  TreeJournalEntry entry;
  entry.generation = reader.U32();
  while (reader.ok() && !reader.AtEnd()) {
    LeafEvent event;
    event.place.bucket = reader.U32();
    event.place.leaf = reader.U8();
    event.place.leaf |= uint32_t{reader.U8()} << 8;
    const uint8_t kind = reader.U8();
    if (kind > static_cast<uint8_t>(LeafEventKind::kIs)) reader.MarkBad();
    event.kind = static_cast<LeafEventKind>(kind);
    if (event.kind != LeafEventKind::kUnknown) event.sum = ReadSum(&reader);
    entry.events.push_back(event);
  }
  return reader.ok() ? std::optional(std::move(entry)) : std::nullopt;
}

std::string EncodeTreeHead(const TreeHead& head) {
  std::string value;
  base::ByteWriter writer(&value);
  writer.U8(kTreeVersion);
  writer.U32(head.shards);
  writer.U32(head.generation);
  return value;
}

std::optional<TreeHead> DecodeTreeHead(std::string_view value) {
  base::ByteReader reader(value);
  const uint8_t version = reader.U8();
  TreeHead head;
  head.shards = reader.U32();
  head.generation = reader.U32();
  if (!reader.AtEnd() || version != kTreeVersion) return std::nullopt;
  return head;
}

std::string EncodeTreePart(const TreePart& part) {
  std::string value;
  base::ByteWriter writer(&value);
  writer.U32(part.generation);
  writer.U32(part.run);
  writer.U8(part.complete ? 1 : 0);
  return value;
}

std::optional<TreePart> DecodeTreePart(std::string_view value) {
  base::ByteReader reader(value);
  TreePart part;
  part.generation = reader.U32();
  part.run = reader.U32();
  const uint8_t complete = reader.U8();
  if (!reader.AtEnd() || complete > 1) return std::nullopt;
  part.complete = complete == 1;
  return part;
}

}  // namespace lariat::replica

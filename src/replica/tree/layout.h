// SPDX-License-Identifier: Apache-2.0
// Keys and values of the hash trees in the engine (docs/formats/tree.md). Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merkle/leaf_sum.h"
#include "storage/record.h"

namespace lariat::replica {

// A leaf of a bucket, in the order of keys.
struct LeafPlace {
  storage::BucketId bucket = 0;
  uint32_t leaf = 0;
  auto operator<=>(const LeafPlace&) const = default;
};

// Leaves are stored in pages; a shard has pages of its own.
inline constexpr uint32_t kStoredPageLeaves = 256;
struct PagePlace {
  storage::BucketId bucket = 0;
  uint32_t page = 0;
  auto operator<=>(const PagePlace&) const = default;
};
inline PagePlace PageOf(const LeafPlace& place) {
  return {place.bucket, place.leaf / kStoredPageLeaves};
}

// The place of an entry in a shard's journal: the run of the node, and its number in that run.
struct JournalSeq {
  uint32_t run = 0;
  uint64_t number = 0;
  auto operator<=>(const JournalSeq&) const = default;
};

std::string TreePageKey(const PagePlace& place, uint32_t part);
std::string TreeJournalKey(uint32_t part, const JournalSeq& seq);
std::string TreeHeadKey();
std::string TreePartKey(uint32_t part);

struct TreeKeyOfPage {
  PagePlace place;
  uint32_t part = 0;
};
std::optional<TreeKeyOfPage> ParseTreePageKey(std::string_view key);
struct TreeKeyOfJournal {
  uint32_t part = 0;
  JournalSeq seq;
};
std::optional<TreeKeyOfJournal> ParseTreeJournalKey(std::string_view key);

struct TreePage {
  uint32_t generation = 0;
  JournalSeq upto;  // what the journal says up to here is in it
  struct Leaf {
    uint32_t leaf = 0;                   // within the page
    std::optional<merkle::LeafSum> sum;  // nothing: not known
  };
  std::vector<Leaf> leaves;  // of the others nothing is said
};
std::string EncodeTreePage(const TreePage& page);
std::optional<TreePage> DecodeTreePage(std::string_view value);

// What happened to a leaf. Numbers are stored.
enum class LeafEventKind : uint8_t { kUnknown = 0, kChange = 1, kIs = 2 };
struct LeafEvent {
  LeafPlace place;
  LeafEventKind kind = LeafEventKind::kChange;
  merkle::LeafSum sum;  // kChange: to be added; kIs: the whole
};
struct TreeJournalEntry {
  uint32_t generation = 0;
  std::vector<LeafEvent> events;
};
std::string EncodeTreeJournal(uint32_t generation, const std::vector<LeafEvent>& events);
std::optional<TreeJournalEntry> DecodeTreeJournal(std::string_view value);

struct TreeHead {
  uint32_t shards = 0;  // 0: the last run kept no trees
  uint32_t generation = 0;
  bool operator==(const TreeHead&) const = default;
};
std::string EncodeTreeHead(const TreeHead& head);
std::optional<TreeHead> DecodeTreeHead(std::string_view value);

struct TreePart {
  uint32_t generation = 0;
  uint32_t run = 0;       // the last one that wrote to the journal
  bool complete = false;  // leaves that nothing is said of are empty; otherwise not known
  bool operator==(const TreePart&) const = default;
};
std::string EncodeTreePart(const TreePart& part);
std::optional<TreePart> DecodeTreePart(std::string_view value);

}  // namespace lariat::replica

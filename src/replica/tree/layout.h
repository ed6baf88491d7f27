// SPDX-License-Identifier: Apache-2.0
// Keys and values of the hash trees in the engine (docs/formats/tree.md). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "merkle/leaf_sum.h"
#include "ring/token.h"
#include "storage/record.h"

namespace lariat::replica {

// A leaf of a bucket, in the order of keys.
struct LeafPlace {
  uint64_t bucket = 0;  // wider than a bucket id, so that there is a place behind all of them
  uint32_t leaf = 0;
  auto operator<=>(const LeafPlace&) const = default;
};

std::string TreeLeafKey(const LeafPlace& place, uint32_t part);
// Beside a leaf's key: this run changed records of the part without knowing the sum. A key for each
// run, so that none hides another's. The value is the generation.
std::string TreeMarkKey(const LeafPlace& place, uint32_t part, uint64_t run);
struct TreeKeyParts {
  LeafPlace place;
  uint32_t part = 0;
  std::optional<uint64_t> mark_of_run;
};
std::optional<TreeKeyParts> ParseTreeKey(std::string_view key);  // nothing for the two below
std::string TreeHeadKey();
std::string TreeCompleteKey(uint32_t part);

// A part that is not known has no sum.
std::string EncodeTreeLeaf(uint32_t generation, const std::optional<merkle::LeafSum>& sum);
struct TreeLeafValue {
  uint32_t generation = 0;
  std::optional<merkle::LeafSum> sum;
};
std::optional<TreeLeafValue> DecodeTreeLeaf(std::string_view value);

struct TreeHead {
  uint32_t shards = 0;  // 0: the last run kept no trees
  uint32_t generation = 0;
  bool operator==(const TreeHead&) const = default;
};
std::string EncodeTreeHead(const TreeHead& head);
std::optional<TreeHead> DecodeTreeHead(std::string_view value);

std::string EncodeGeneration(uint32_t generation);
std::optional<uint32_t> DecodeGeneration(std::string_view value);

}  // namespace lariat::replica

// SPDX-License-Identifier: Apache-2.0
// A hint: what another member, the target, has missed (docs/formats/hint.md). It lies in
// Space::kHints under [target, 8 bytes big-endian][data key], so the hints of one target are one
// stretch in the order of its data, and there is one for each target and key. Value types.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lariat::replica {

struct Hint {
  int64_t stored_ms = 0;  // wall clock, when the first of what it stands for was missed
  uint64_t version = 0;   // another one at each change of this hint
  // The target lacks what this node itself holds for the key: whoever delivers reads that.
  bool reference = false;
  // What was written here in place of the target (storage::EncodeRecord); empty: nothing was.
  // Points into the parsed bytes.
  std::string_view record;
};
std::string EncodeHint(const Hint& hint);
base::Result<Hint> ParseHint(std::string_view value);  // kCorruption

inline constexpr size_t kHintTargetSize = 8;  // the data key begins behind it
std::string HintKey(uint64_t target, std::string_view data_key);
struct HintKeyParts {
  uint64_t target = 0;
  std::string_view data_key;  // points into the parsed bytes
};
std::optional<HintKeyParts> ParseHintKey(std::string_view key);

}  // namespace lariat::replica

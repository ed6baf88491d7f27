// SPDX-License-Identifier: Apache-2.0
// How a record is laid out in the engine (docs/formats/record.md).
//
//   data key   [bucket id, 4 bytes big-endian][token, 8 bytes big-endian][key]
//   record     [version 1][flags][crc32c of all other bytes, 4][own actor if flag 1][object bytes]
//
// The own actor is local metadata, never replicated: the actor that this node's present or an
// earlier incarnation minted for this record. The object bytes (causal::Object::Encode) are the
// same on every replica that agrees.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "causal/actor.h"

namespace lariat::storage {

using BucketId = uint32_t;
inline constexpr size_t kDataKeyPrefixSize = 12;

std::string DataKey(BucketId bucket, uint64_t token, std::string_view key);
struct DataKeyParts {
  BucketId bucket = 0;
  uint64_t token = 0;
  std::string_view key;
};
std::optional<DataKeyParts> ParseDataKey(std::string_view data_key);

struct RecordView {
  std::optional<causal::Actor> own_actor;
  std::string_view object;  // points into the parsed bytes
};
std::string EncodeRecord(const std::optional<causal::Actor>& own_actor, std::string_view object);
// kCorruption if the version, the checksum or the form is wrong.
base::Result<RecordView> ParseRecord(std::string_view record);

}  // namespace lariat::storage

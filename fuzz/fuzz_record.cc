// SPDX-License-Identifier: Apache-2.0
// Records and data keys: what parses must encode to the same bytes, and nothing else may happen.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/hash.h"
#include "storage/record.h"

namespace {

void CheckRecord(std::string_view bytes) {
  const auto record = lariat::storage::ParseRecord(bytes);
  if (!record.has_value()) return;
  LARIAT_CHECK(lariat::storage::EncodeRecord(record->own_actor, record->object) == bytes,
               "a record has one encoding");
}

}  // namespace

// Guards M39.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace storage = lariat::storage;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);

  if (const auto parts = storage::ParseDataKey(bytes); parts.has_value()) {
    LARIAT_CHECK(storage::DataKey(parts->bucket, parts->token, parts->key) == bytes,
                 "a data key has one encoding");
  }
  CheckRecord(bytes);
  // A fuzzer does not guess checksums: the same bytes once more with the right one.
  if (size < 6) return 0;
  std::string sealed(bytes);
  const uint32_t checksum =
      lariat::base::Crc32c(bytes.substr(6), lariat::base::Crc32c(bytes.substr(0, 2)));
  for (size_t i = 0; i < 4; ++i) sealed[2 + i] = static_cast<char>(checksum >> (8 * i));
  CheckRecord(sealed);
  return 0;
}

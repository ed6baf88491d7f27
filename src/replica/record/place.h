// SPDX-License-Identifier: Apache-2.0
// Where a record lies in the engine: this node's own under its data key, one that is kept for
// another member inside a hint of that member (hint.h). Value types, asked on each PUT and GET.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "replica/requests/requests.h"
#include "storage/engine.h"

namespace lariat::replica {

// Bytes that were looked up; nothing: there is no such record.
using Looked = base::Result<std::optional<std::string>>;

struct Place {
  storage::Space space = storage::Space::kData;
  std::string key;  // of the engine
  // kHints: what is around the record there, once it was looked at. 0 bytes: nothing is there.
  int64_t hint_bytes = 0;  // of key and value
  int64_t hint_stored_ms = 0;
  bool hint_reference = false;

  std::string_view DataKey() const;
};

Place PlaceOf(const KeyRef& key);
// Takes the record that was found out of the hint around it, if that is what it is. A hint that
// cannot be read becomes an error.
void Unwrap(Place* place, Looked* found);

// Key of the answer recorded for a write: in Space::kIdempotency, beside the record's own key.
std::string IdempotencyKey(std::string_view data_key, std::string_view client_key);

}  // namespace lariat::replica

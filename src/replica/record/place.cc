// SPDX-License-Identifier: Apache-2.0
#include "replica/record/place.h"

#include <utility>

#include "base/coding.h"
#include "replica/hint.h"
#include "storage/record.h"

namespace lariat::replica {

using storage::Space;

std::string_view Place::DataKey() const {
  return std::string_view(key).substr(space == Space::kHints ? kHintTargetSize : 0);
}

Place PlaceOf(const KeyRef& key) {
  Place place;
  place.key = storage::DataKey(key.bucket, key.token.value, key.key);
  if (key.hint_for == 0) return place;
  place.space = Space::kHints;
  place.key = HintKey(key.hint_for, place.key);
  return place;
}

void Unwrap(Place* place, Looked* found) {
  if (place->space != Space::kHints || !*found || !(*found)->has_value()) return;
  const std::string value = std::move(***found);
  const auto hint = ParseHint(value);
  if (!hint) {
    *found = base::Fail(hint.error());
    return;
  }
  place->hint_bytes = static_cast<int64_t>(place->key.size() + value.size());
  place->hint_stored_ms = hint->stored_ms;
  place->hint_reference = hint->reference;
  *found = hint->record.empty() ? std::nullopt : std::optional(std::string(hint->record));
}

std::string IdempotencyKey(std::string_view data_key, std::string_view client_key) {
  std::string key;
  base::ByteWriter w(&key);
  w.Sized(data_key);
  w.Raw(client_key);
  return key;
}

}  // namespace lariat::replica

// SPDX-License-Identifier: Apache-2.0
#include "storage/engine.h"

#include <algorithm>
#include <utility>

namespace lariat::storage {

void WriteBatch::Put(Space space, std::string key, std::string value) {
  bytes += key.size() + value.size();
  operations.push_back({space, false, std::move(key), std::move(value)});
}

void WriteBatch::Remove(Space space, std::string key) {
  bytes += key.size();
  operations.push_back({space, true, std::move(key), {}});
}

void WriteBatch::Clear() {
  operations.clear();
  bytes = 0;
  is_delete = false;
  sync_follows = false;
}

bool WriteBatch::UsesReserve() const {
  const auto frees = [](const Operation& o) { return o.remove || o.space == Space::kMeta; };
  return is_delete || std::all_of(operations.begin(), operations.end(), frees);
}

}  // namespace lariat::storage

// SPDX-License-Identifier: Apache-2.0
#include "storage/engine.h"

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
}

}  // namespace lariat::storage

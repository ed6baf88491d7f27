// SPDX-License-Identifier: Apache-2.0
// What one record adds to its leaf. Pure.
#pragma once

#include <string_view>

#include "base/result.h"
#include "merkle/leaf_sum.h"
#include "replica/record/change.h"

namespace lariat::replica {

inline merkle::LeafSum RecordSum(std::string_view data_key, const RecordImage& image) {
  merkle::LeafSum sum;
  if (causal::Object::IsNothing(image.object)) return sum;  // a promise alone: no replica's data
  sum.Add(merkle::EntryHash(data_key, causal::Object::Digest(image.object)),
          {image.traits.tombstone, image.traits.expiring, image.traits.foldable});
  return sum;
}

// From the bytes alone. An error if they are no object.
inline base::Result<merkle::LeafSum> RecordSum(std::string_view data_key, std::string_view object) {
  const auto image = ReadImage(object);
  if (!image) return base::Fail(image.error());
  return RecordSum(data_key, *image);
}

}  // namespace lariat::replica

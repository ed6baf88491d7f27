// SPDX-License-Identifier: Apache-2.0
// What a replica's hash trees have to say, counted from the engine's records.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "replica/replica_test_util.h"
#include "replica/tree/recount.h"

namespace lariat::replica {

using Leaves = std::map<LeafPlace, merkle::LeafSum>;  // without empty ones

// Of the records with the tokens, unreadable ones left out.
inline Leaves CountLeaves(storage::Engine& engine, TestLoop& loop,
                          const ring::TokenSlice& slice = ring::SliceOf(0, 1)) {
  Leaves leaves;
  storage::ScanLimits all;
  all.entries_max = all.bytes_max = SIZE_MAX;
  engine.Scan(storage::Space::kData, "", "", all, &loop,
              [&](base::Result<std::vector<storage::Entry>> entries) {
                ASSERT_TRUE(entries.has_value());
                for (const auto& [key, value] : *entries) {
                  const auto parts = storage::ParseDataKey(key);
                  const auto record = storage::ParseRecord(value);
                  const ring::Token token{parts->token};
                  if (!record || token < slice.first || token > slice.last) continue;
                  leaves[{parts->bucket, merkle::LeafOf(parts->token)}] +=
                      RecordSum(key, record->object).value();
                }
              });
  loop.RunAll();
  return leaves;
}

// Of all known leaves; fails the test if one of them is not known.
inline Leaves LeavesOf(const Replica& replica, const std::string& trace = "") {
  Leaves leaves;
  for (const storage::BucketId bucket : replica.Buckets()) {
    const auto parts = replica.LeafSums(bucket, 0, merkle::kLeaves - 1);
    for (uint32_t leaf = 0; leaf < merkle::kLeaves; ++leaf) {
      EXPECT_TRUE(parts[leaf].known) << trace << ": leaf " << leaf << " of bucket " << bucket;
      if (!parts[leaf].known) return leaves;
      if (!parts[leaf].sum.Empty()) leaves[{bucket, leaf}] = parts[leaf].sum;
    }
  }
  return leaves;
}

inline uint64_t TombstonesIn(const Leaves& leaves) {
  uint64_t tombstones = 0;
  for (const auto& [place, sum] : leaves) tombstones += sum.tombstones;
  return tombstones;
}

}  // namespace lariat::replica

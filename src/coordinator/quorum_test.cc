// SPDX-License-Identifier: Apache-2.0
#include "coordinator/quorum.h"

#include <gtest/gtest.h>

#include <limits>

namespace lariat::coordinator {
namespace {

using base::Code;

membership::BucketProperties Bucket(uint32_t n, uint32_t r, uint32_t w) {
  membership::BucketProperties bucket;
  bucket.n = n;
  bucket.r = r;
  bucket.w = w;
  return bucket;
}

// The count asked for, or minus the error code.
int64_t Count(const base::Result<Quorum>& quorum) {
  return quorum ? static_cast<int64_t>(quorum->needed) : -static_cast<int64_t>(quorum.error().code);
}

constexpr int64_t kInvalid = -static_cast<int64_t>(Code::kInvalidArgument);

TEST(Quorum, LevelsByN) {
  struct Row {
    Level level;
    int64_t read[6], write[6];  // for n = 1..6, r = w = 1 in the bucket
  };
  constexpr int64_t kBad = kInvalid;
  const Row rows[] = {
      {Level::kBucketDefault, {1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1}},
      {Level::kOne, {1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1}},
      {Level::kLocalOne, {1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1}},
      {Level::kTwo, {kBad, 2, 2, 2, 2, 2}, {kBad, 2, 2, 2, 2, 2}},
      {Level::kThree, {kBad, kBad, 3, 3, 3, 3}, {kBad, kBad, 3, 3, 3, 3}},
      {Level::kQuorum, {1, 2, 2, 3, 3, 4}, {1, 2, 2, 3, 3, 4}},
      {Level::kLocalQuorum, {1, 2, 2, 3, 3, 4}, {1, 2, 2, 3, 3, 4}},
      {Level::kEachQuorum, {1, 2, 2, 3, 3, 4}, {1, 2, 2, 3, 3, 4}},
      {Level::kAll, {1, 2, 3, 4, 5, 6}, {1, 2, 3, 4, 5, 6}},
      {Level::kAny, {kBad, kBad, kBad, kBad, kBad, kBad}, {1, 1, 1, 1, 1, 1}},
      {Level::kSerial, {kBad, kBad, kBad, kBad, kBad, kBad}, {kBad, kBad, kBad, kBad, kBad, kBad}},
  };
  for (const Row& row : rows) {
    for (uint32_t n = 1; n <= 6; ++n) {
      const auto bucket = Bucket(n, 1, 1);
      const Consistency asked{.level = row.level};
      EXPECT_EQ(Count(ReadQuorum(asked, bucket, 100)), row.read[n - 1])
          << static_cast<int>(row.level) << " n=" << n;
      EXPECT_EQ(Count(WriteQuorum(asked, bucket, 100)), row.write[n - 1])
          << static_cast<int>(row.level) << " n=" << n;
    }
  }
}

TEST(Quorum, TheBucketsOwnCountsAreTheDefault) {
  auto bucket = Bucket(5, 2, 4);
  bucket.pr = 1;
  bucket.pw = 3;
  const auto read = ReadQuorum({}, bucket, 100).value();
  const auto write = WriteQuorum({}, bucket, 100).value();
  EXPECT_EQ(read.needed, 2U);
  EXPECT_EQ(read.primaries, 1U);
  EXPECT_EQ(read.NeededOf(5), 2U);
  EXPECT_EQ(write.needed, 4U);
  EXPECT_EQ(write.primaries, 3U);
  EXPECT_EQ(write.timeout_ms, 100);
}

TEST(Quorum, AMajorityIsOneOfEachList) {
  const auto majority = ReadQuorum({}, Bucket(3, 2, 3), 100).value();
  EXPECT_EQ(majority.NeededOf(5), 3U);
  EXPECT_EQ(majority.NeededOf(1), 1U);
  const auto number = WriteQuorum({}, Bucket(3, 2, 3), 100).value();
  EXPECT_EQ(number.NeededOf(5), 3U);
  EXPECT_EQ(number.NeededOf(1), 3U);  // cannot be had
  EXPECT_EQ(number.NeededOfOther(1), 1U);
  // Said as a number it is one.
  EXPECT_EQ(ReadQuorum({.r = 2}, Bucket(3, 2, 2), 100)->NeededOf(5), 2U);
  // A number may be as large as the larger list has it.
  EXPECT_EQ(Count(WriteQuorum({.w = 2}, Bucket(1, 1, 1), 100)), kInvalid);
  EXPECT_EQ(WriteQuorum({.w = 2}, Bucket(1, 1, 1), 100, 3)->NeededOf(1), 2U);
}

TEST(Quorum, NumbersOverrideLevels) {
  const auto bucket = Bucket(3, 2, 2);
  Consistency asked{.level = Level::kAll, .r = 1, .w = 2};
  EXPECT_EQ(Count(ReadQuorum(asked, bucket, 100)), 1);
  EXPECT_EQ(Count(WriteQuorum(asked, bucket, 100)), 2);
  asked = {.pr = 3, .pw = 2};
  EXPECT_EQ(ReadQuorum(asked, bucket, 100)->NeededOf(5), 3U);
  EXPECT_EQ(WriteQuorum(asked, bucket, 100)->primaries, 2U);
}

TEST(Quorum, WhatCanNeverBeMetIsRefused) {
  const auto bucket = Bucket(3, 2, 2);
  for (const int64_t bad :
       {int64_t{0}, int64_t{-1}, int64_t{4}, int64_t{1} << 32, std::numeric_limits<int64_t>::max(),
        std::numeric_limits<int64_t>::min()}) {
    EXPECT_EQ(Count(ReadQuorum({.r = bad}, bucket, 100)), kInvalid) << bad;
    EXPECT_EQ(Count(ReadQuorum({.pr = bad}, bucket, 100)), kInvalid) << bad;
    EXPECT_EQ(Count(WriteQuorum({.w = bad}, bucket, 100)), kInvalid) << bad;
    EXPECT_EQ(Count(WriteQuorum({.pw = bad}, bucket, 100)), kInvalid) << bad;
  }
}

TEST(Quorum, SloppyIsTheBucketsOrTheRequests) {
  auto bucket = Bucket(3, 2, 2);
  EXPECT_FALSE(ReadQuorum({}, bucket, 100)->sloppy);
  EXPECT_FALSE(WriteQuorum({}, bucket, 100)->sloppy);
  EXPECT_TRUE(ReadQuorum({.sloppy = true}, bucket, 100)->sloppy);
  EXPECT_TRUE(WriteQuorum({.sloppy = true}, bucket, 100)->sloppy);
  bucket.sloppy = true;
  EXPECT_TRUE(ReadQuorum({}, bucket, 100)->sloppy);
  EXPECT_TRUE(WriteQuorum({.w = 3}, bucket, 100)->sloppy);
  EXPECT_FALSE(WriteQuorum({.sloppy = false}, bucket, 100)->sloppy);
}

TEST(Quorum, AnyIsOneSloppyReplicaWithoutPrimaries) {
  auto bucket = Bucket(3, 2, 2);
  bucket.pw = 2;
  const auto any = WriteQuorum({.level = Level::kAny}, bucket, 100).value();
  EXPECT_TRUE(any.sloppy);
  EXPECT_EQ(any.NeededOf(3), 1U);
  EXPECT_EQ(any.NeededOf(5), 1U);
  EXPECT_EQ(WriteQuorum({.level = Level::kAny, .pw = 1}, bucket, 100)->primaries, 1U);
  EXPECT_EQ(WriteQuorum({.level = Level::kAny, .w = 2}, bucket, 100)->needed, 2U);
  EXPECT_EQ(Count(WriteQuorum({.level = Level::kAny, .sloppy = false}, bucket, 100)), kInvalid);
}

TEST(Quorum, TimeoutsAreBounded) {
  const auto bucket = Bucket(3, 2, 2);
  EXPECT_EQ(ReadQuorum({.timeout_ms = 1}, bucket, 100)->timeout_ms, 1);
  EXPECT_EQ(ReadQuorum({.timeout_ms = kTimeoutMsMax}, bucket, 100)->timeout_ms, kTimeoutMsMax);
  for (const int64_t bad : {int64_t{0}, int64_t{-5}, kTimeoutMsMax + 1}) {
    EXPECT_EQ(Count(ReadQuorum({.timeout_ms = bad}, bucket, 100)), kInvalid);
  }
}

}  // namespace
}  // namespace lariat::coordinator

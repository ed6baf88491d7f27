// SPDX-License-Identifier: Apache-2.0
#include "membership/bucket.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace lariat::membership {
namespace {

using base::Code;

BucketProperties Bucket(uint32_t n, uint32_t r, uint32_t w) {
  BucketProperties bucket;
  bucket.name = "b";
  bucket.n = n;
  bucket.r = r;
  bucket.w = w;
  return bucket;
}

Code CodeOf(const base::Status& status) { return status ? Code::kOk : status.error().code; }

TEST(Bucket, NamesAreOneToSixtyFourPlainCharacters) {
  for (const char* name : {"a", "Z", "0", "a.b_c-D9", "...", "-"}) {
    EXPECT_TRUE(CheckBucketName(name)) << name;
  }
  EXPECT_TRUE(CheckBucketName(std::string(64, 'x')));
  EXPECT_EQ(CodeOf(CheckBucketName("")), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf(CheckBucketName(std::string(65, 'x'))), Code::kInvalidArgument);
  const std::string allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  for (int c = 0; c < 256; ++c) {
    const std::string name(1, static_cast<char>(c));
    EXPECT_EQ(CheckBucketName(name).has_value(), allowed.find(name) != std::string::npos) << c;
  }
}

TEST(Bucket, KeysAreOneTo256Bytes) {
  EXPECT_EQ(CodeOf(CheckKey("")), Code::kInvalidArgument);
  EXPECT_TRUE(CheckKey(std::string(1, '\0')));
  EXPECT_TRUE(CheckKey(std::string(256, '\xff')));
  EXPECT_EQ(CodeOf(CheckKey(std::string(257, 'k'))), Code::kInvalidArgument);
}

TEST(Bucket, CountsStayWithinN) {
  EXPECT_TRUE(CheckBucket(Bucket(3, 2, 2)));
  EXPECT_TRUE(CheckBucket(Bucket(1, 1, 1)));
  EXPECT_TRUE(CheckBucket(Bucket(16, 9, 9)));
  const uint32_t huge = std::numeric_limits<uint32_t>::max();
  for (const BucketProperties& bad :
       {Bucket(0, 1, 1), Bucket(65, 33, 33), Bucket(3, 0, 3), Bucket(3, 3, 0), Bucket(3, 4, 2),
        Bucket(3, 2, 4), Bucket(3, huge, 2), Bucket(3, 2, huge), Bucket(huge, 2, 2)}) {
    EXPECT_EQ(CodeOf(CheckBucket(bad)), Code::kInvalidArgument)
        << bad.n << " " << bad.r << " " << bad.w;
  }
  BucketProperties primaries = Bucket(3, 2, 2);
  primaries.pr = primaries.pw = 3;
  EXPECT_TRUE(CheckBucket(primaries));
  primaries.pr = 4;
  EXPECT_EQ(CodeOf(CheckBucket(primaries)), Code::kInvalidArgument);
  primaries.pr = 0;
  primaries.pw = 4;
  EXPECT_EQ(CodeOf(CheckBucket(primaries)), Code::kInvalidArgument);
}

TEST(Bucket, EventualHasToBeAccepted) {
  for (uint32_t n = 1; n <= 5; ++n) {
    for (uint32_t r = 1; r <= n; ++r) {
      for (uint32_t w = 1; w <= n; ++w) {
        BucketProperties bucket = Bucket(n, r, w);
        const bool meets = r + w > n;
        EXPECT_EQ(CheckBucket(bucket).has_value(), meets);
        EXPECT_EQ(bucket.Eventual(), !meets);
        bucket.allow_eventual = true;
        EXPECT_TRUE(CheckBucket(bucket));
      }
    }
  }
}

TEST(Bucket, ReadRepairIsAPercentage) {
  BucketProperties bucket = Bucket(3, 2, 2);
  EXPECT_EQ(bucket.read_repair, 10U);
  for (const uint32_t good : {0U, 1U, 100U}) {
    bucket.read_repair = good;
    EXPECT_TRUE(CheckBucket(bucket)) << good;
  }
  bucket.read_repair = 101;
  EXPECT_EQ(CodeOf(CheckBucket(bucket)), Code::kInvalidArgument);
}

TEST(Bucket, SloppyIsAChoice) {
  BucketProperties bucket = Bucket(3, 2, 2);
  EXPECT_FALSE(bucket.sloppy);
  bucket.sloppy = true;
  EXPECT_TRUE(CheckBucket(bucket));
}

TEST(Bucket, TextsOfDurabilityRoundTrip) {
  for (const Durability d : {Durability::kSync, Durability::kPeriodic, Durability::kNone}) {
    EXPECT_EQ(ParseDurability(DurabilityText(d)).value(), d);
  }
  EXPECT_EQ(ParseDurability("always").error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace lariat::membership

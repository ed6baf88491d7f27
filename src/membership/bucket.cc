// SPDX-License-Identifier: Apache-2.0
#include "membership/bucket.h"

namespace lariat::membership {

using base::Code;
using base::Fail;

std::string_view DurabilityText(Durability durability) {
  switch (durability) {
    case Durability::kSync:
      return "sync";
    case Durability::kPeriodic:
      return "periodic";
    case Durability::kNone:
      return "none";
  }
  return "sync";
}

base::Result<Durability> ParseDurability(std::string_view text) {
  if (text == "sync") return Durability::kSync;
  if (text == "periodic") return Durability::kPeriodic;
  if (text == "none") return Durability::kNone;
  return Fail(Code::kInvalidArgument, "durability is one of sync, periodic, none");
}

base::Status CheckBucketName(std::string_view name) {
  if (name.empty() || name.size() > kBucketNameBytesMax) {
    return Fail(Code::kInvalidArgument, "a bucket name has 1 to 64 characters");
  }
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  for (const char c : name) {
    if (!allowed(c)) {
      return Fail(Code::kInvalidArgument, "a bucket name is made of a-z A-Z 0-9 . _ -");
    }
  }
  return {};
}

base::Status CheckKey(std::string_view key) {
  if (key.empty())
    return Fail(Code::kInvalidArgument, "the key is empty; a key has 1 to 256 bytes");
  if (key.size() > kKeyBytesMax) {
    return Fail(Code::kInvalidArgument,
                "the key has " + std::to_string(key.size()) + " bytes; the limit is 256");
  }
  return {};
}

base::Status CheckBucket(const BucketProperties& b) {
  if (auto status = CheckBucketName(b.name); !status) return status;
  if (b.n < 1 || b.n > kReplicationMax) {
    return Fail(Code::kInvalidArgument, "n is 1 to " + std::to_string(kReplicationMax));
  }
  const auto within = [&b](uint32_t count) { return count <= b.n; };
  if (b.r < 1 || !within(b.r)) return Fail(Code::kInvalidArgument, "r is 1 to n");
  if (b.w < 1 || !within(b.w)) return Fail(Code::kInvalidArgument, "w is 1 to n");
  if (!within(b.pr)) return Fail(Code::kInvalidArgument, "pr is 0 to n");
  if (!within(b.pw)) return Fail(Code::kInvalidArgument, "pw is 0 to n");
  if (b.read_repair > 100) return Fail(Code::kInvalidArgument, "read_repair is 0 to 100 percent");
  const uint32_t majority = MajorityOf(b.n);
  const bool by_majority =
      b.r == majority && b.w == majority && b.pr == 0 && b.pw == 0 && !b.sloppy;
  if (causal::IsAgreed(b.conflict) && !by_majority) {
    return Fail(Code::kInvalidArgument,
                "a serial bucket works by majorities: r = w = " + std::to_string(majority) +
                    ", pr = pw = 0 and sloppy = false");
  }
  if (b.Eventual() && !b.allow_eventual) {
    return Fail(
        Code::kInvalidArgument,
        "r + w <= n: a read may miss the latest write; set allow_eventual to true to accept that");
  }
  return {};
}

}  // namespace lariat::membership

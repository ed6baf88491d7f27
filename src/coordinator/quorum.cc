// SPDX-License-Identifier: Apache-2.0
#include "coordinator/quorum.h"

#include <algorithm>

namespace lariat::coordinator {
namespace {

using base::Code;
using base::Fail;

// One datacenter in this version: the LOCAL_ and EACH_ levels count the same replicas.
base::Result<std::optional<uint32_t>> CountOf(Level level, uint32_t n, bool write) {
  switch (level) {
    case Level::kBucketDefault:
      return std::optional<uint32_t>();
    case Level::kOne:
    case Level::kLocalOne:
      return std::optional<uint32_t>(1);
    case Level::kTwo:
      return std::optional<uint32_t>(2);
    case Level::kThree:
      return std::optional<uint32_t>(3);
    case Level::kQuorum:
    case Level::kLocalQuorum:
    case Level::kEachQuorum:
      return std::optional<uint32_t>(membership::MajorityOf(n));
    case Level::kAll:
      return std::optional<uint32_t>(n);
    case Level::kAny:
      if (!write) return Fail(Code::kInvalidArgument, "consistency ANY is for writes only");
      return std::optional<uint32_t>(1);
    case Level::kSerial:
      return Fail(Code::kInvalidArgument, "consistency SERIAL is for serial buckets only");
  }
  return Fail(Code::kInternal, "unknown consistency level");
}

base::Result<uint32_t> Checked(const char* name, int64_t value, uint32_t n, int64_t low) {
  if (value >= low && value <= static_cast<int64_t>(n)) return static_cast<uint32_t>(value);
  return Fail(Code::kInvalidArgument, std::string(name) + "=" + std::to_string(value) +
                                          " is impossible: the bucket has n=" + std::to_string(n) +
                                          ", so " + name + " is " + std::to_string(low) + " to " +
                                          std::to_string(n));
}

// What of a bucket and a request is about one of reads and writes.
struct Side {
  const char* count_name;
  const char* primaries_name;
  bool write;
  uint32_t bucket_count, bucket_primaries;
  const std::optional<int64_t>&count, &primaries;
};

// Majorities, by consensus, and nothing else.
base::Result<Quorum> ResolveSerial(const Consistency& asked,
                                   const membership::BucketProperties& bucket,
                                   int64_t default_timeout_ms) {
  const bool serial = asked.level == Level::kBucketDefault || asked.level == Level::kSerial;
  if (!serial || asked.r || asked.w || asked.pr || asked.pw || asked.sloppy.value_or(false)) {
    return Fail(Code::kInvalidArgument,
                "the bucket is serial: it knows no consistency but SERIAL, and no r, w, pr, pw or "
                "sloppy");
  }
  const int64_t timeout_ms = asked.timeout_ms.value_or(default_timeout_ms);
  if (timeout_ms < 1 || timeout_ms > kTimeoutMsMax) {
    return Fail(Code::kInvalidArgument, "timeout_ms is 1 to 600000");
  }
  return Quorum{membership::MajorityOf(bucket.n), 0, timeout_ms, Level::kQuorum, false};
}

base::Result<Quorum> Resolve(const Consistency& asked, const membership::BucketProperties& bucket,
                             int64_t default_timeout_ms, uint32_t other_n, const Side& side) {
  if (causal::IsAgreed(bucket.conflict)) return ResolveSerial(asked, bucket, default_timeout_ms);
  const uint32_t n_max = std::max(bucket.n, other_n);
  auto of_level = CountOf(asked.level, bucket.n, side.write);
  if (!of_level) return Fail(of_level.error());
  const auto number = [&](const char* name, const std::optional<int64_t>& given,
                          uint32_t otherwise) -> base::Result<uint32_t> {
    if (!given) return otherwise;
    return Checked(name, *given, n_max, 1);
  };
  auto needed = number(side.count_name, side.count, of_level->value_or(side.bucket_count));
  if (!needed) return Fail(needed.error());
  if (*needed > n_max) return Fail(Checked("the consistency level", *needed, n_max, 1).error());
  // ANY is met by one fallback, whatever the bucket's default.
  const bool any = asked.level == Level::kAny;
  if (any && !asked.sloppy.value_or(true)) {
    return Fail(Code::kInvalidArgument, "consistency ANY is sloppy; it cannot be had without");
  }
  auto of_primaries = number(side.primaries_name, side.primaries, any ? 0 : side.bucket_primaries);
  if (!of_primaries) return Fail(of_primaries.error());
  const int64_t timeout_ms = asked.timeout_ms.value_or(default_timeout_ms);
  if (timeout_ms < 1 || timeout_ms > kTimeoutMsMax) {
    return Fail(Code::kInvalidArgument, "timeout_ms is 1 to 600000");
  }
  Level level = side.count ? Level::kBucketDefault : asked.level;
  const bool majority = !side.count && *needed == membership::MajorityOf(bucket.n);
  if (level == Level::kBucketDefault && majority) level = Level::kQuorum;
  const bool sloppy = any || asked.sloppy.value_or(bucket.sloppy);
  return Quorum{*needed, *of_primaries, timeout_ms, level, sloppy};
}

}  // namespace

uint32_t Quorum::NeededOf(uint32_t n) const {
  const auto of_level = CountOf(level, n, true);
  const uint32_t count = of_level ? of_level->value_or(needed) : needed;
  return std::max(count, primaries);
}

base::Result<Quorum> ReadQuorum(const Consistency& asked,
                                const membership::BucketProperties& bucket,
                                int64_t default_timeout_ms, uint32_t other_n) {
  return Resolve(asked, bucket, default_timeout_ms, other_n,
                 {"r", "pr", false, bucket.r, bucket.pr, asked.r, asked.pr});
}

base::Result<Quorum> WriteQuorum(const Consistency& asked,
                                 const membership::BucketProperties& bucket,
                                 int64_t default_timeout_ms, uint32_t other_n) {
  return Resolve(asked, bucket, default_timeout_ms, other_n,
                 {"w", "pw", true, bucket.w, bucket.pw, asked.w, asked.pw});
}

}  // namespace lariat::coordinator

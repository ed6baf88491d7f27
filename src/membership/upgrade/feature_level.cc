// SPDX-License-Identifier: Apache-2.0
#include "membership/upgrade/feature_level.h"

namespace lariat::membership {

using base::Code;
using base::Fail;

namespace {

constexpr std::string_view kFinalize = "'lariat cluster finalize-upgrade'";

// "'node2' (level 0), 'node3' (not heard of)": members that keep the cluster below a level.
std::string Below(const Topology& now, uint32_t needed, const LevelsTold& told) {
  std::string names;
  for (const Member& member : now.members) {
    if (member.given_up) continue;
    const std::optional<uint32_t> level = told ? told(member.id) : std::nullopt;
    if (level && *level >= needed) continue;
    names += (names.empty() ? "'" : ", '") + member.name + "' (" +
             (level ? "level " + std::to_string(*level) : std::string("not heard of")) + ")";
  }
  return names;
}

std::string Needs(uint32_t level) { return " needs feature level " + std::to_string(level); }

}  // namespace

base::Status RequireLevel(const Topology& now, uint32_t needed, std::string_view what,
                          const LevelsTold& told) {
  if (now.feature_level >= needed) return {};
  const std::string below = Below(now, needed, told);
  if (!below.empty()) {
    return Fail(Code::kConflict, std::string(what) + Needs(needed) +
                                     " on every node; start a newer build on " + below + ", then " +
                                     std::string(kFinalize));
  }
  return Fail(Code::kConflict, std::string(what) + Needs(needed) +
                                   ", which every node has: " + std::string(kFinalize) +
                                   " switches it on, and then no node goes back to an older build");
}

uint32_t LevelOf(const BucketProperties& bucket) {
  switch (bucket.conflict) {
    case causal::Kind::kSiblings:
    case causal::Kind::kLww:
      return 0;
    default:
      return 1;
  }
}

base::Result<std::optional<Topology>> FinalizeUpgrade(const Topology& now, const LevelsTold& told) {
  if (now.feature_level >= kFeatureLevel) return std::nullopt;
  if (now.operation || !now.queue.empty()) {
    return Fail(Code::kConflict,
                "a change of the cluster has not ended (lariat cluster why); wait or cancel it");
  }
  if (const std::string below = Below(now, kFeatureLevel, told); !below.empty()) {
    return Fail(Code::kConflict, "these nodes are older than feature level " +
                                     std::to_string(kFeatureLevel) +
                                     "; start this build on them first: " + below);
  }
  Topology next = now;
  next.feature_level = kFeatureLevel;
  // Whoever cannot read this document is refused by all others from now on.
  next.fence = ++next.epoch;
  return next;
}

std::string WhyNotFinalized(const Topology& now, const LevelsTold& told) {
  if (now.feature_level >= kFeatureLevel) return "";
  const std::string below = Below(now, kFeatureLevel, told);
  if (!below.empty()) return "older builds run on " + below;
  return "every node runs the new build; " + std::string(kFinalize) +
         " switches its features on, and then no node goes back";
}

}  // namespace lariat::membership

// SPDX-License-Identifier: Apache-2.0
#include "healing/kept.h"

#include <fmt/format.h>

#include <algorithm>

#include "causal/object.h"
#include "repair/sweep/sweep_core.h"

namespace lariat::healing {

namespace {

// What all replicas that answered hold together; nothing if no state of theirs can be read.
std::optional<causal::Object> Joined(const KeptQuestion& question) {
  std::optional<causal::Object> joined;
  for (const KeptQuestion::Replica& replica : question.replicas) {
    if (replica.object.empty()) continue;
    auto object = causal::Object::Decode(replica.object);
    if (!object) continue;
    if (!joined) {
      joined = std::move(*object);
    } else if (!joined->Join(*object)) {
      return std::nullopt;
    }
  }
  return joined;
}

uint64_t AgeSeconds(int64_t since_ms, base::WallTime now) {
  if (since_ms >= now.ms) return 0;
  return (static_cast<uint64_t>(now.ms) - static_cast<uint64_t>(since_ms)) / 1000;
}

}  // namespace

KeptState StateOfKept(const KeptQuestion& question, base::WallTime now) {
  const auto joined = Joined(question);
  if (!joined || !joined->LiveValues(now).empty()) return {"", true};
  const repair::SweepVerdict verdict = repair::JudgeForSweep(*joined, now, question.gc_grace_s);
  if (verdict.decision == repair::SweepDecision::kNothing) return {"", true};
  const std::string age = fmt::format("{} {} s ago", verdict.tombstone ? "deleted" : "expired",
                                      AgeSeconds(verdict.since_ms, now));
  if (verdict.decision == repair::SweepDecision::kGrace) {
    return {fmt::format("{}; kept until {} s have passed (gc_grace)", age, question.gc_grace_s),
            true};
  }
  const std::string all = joined->Encode();
  for (const KeptQuestion::Replica& replica : question.replicas) {
    if (!replica.answered) {
      return {fmt::format("{}; {} does not answer: it has not confirmed it", age, replica.name),
              true};
    }
  }
  for (const KeptQuestion::Replica& replica : question.replicas) {
    if (replica.object.empty()) return {fmt::format("{}; {} lacks it", age, replica.name), true};
    if (replica.object != all) {
      return {fmt::format("{}; {} has another state", age, replica.name), true};
    }
  }
  return {age, false};
}

std::string TroubleOfKept(const std::string& member, const base::Result<wire::HintsReply>& reply) {
  if (!reply || !reply->outcome.ok()) {
    return member + " does not answer: it may hold a hint or an old record of the key";
  }
  if (!reply->unclean.empty()) return fmt::format("{}: {}", member, reply->unclean);
  if (!reply->hinted.empty()) return "a hint waits at " + member;
  return "";
}

std::string NothingKeeps(const std::string& first_replica, std::optional<base::Duration> next,
                         bool running) {
  std::string text = "every replica has confirmed it; the ";
  if (running) return text + "sweep that runs now, or the next one, removes it";
  text += "next sweep of " + first_replica;
  if (next) text += fmt::format(" (in {:.0f} s)", base::ToSeconds(*next));
  return text + " removes it";
}

}  // namespace lariat::healing

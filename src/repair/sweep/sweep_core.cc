// SPDX-License-Identifier: Apache-2.0
#include "repair/sweep/sweep_core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "merkle/grid.h"

namespace lariat::repair {

using base::Code;
using wire::SweepState;
using wire::SweepStep;

namespace {

SweepBlock BlockOf(Code code) {
  switch (code) {
    case Code::kStaleEpoch:
      return SweepBlock::kTopology;
    case Code::kOverloaded:
      return SweepBlock::kBusy;
    default:
      return SweepBlock::kNodeAway;
  }
}

template <typename Reply>
std::optional<SweepBlock> TroubleIn(const base::Result<Reply>& reply) {
  if (!reply) return BlockOf(reply.error().code);
  if (!reply->outcome.ok()) return BlockOf(reply->outcome.code);
  return std::nullopt;
}

}  // namespace

// --- one record ----------------------------------------------------------------------------------

wire::SweepState ConfirmFor(SweepStep aim, const std::optional<std::string>& object,
                            const base::Hash128& digest, base::WallTime now, uint64_t gc_grace_s) {
  using wire::SweepState;
  if (!object) return SweepState::kAbsent;
  if (causal::Object::Digest(*object) != digest) return SweepState::kDifferent;
  const auto decoded = causal::Object::Decode(*object);
  if (!decoded) return SweepState::kBusy;
  const SweepDecision decision = JudgeForSweep(*decoded, now, gc_grace_s).decision;
  const bool purge = decision == SweepDecision::kPurge;
  const bool fold = decision == SweepDecision::kFold && aim == SweepStep::kFold;
  return purge || fold ? SweepState::kSame : SweepState::kBusy;
}

bool GracePassed(int64_t since_ms, base::WallTime now, uint64_t gc_grace_s) {
  if (since_ms > now.ms) return false;
  // The true difference of any two 64-bit times fits into 64 bits without a sign.
  const uint64_t age_ms = static_cast<uint64_t>(now.ms) - static_cast<uint64_t>(since_ms);
  return age_ms / 1000 >= gc_grace_s;
}

SweepVerdict JudgeForSweep(const causal::Object& object, base::WallTime now, uint64_t gc_grace_s) {
  if (object.StoredValues() == 0) return {};
  int64_t written = INT64_MIN;
  int64_t dead_since = INT64_MIN;
  bool dead = true;
  SweepVerdict verdict;
  object.ForEachValue([&](const causal::Dot&, const causal::Value& value) {
    written = std::max(written, value.written.ms);
    dead = dead && !value.LiveAt(now);
    verdict.tombstone = verdict.tombstone || value.tombstone;
    // What was written with its expiry in the past is as old as its writing.
    const int64_t expiry = value.tombstone ? INT64_MIN : value.expires_ms;
    dead_since = std::max({dead_since, value.written.ms, expiry});
  });
  if (!dead && !object.Traits().foldable) return {};
  verdict.since_ms = dead ? dead_since : written;
  verdict.decision = SweepDecision::kGrace;
  if (GracePassed(verdict.since_ms, now, gc_grace_s)) {
    verdict.decision = dead ? SweepDecision::kPurge : SweepDecision::kFold;
  }
  return verdict;
}

// --- where to look -------------------------------------------------------------------------------

std::vector<ring::TokenRange> PartsIn(const ring::TokenRange& range,
                                      const std::vector<bool>& leaves) {
  LARIAT_CHECK(leaves.size() == merkle::kLeaves, "one bit for each leaf");
  std::vector<ring::TokenRange> parts;
  const auto add = [&](uint64_t first, uint64_t last) {
    for (uint32_t leaf = merkle::LeafOf(first); leaf <= merkle::LeafOf(last); ++leaf) {
      if (!leaves[leaf]) continue;
      const uint64_t from = std::max(first, merkle::FirstToken(leaf));
      const uint64_t to = std::min(last, merkle::LastToken(leaf));
      if (!parts.empty() && parts.back().to.value == from - 1 && from != 0) {
        parts.back().to.value = to;
      } else {
        parts.push_back({{from - 1}, {to}});
      }
    }
  };
  const uint64_t first = range.First().value;
  if (first <= range.to.value) {
    add(first, range.to.value);
  } else {
    add(0, range.to.value);
    add(first, UINT64_MAX);
  }
  return parts;
}

// --- the proof -----------------------------------------------------------------------------------

SweepBatch::SweepBatch(SweepBatchPlan plan, SweepTimes times)
    : plan_(std::move(plan)), times_(times), keys_(plan_.keys) {
  const auto has_self = [this](const std::vector<uint64_t>& numbers) {
    return std::find(numbers.begin(), numbers.end(), plan_.self) != numbers.end();
  };
  LARIAT_CHECK(has_self(plan_.members), "the sweeper is a member");
  LARIAT_CHECK(has_self(plan_.replicas), "the sweeper is a replica");
}

std::vector<SweepBatch::Ask> SweepBatch::Next(base::Instant now) {
  if (!begun_) {
    begun_ = true;
    Enter(Stage::kHints, now);
  }
  if (wake_ && now >= *wake_) {
    wake_.reset();
    Enter(stage_ == Stage::kSettle ? Stage::kHintsAgain : Stage::kPurgeOthers, now);
  }
  return std::exchange(asks_, {});
}

void SweepBatch::AskFor(const Request& request, const std::vector<uint64_t>& members) {
  ++ticket_;
  waiting_.clear();
  trouble_of_all_.reset();
  trouble_.assign(keys_.size(), std::nullopt);
  for (const uint64_t member : members) {
    waiting_.insert(member);
    asks_.push_back({member, ticket_, request});
  }
}

void SweepBatch::Enter(Stage stage, base::Instant now) {
  stage_ = stage;
  if (keys_.empty()) {
    stage_ = Stage::kDone;
    return;
  }
  std::vector<std::string> names;
  switch (stage) {
    case Stage::kHints:
    case Stage::kHintsAgain:
      for (const wire::KeyDigest& key : keys_) names.push_back(key.key);
      return AskFor(wire::HintsRequest{std::move(names)}, plan_.members);
    case Stage::kConfirm:
      // The earliest moment at which one of them can have been looked at.
      confirmed_ = now;
      return AskFor(wire::SweepRequest{SweepStep::kConfirm, keys_, plan_.step}, plan_.replicas);
    case Stage::kSettle:
    case Stage::kSettleAgain:
      wake_ = now + times_.settle;
      return;
    case Stage::kPurgeOthers: {
      if (now - confirmed_ > times_.confirms_valid) return BlockAll(SweepBlock::kBusy);
      std::vector<uint64_t> others = plan_.replicas;
      std::erase(others, plan_.self);
      if (others.empty()) return Enter(Stage::kPurgeSelf, now);
      return AskFor(PurgeRequest(), others);
    }
    case Stage::kPurgeSelf:
      return AskFor(PurgeRequest(), {plan_.self});
    case Stage::kDone:
      return;
  }
}

wire::SweepRequest SweepBatch::PurgeRequest() const {
  return {plan_.step, keys_, SweepStep::kPurge, confirmed_by_};
}

bool SweepBatch::Answered(uint64_t member, uint64_t ticket) {
  return ticket == ticket_ && stage_ != Stage::kDone && waiting_.erase(member) > 0;
}

void SweepBatch::OnHints(uint64_t member, uint64_t ticket,
                         const base::Result<wire::HintsReply>& reply, base::Instant now) {
  if (!Answered(member, ticket)) return;
  if (const auto trouble = TroubleIn(reply)) {
    trouble_of_all_ = trouble;
  } else if (!reply->unclean.empty()) {
    // Members that wait for an absent one are unclean because of it.
    if (!trouble_of_all_) trouble_of_all_ = SweepBlock::kUnclean;
  } else {
    const std::set<std::string_view> hinted(reply->hinted.begin(), reply->hinted.end());
    for (size_t i = 0; i < keys_.size(); ++i) {
      if (hinted.contains(keys_[i].key)) Block(i, SweepBlock::kHints);
    }
  }
  if (waiting_.empty()) StageAnswered(now);
}

void SweepBatch::OnSweep(uint64_t member, uint64_t ticket,
                         const base::Result<wire::SweepReply>& reply, base::Instant now) {
  if (!Answered(member, ticket)) return;
  if (const auto trouble = TroubleIn(reply)) {
    trouble_of_all_ = trouble;
  } else if (reply->states.size() != keys_.size()) {
    trouble_of_all_ = SweepBlock::kBusy;
  } else {
    for (size_t i = 0; i < keys_.size(); ++i) OnState(member, i, reply->states[i]);
    const bool confirms = stage_ == Stage::kConfirm && reply->run != 0;
    if (confirms) confirmed_by_.push_back({member, reply->run, reply->confirmed});
  }
  if (waiting_.empty()) StageAnswered(now);
}

void SweepBatch::OnState(uint64_t member, size_t at, SweepState state) {
  switch (state) {
    case SweepState::kSame:
      return;
    case SweepState::kBusy:
      return Block(at, SweepBlock::kBusy);
    case SweepState::kAbsent:
      // Where it is to be removed that is as good: an earlier request was not answered in time.
      if (stage_ != Stage::kConfirm && plan_.step == SweepStep::kPurge) return;
      break;
    case SweepState::kDifferent:
      break;
  }
  Block(at, SweepBlock::kNotEverywhere);
  if (stage_ == Stage::kConfirm && member != plan_.self) {
    unequal_.push_back({member, keys_[at].key});
  }
}

void SweepBatch::Block(size_t at, SweepBlock why) {
  if (!trouble_[at]) trouble_[at] = why;
}

void SweepBatch::BlockAll(SweepBlock why) {
  blocked_[static_cast<size_t>(why)] += keys_.size();
  keys_.clear();
  asks_.clear();
  waiting_.clear();
  wake_.reset();
  stage_ = Stage::kDone;
}

void SweepBatch::StageAnswered(base::Instant now) {
  if (trouble_of_all_) return BlockAll(*trouble_of_all_);
  std::vector<wire::KeyDigest> left;
  for (size_t i = 0; i < keys_.size(); ++i) {
    if (trouble_[i]) {
      ++blocked_[static_cast<size_t>(*trouble_[i])];
    } else {
      left.push_back(std::move(keys_[i]));
    }
  }
  keys_ = std::move(left);
  switch (stage_) {
    case Stage::kHints:
      return Enter(Stage::kConfirm, now);
    case Stage::kConfirm:
      return Enter(Stage::kSettle, now);
    case Stage::kHintsAgain:
      return Enter(Stage::kSettleAgain, now);
    case Stage::kPurgeOthers:
      return Enter(Stage::kPurgeSelf, now);
    case Stage::kPurgeSelf:
      removed_ = std::move(keys_);
      stage_ = Stage::kDone;
      return;
    case Stage::kSettle:
    case Stage::kSettleAgain:
    case Stage::kDone:
      return;
  }
}

}  // namespace lariat::repair

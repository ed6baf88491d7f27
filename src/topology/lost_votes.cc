// SPDX-License-Identifier: Apache-2.0
#include "topology/lost_votes.h"

#include <algorithm>
#include <utility>

namespace lariat::topology {

using membership::Topology;
using telemetry::LogLevel;

namespace {

constexpr base::Duration kVotesAgain = base::Millis(500);
constexpr base::Duration kVotesTimeout = base::Seconds(1);

bool IsQuestion(const wire::RegisterRequest& request) {
  return !request.accept && request.ballot.IsZero();
}

}  // namespace

LostVotes::LostVotes(peers::Home& home, TopologyRecord& record, telemetry::LogSink& log,
                     TopologyRegister::Ports ports, bool lost)
    : home_(home), record_(record), log_(log), ports_(std::move(ports)), lost_(lost) {}

void LostVotes::Lose(uint64_t above) {
  // The doubt, which is stored next, finds out what is wrong if this fails.
  record_.PutVotesLost(above, [](const base::Status&) {});
  const bool ticks = lost_ && !stopped_;
  lost_ = true;
  until_.reset();
  asked_epoch_ = 0;
  if (!ticks) Tick();
}

void LostVotes::Start() {
  if (!lost_) return;
  log_.Log(LogLevel::kWarn, "changes",
           "the log was cut at a damaged record and the copy of this node's votes cannot be read: "
           "it may have forgotten what it agreed to, and does not vote on changes of the topology "
           "until it knows how far the others are");
  Tick();
}

std::string LostVotes::WhyNot(const wire::RegisterRequest& request) const {
  if (!lost_ || (until_ && request.epoch > *until_)) return "";
  const std::string why =
      "its log was cut at a damaged record and the copy of its votes cannot be read, or its data "
      "directory is not the newest, so it may have forgotten what it agreed to; ";
  const Topology* now = ports_.decided();
  const size_t voters = now == nullptr ? 0 : now->Voters().size();
  if (!IsQuestion(request)) {
    if (voters == 1) return "";
    if (voters == 2 && asked_epoch_ == request.epoch && !answered_.empty()) return "";
  }
  if (!until_) return why + "it votes again when it has heard from the others how far they are";
  return why + "it votes again after epoch " + std::to_string(*until_);
}

void LostVotes::Tick() {
  if (!lost_ || stopped_) return;
  home_.env().timers.After(kVotesAgain, [this] { Tick(); });
  const Topology* now = ports_.decided();
  if (now == nullptr || !now->sealed) return;
  if (until_ && now->epoch >= *until_) return VoteAgain(now->epoch);
  if (!until_) Ask(*now);
}

void LostVotes::Ask(const Topology& now) {
  const base::Uuid self = home_.self().id;
  const std::vector<base::Uuid> voters = now.Voters();
  if (voters == std::vector<base::Uuid>{self}) return VoteAgain(now.epoch);
  if (asked_epoch_ != now.epoch + 1) {
    asked_epoch_ = now.epoch + 1;
    answered_.clear();
    touched_ = false;
  }
  wire::RegisterRequest question;
  question.epoch = asked_epoch_;
  question.base = membership::EncodeTopology(now);
  for (const base::Uuid& voter : voters) {
    const auto peer = voter == self ? std::nullopt : home_.peers().PeerOf(voter);
    if (!peer) continue;
    home_.peers().Call(*peer, question, kVotesTimeout,
                       [this, voter, epoch = question.epoch](const base::Result<wire::Body>& body) {
                         const auto* reply =
                             body ? std::get_if<wire::RegisterReply>(&*body) : nullptr;
                         if (reply != nullptr && reply->outcome.ok())
                           OnAnswer(voter, epoch, *reply);
                       });
  }
}

void LostVotes::OnAnswer(const base::Uuid& voter, uint64_t epoch,
                         const wire::RegisterReply& reply) {
  if (!lost_ || until_ || epoch != asked_epoch_) return;
  if (!reply.decided.empty()) {
    auto theirs = membership::DecodeTopology(reply.decided);
    if (theirs) ports_.learn(*theirs, [](const base::Status&) {});
    return;  // asked again, about the epoch after that
  }
  const Topology* now = ports_.decided();
  if (now == nullptr || now->epoch + 1 != epoch) return;
  answered_.insert(voter);
  touched_ = touched_ || !reply.seen.IsZero();
  const size_t voters = now->Voters().size();
  if (touched_ || answered_.size() < voters - voters / 2) return;
  until_ = epoch;
  log_.Log(LogLevel::kInfo, "changes", "this node votes again after epoch {}", epoch);
}

void LostVotes::VoteAgain(uint64_t epoch) {
  record_.PutVotesFound([this, epoch](const base::Status& status) {
    if (!lost_ || !status) return;  // tried again
    lost_ = false;
    log_.Log(LogLevel::kInfo, "changes", "at epoch {} this node votes on changes again", epoch);
  });
}

}  // namespace lariat::topology

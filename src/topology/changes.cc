// SPDX-License-Identifier: Apache-2.0
#include "topology/changes.h"

#include <utility>

namespace lariat::topology {

using base::Code;
using base::Fail;
using membership::Topology;
using telemetry::LogLevel;

namespace {

constexpr base::Duration kProposalTime = base::Seconds(10);
constexpr size_t kProposalsMax = 1000;
constexpr base::Duration kReportTimeout = base::Seconds(1);
constexpr base::Duration kSayEvery = base::Seconds(10);

}  // namespace

Changes::Changes(peers::Home& home, TopologyRegister& decisions, ring::AllocationOptions allocation,
                 telemetry::LogSink& log, Ports ports)
    : home_(home),
      register_(decisions),
      allocation_(allocation),
      log_(log),
      ports_(std::move(ports)) {}

void Changes::Start() { Tick(); }

membership::Asked Changes::Asked() const {
  return {home_.env().clock.Wall(), ports_.alive, ports_.in_doubt, ports_.level};
}

// --- proposing ---------------------------------------------------------------------------------

void Changes::Propose(Edit edit, Done done) {
  if (proposals_.size() >= kProposalsMax) {
    return done(Fail(Code::kOverloaded, "too many changes are being agreed on"));
  }
  proposals_.push_back({std::move(edit), std::move(done), home_.env().clock.Now() + kProposalTime});
  if (proposals_.size() == 1) Try();
}

void Changes::Try() {
  if (stopped_) return End(Fail(Code::kConflict, "this node is out of the cluster"));
  const Topology* now = ports_.decided();
  if (now == nullptr) return End(Fail(Code::kUnavailable, "the cluster is not formed yet"));
  membership::Next next = proposals_.front().edit(*now);
  if (!next) return End(Fail(next.error()));
  if (!*next) return End(*now);
  std::string proposal = membership::EncodeTopology(**next);
  register_.Decide(*now, proposal, [this, proposal](base::Result<std::string> decided) {
    OnDecided(proposal, std::move(decided));
  });
}

void Changes::OnDecided(const std::string& proposed, base::Result<std::string> decided) {
  if (!decided) return End(Fail(decided.error()));
  if (*decided == proposed) return End(*membership::DecodeTopology(proposed));
  // Somebody else's came first: the edit is made again on top of it.
  if (home_.env().clock.Now() < proposals_.front().until) return Try();
  End(Fail(Code::kUnavailable, "other changes came first, again and again; try again"));
}

void Changes::End(base::Result<Topology> result) {
  Done done = std::move(proposals_.front().done);
  done(std::move(result));  // before the next one starts, which may build on it
  proposals_.pop_front();
  if (!proposals_.empty()) home_.Post([this] { RunNext(); });
}

void Changes::RunNext() {
  if (!proposals_.empty()) Try();
}

// --- driving -----------------------------------------------------------------------------------

std::optional<base::Uuid> Changes::Driver(const Topology& now) const {
  const base::Uuid self = home_.self().id;
  for (const base::Uuid& voter : membership::Drivers(now)) {
    if (voter == self || ports_.alive(voter)) return voter;
  }
  return std::nullopt;
}

bool Changes::Drives(const Topology& now) const { return Driver(now) == home_.self().id; }

// Of a step that could be taken; empty while it is tried for the first time.
std::string Changes::WhyNotAgreed(const Topology& now) const {
  if (Drives(now)) return not_agreed_epoch_ == now.epoch ? not_agreed_ : "";
  const auto driver = Driver(now);
  const std::string step = "the members have to agree on the next step; ";
  return step + (driver ? "node '" + now.Find(*driver)->name + "' asks them"
                        : "none of those that may ask them is alive");
}

void Changes::Tick() {
  if (stopped_) return;
  const base::Duration period = base::Millis(home_.settings().membership_drive_ms);
  home_.env().timers.After(period, [this] { Tick(); });
  const Topology* now = ports_.decided();
  if (now == nullptr || !now->sealed) return;
  const uint64_t change = now->operation ? now->operation->change.number : 0;
  if (change != reports_of_) {
    reports_.clear();
    reports_of_ = change;
    bytes_before_ = 0;
    bytes_per_s_ = 0;
    rate_since_ = home_.env().clock.Now();
  }
  const bool busy = now->operation || !now->queue.empty();
  const bool drives = busy && Drives(*now);
  const bool watched = home_.env().clock.Now() < watched_until_;
  if (now->operation && (drives || watched)) Poll(*now);
  if (!busy) waiting_for_.clear();
  if (drives || (busy && watched)) Drive(*now);
  if (drives || watched) Publish();
}

void Changes::Poll(const Topology& now) {
  const base::Uuid self = home_.self().id;
  for (const base::Uuid& id : membership::Participants(now)) {
    if (id == self) {
      reports_[id] = ports_.progress();
      continue;
    }
    const auto peer = home_.peers().PeerOf(id);
    if (!peer) {
      reports_.erase(id);
      continue;
    }
    home_.peers().Call(*peer, wire::ProgressRequest{}, kReportTimeout,
                       [this, id](base::Result<wire::Body> body) { OnReport(id, body); });
  }
}

void Changes::OnReport(const base::Uuid& node, const base::Result<wire::Body>& body) {
  const auto* reply = body ? std::get_if<wire::ProgressReply>(&*body) : nullptr;
  if (reply == nullptr || !reply->outcome.ok()) {
    reports_.erase(node);
    return;
  }
  reports_[node] = *reply;
}

void Changes::Drive(const Topology& now) {
  membership::Drive drive = membership::DriveOn(now, reports_, Asked(), allocation_);
  waiting_for_ = drive.next ? WhyNotAgreed(now) : drive.waiting_for;
  SayWhatIsWaitedFor(now);
  if (!drive.next || !Drives(now) || driving_) return;
  driving_ = true;
  // Decided on top of what it was worked out from, or not at all.
  const uint64_t epoch = now.epoch;
  Propose(
      [epoch, next = std::move(*drive.next)](const Topology& base) -> membership::Next {
        if (base.epoch != epoch) return std::nullopt;
        return next;
      },
      [this, epoch](const base::Result<Topology>& result) {
        driving_ = false;
        if (!result) {
          not_agreed_epoch_ = epoch;
          not_agreed_ = result.error().message;
          waiting_for_ = not_agreed_;
          log_.Log(LogLevel::kWarn, "changes", "a step was not agreed on: {}",
                   result.error().message);
          return;
        }
        ports_.spread();
        const auto& operation = result->operation;
        log_.Log(LogLevel::kInfo, "changes", "epoch {}: {}", result->epoch,
                 operation ? std::string(membership::ChangeKindText(operation->change.kind)) +
                                 " of '" + operation->change.name +
                                 "': " + std::string(membership::PhaseText(operation->phase))
                           : "no change under way");
      });
}

void Changes::SayWhatIsWaitedFor(const Topology& now) {
  const base::Instant when = home_.env().clock.Now();
  if (waiting_for_ != said_) {
    said_ = waiting_for_;
    said_at_ = when;
  }
  if (said_.empty() || when < said_at_ + kSayEvery || !Drives(now)) return;
  said_at_ = when;
  log_.Log(LogLevel::kInfo, "changes", "epoch {}: waits: {}", now.epoch, said_);
}

void Changes::Publish() {
  uint64_t bytes = 0;
  for (const auto& [id, report] : reports_) bytes += report.bytes_done;
  const base::Instant now = home_.env().clock.Now();
  const double seconds = base::ToSeconds(now - rate_since_);
  if (seconds >= 2) {
    bytes_per_s_ = bytes > bytes_before_ ? static_cast<double>(bytes - bytes_before_) / seconds : 0;
    bytes_before_ = bytes;
    rate_since_ = now;
  }
  ports_.publish(
      std::make_shared<const ChangesSeen>(ChangesSeen{reports_, waiting_for_, bytes_per_s_, now}));
}

}  // namespace lariat::topology

// SPDX-License-Identifier: Apache-2.0
#include "topology/confirmation.h"

#include <utility>
#include <variant>
#include <vector>

namespace lariat::topology {

using telemetry::LogLevel;

namespace {

constexpr base::Duration kConfirmAgain = base::Millis(20);
constexpr base::Duration kConfirmTimeout = base::Seconds(2);

}  // namespace

Confirmation::Confirmation(World world, membership::FormationCore& core, Ports ports)
    : home_(world.home),
      list_(world.list),
      log_(world.log),
      core_(core),
      ports_(std::move(ports)) {}

void Confirmation::Start() {
  until_ = home_.env().clock.Now() + base::Millis(home_.settings().membership_confirm_ms);
  under_way_ = HasOthers() || list_.MayNameOthers() || !ports_.held_up().empty();
  if (!under_way_) return ports_.confirmed();
  Tick();
}

std::string Confirmation::WaitingFor() const {
  if (!under_way_ || !core_.expelled().empty()) return "";
  if (!other_cluster_.empty()) {
    return "the data directory is of another cluster: " + other_cluster_;
  }
  if (std::string why = ports_.held_up(); !why.empty()) return why;
  std::string silent;
  for (const membership::Member& member : core_.topology()->members) {
    if (member.id == home_.self().id || confirmed_by_.contains(member.id)) continue;
    silent += (silent.empty() ? "" : ", ") + ("'" + member.name + "' at " + member.peer);
  }
  return "asking the other members whether the topology is still what it was" +
         (silent.empty() ? "" : "; no answer yet from " + silent);
}

bool Confirmation::HasOthers() const {
  return core_.topology()->sealed && core_.topology()->members.size() > 1;
}

void Confirmation::Tick() {
  if (!under_way_ || !core_.expelled().empty()) return;
  list_.Seek({});
  const bool held_up = !ports_.held_up().empty();
  const bool alone = !HasOthers() && !list_.MayNameOthers();
  if (!held_up && (alone || Enough())) return End();
  const bool late = !held_up && home_.env().clock.Now() >= until_;
  if (late && !home_.peers().other_cluster().empty()) {
    if (other_cluster_.empty()) {
      log_.Log(LogLevel::kError, "cluster", "{}", home_.peers().other_cluster());
    }
    other_cluster_ = home_.peers().other_cluster();
  } else if (late) {
    log_.Log(LogLevel::kWarn, "cluster", "no majority of the members answers; going on by epoch {}",
             core_.topology()->epoch);
    return End();
  }
  // A call may fail before it returns, and change the document.
  std::vector<std::string> addresses = list_.Others();
  for (const membership::Member& member : core_.topology()->members) {
    if (member.id != home_.self().id) addresses.push_back(member.peer);
  }
  for (const std::string& address : addresses) Ask(address);
  home_.env().timers.After(kConfirmAgain, [this] { Tick(); });
}

void Confirmation::Ask(const std::string& address) {
  home_.peers().Call(
      home_.peers().PeerAt(address), core_.MakeJoinRequest(), kConfirmTimeout,
      [this, address](const base::Result<wire::Body>& body) { OnReply(address, body); });
}

void Confirmation::OnReply(const std::string& address, const base::Result<wire::Body>& body) {
  const auto* reply = body ? std::get_if<wire::JoinReply>(&*body) : nullptr;
  if (reply == nullptr || !under_way_ || reply->document.empty()) return;
  const auto theirs = membership::DecodeTopology(reply->document);
  if (!theirs) return;
  if (!core_.OnDocument(*theirs) && !core_.expelled().empty()) return ports_.expelled();
  if (const auto node = home_.peers().MetAt(address).node) confirmed_by_.insert(*node);
  if (ports_.held_up().empty() && Enough()) End();
}

bool Confirmation::Enough() const {
  const std::vector<base::Uuid> voters = core_.topology()->Voters();
  size_t confirmed = 0;
  for (const base::Uuid& voter : voters) {
    const bool self = voter == home_.self().id;
    confirmed += self || confirmed_by_.contains(voter) ? 1 : 0;
  }
  return confirmed >= voters.size() / 2 + 1 && !confirmed_by_.empty();
}

void Confirmation::End() {
  under_way_ = false;
  ports_.confirmed();
}

}  // namespace lariat::topology

// SPDX-License-Identifier: Apache-2.0
#include "peers/peers.h"

#include <utility>

namespace lariat::peers {

using base::Code;
using base::Fail;

Peers::Peers(Self self, const World& world, uint64_t first_call, Ports ports)
    : self_(std::move(self)), world_(world), ports_(std::move(ports)), calls_(first_call) {}

// --- addresses ---------------------------------------------------------------------------------

PeerHandle Peers::PeerAt(const std::string& address) {
  const auto found = by_address_.find(address);
  if (found != by_address_.end()) return found->second;
  const PeerHandle peer = world_.transport.Open(address, std::nullopt);
  by_address_[address] = peer;
  peers_[peer] = {address, std::nullopt};
  return peer;
}

void Peers::CloseAddress(const std::string& address) {
  const auto found = by_address_.find(address);
  if (found == by_address_.end()) return;
  const PeerHandle peer = found->second;
  by_address_.erase(found);
  Close(peer);
}

void Peers::Close(PeerHandle peer) {
  world_.transport.Close(peer);
  OnDown(peer, {Code::kUnavailable, "no longer needed"});
  peers_.erase(peer);
}

Peers::Met Peers::MetAt(const std::string& address) const {
  const auto found = by_address_.find(address);
  if (found == by_address_.end()) return {};
  return {peers_.at(found->second).node, world_.transport.Trouble(found->second)};
}

void Peers::Resolve(const std::string& address, PeerTransport::Resolved done) {
  world_.transport.Resolve(address, std::move(done));
}

const std::string* Peers::AddressOf(PeerHandle peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? nullptr : &found->second.address;
}

// --- members -----------------------------------------------------------------------------------

// A member is known by its id: what is meant for it must not reach another node that has got its
// address, and count as done by two.
void Peers::OpenMember(ring::NodeIndex index) {
  const membership::Member& member = view_->MemberAt(index);
  const auto found = by_member_.find(member.id);
  if (found != by_member_.end()) {
    peer_of_[index] = found->second;
    if (peers_[found->second].address == member.peer) return;
    Close(found->second);  // it has moved
  }
  const PeerHandle peer = world_.transport.Open(member.peer, member.id);
  by_member_[member.id] = peer;
  peers_[peer] = {member.peer, member.id};
  peer_of_[index] = peer;
}

void Peers::SetView(std::shared_ptr<const membership::View> view) {
  view_ = std::move(view);
  peer_of_.assign(view_->ring.size(), std::nullopt);
  for (ring::NodeIndex i = 0; i < view_->ring.size(); ++i) {
    if (i != view_->self) OpenMember(i);
  }
  std::vector<PeerHandle> unwanted;
  for (const auto& [address, peer] : std::exchange(by_address_, {})) unwanted.push_back(peer);
  std::erase_if(by_member_, [&](const auto& entry) {
    const bool member = IsMember(entry.first);
    if (!member) unwanted.push_back(entry.second);
    return !member;
  });
  for (const PeerHandle peer : unwanted) Close(peer);
  world_.metrics.peers_up.Set(PeersAlive());  // connections made before the view came, too
}

bool Peers::IsMember(const base::Uuid& node) const {
  const auto found = view_->by_number.find(node.high);
  return found != view_->by_number.end() && view_->MemberAt(found->second).id == node;
}

std::optional<PeerHandle> Peers::PeerOf(ring::NodeIndex index) const {
  return index < peer_of_.size() ? peer_of_[index] : std::nullopt;
}

std::optional<PeerHandle> Peers::PeerOf(const base::Uuid& id) const { return PeerOf(id.high); }

std::optional<PeerHandle> Peers::PeerOf(uint64_t number) const {
  if (!view_) return std::nullopt;
  const auto found = view_->by_number.find(number);
  return found == view_->by_number.end() ? std::nullopt : PeerOf(found->second);
}

std::optional<PeerHandle> Peers::PeerIn(const membership::View& view, ring::NodeIndex node) const {
  if (&view == view_.get()) return PeerOf(node);
  const auto found = view_->by_number.find(view.MemberAt(node).Number());
  return found == view_->by_number.end() ? std::nullopt : PeerOf(found->second);
}

std::string Peers::TroubleOf(ring::NodeIndex index) const {
  return world_.transport.Trouble(*peer_of_[index]);
}

// --- who is alive ------------------------------------------------------------------------------

uint32_t Peers::PeersAlive() const {
  if (!view_) return 0;
  uint32_t alive = 0;
  for (ring::NodeIndex i = 0; i < view_->ring.size(); ++i) {
    alive += i != view_->self && IsAlive(i) ? 1 : 0;
  }
  return alive;
}

bool Peers::IsAlive(ring::NodeIndex node) const { return IsAlive(*view_, node); }

bool Peers::IsAlive(const membership::View& view, ring::NodeIndex node) const {
  if (node == view.self) return world_.engine.health() != storage::Health::kDead;
  return liveness_.IsAlive(view.MemberAt(node).Number());
}

bool Peers::IsAlive(const base::Uuid& id) const {
  if (!view_) return false;
  const auto found = view_->by_number.find(id.high);
  return found != view_->by_number.end() && IsAlive(found->second);
}

void Peers::SetUnusable(std::shared_ptr<const std::set<uint64_t>> nodes) {
  liveness_.SetUnusable(std::move(nodes));
  world_.metrics.peers_up.Set(PeersAlive());
}

// --- events ------------------------------------------------------------------------------------

bool Peers::TakesScans(PeerHandle peer) const {
  const auto found = peers_.find(peer);
  return found != peers_.end() && found->second.takes_scans;
}

void Peers::NoteScans(PeerHandle peer, bool takes) {
  const auto found = peers_.find(peer);
  if (found != peers_.end()) found->second.takes_scans = takes;
}

bool Peers::OnUp(PeerHandle peer, const base::Uuid& node) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return false;
  found->second.up = true;
  found->second.node = node;
  if (!found->second.member) return false;
  liveness_.OnConnected(node.high);
  ports_.up(node.high);
  world_.metrics.peers_up.Set(PeersAlive());
  return true;
}

void Peers::OnDown(PeerHandle peer, const base::Error& why) {
  const auto found = peers_.find(peer);
  const bool was_up = found != peers_.end() && std::exchange(found->second.up, false);
  if (was_up && found->second.member) {
    liveness_.OnDisconnected(found->second.member->high);
    ports_.down(found->second.member->high);
    world_.metrics.peers_up.Set(PeersAlive());
  }
  calls_.OnPeerDown(peer, why);
}

void Peers::OnRefused(PeerHandle peer, const wire::HelloReply& answer, bool twin) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  if (!found->second.member && !twin) found->second.node = answer.node;
  if (answer.outcome.code != Code::kConflict) return;
  other_cluster_ = found->second.address + " says: " + answer.outcome.error;
}

// --- questions ---------------------------------------------------------------------------------

void Peers::Call(PeerHandle peer, wire::Body&& body, base::Duration timeout, Calls::Done done) {
  Send(peer, {0, view_ ? view_->fence() : 0, std::move(body)}, timeout, std::move(done));
}

void Peers::Send(PeerHandle peer, wire::Envelope&& request, base::Duration timeout,
                 Calls::Done done) {
  const base::Status sent = TrySend(peer, std::move(request), timeout, &done);
  if (!sent) done(Fail(sent.error()));
}

base::Status Peers::TrySend(PeerHandle peer, wire::Envelope&& request, base::Duration timeout,
                            Calls::Done* done) {
  const uint64_t id = calls_.Add(peer, world_.clock.Now() + timeout, std::move(*done));
  request.id = id;
  world_.metrics.peer_messages_sent.Add();
  base::Status sent = world_.transport.Send(peer, std::move(request));
  if (sent) return sent;
  *done = calls_.Withdraw(id);
  return *done ? sent : base::Status();  // or else it has been called
}

}  // namespace lariat::peers

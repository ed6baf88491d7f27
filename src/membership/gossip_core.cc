// SPDX-License-Identifier: Apache-2.0
#include "membership/gossip_core.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"
#include "membership/gossip/targets.h"

namespace lariat::membership {
namespace {

// Members that may be unknown when one more is heard of and worth telling.
constexpr uint32_t kJoinersAtOnce = 16;
constexpr size_t kDigestBytes = 26;  // of a usual one
// A heartbeat without states in an ACK; one with states is larger and takes the room of others.
constexpr size_t kDeltaBytes = 30;

uint64_t SecondsOf(base::WallTime now) {
  return static_cast<uint64_t>(std::max<int64_t>(now.ms, 0)) / 1000;
}

bool IsNewer(uint64_t generation, uint64_t version, const GossipDigest& than) {
  return std::pair(generation, version) > std::pair(than.generation, than.version);
}

}  // namespace

bool GossipStats::Drop(GossipDrop why) {
  ++dropped[static_cast<size_t>(why)];
  return false;
}

std::string GossipStats::Sent(std::string frame) {
  ++frames_sent;
  bytes_sent += frame.size();
  return frame;
}

uint64_t NextGeneration(uint64_t stored, base::WallTime now) {
  const uint64_t now_s = std::max<uint64_t>(SecondsOf(now), 1);
  if (stored >= now_s + kGenerationLeadMaxS) return now_s;
  return std::max(stored + 1, now_s);
}

std::optional<Hierarchy> HierarchyFromText(std::string_view text) {
  if (text == "auto") return Hierarchy::kAuto;
  if (text == "on") return Hierarchy::kOn;
  if (text == "off") return Hierarchy::kOff;
  return std::nullopt;
}

GossipCore::GossipCore(GossipOptions options, base::Prng prng)
    : options_(options), prng_(prng), members_(MemberList::Make({})) {
  LARIAT_CHECK(options.generation > 0, "generation 0 stands for 'not heard of'");
  own_.generation = options.generation;
  own_.version = own_.state_version = 1;
  own_.states = std::make_unique<const std::string>();
}

void GossipCore::SetMembers(std::shared_ptr<const MemberList> members) {
  std::vector<Entry> entries(members->size());
  usable_peers_ = known_ = 0;
  hot_.clear();
  self_ = members->Find(options_.self);
  for (uint32_t i = 0; i < members->size(); ++i) {
    if (const auto old = members_->Find(members->Id(i))) entries[i] = std::move(entries_[*old]);
    if (i == self_) continue;
    if (entries[i].usable) ++usable_peers_;
    if (entries[i].generation > 0) ++known_;
    if (entries[i].hot > 0) hot_.emplace(entries[i].hot, i);
  }
  entries_ = std::move(entries);
  members_ = std::move(members);
  const bool wanted =
      options_.hierarchy == Hierarchy::kOn ||
      (options_.hierarchy == Hierarchy::kAuto && members_->size() > options_.hierarchical_above);
  hierarchical_ = wanted && self_ && members_->racks() > 1;
  // Everybody begins his turn somewhere else.
  near_cursor_ = static_cast<uint32_t>(prng_.Below(members_->size() + 1));
  far_cursor_ = static_cast<uint32_t>(prng_.Below(members_->size() + 1));
}

void GossipCore::SetUsable(const base::Uuid& id, bool usable) {
  const auto index = members_->Find(id);
  if (!index || index == self_ || entries_[*index].usable == usable) return;
  entries_[*index].usable = usable;
  usable ? ++usable_peers_ : --usable_peers_;
}

bool GossipCore::SetStates(const NodeStates& states) {
  std::string bytes = EncodeStates(states);
  LARIAT_CHECK(bytes.size() <= kGossipStateBytesMax, "own states are larger than others take");
  if (bytes == *own_.states) return false;
  own_.states = std::make_unique<const std::string>(std::move(bytes));
  own_.state_version = ++own_.version;
  return true;
}

std::optional<GossipView> GossipCore::Find(const base::Uuid& id) const {
  const Entry* entry = nullptr;
  if (id == options_.self) {
    entry = &own_;
  } else if (const auto index = members_->Find(id)) {
    entry = &entries_[*index];
  }
  if (entry == nullptr || entry->generation == 0) return std::nullopt;
  GossipView view{entry->generation, entry->version, {}};
  if (entry->states) view.states = DecodeStates(*entry->states).value_or(NodeStates());
  return view;
}

bool GossipCore::IsNear(const base::Uuid& id) const {
  if (!hierarchical_) return true;
  const auto index = members_->Find(id);
  return index && members_->RackOf(*index) == members_->RackOf(*self_);
}

uint32_t GossipCore::ExpectedRounds(bool near) const {
  const size_t places = std::max<size_t>(options_.frame_bytes / kDigestBytes, 1);
  if (near) {
    const size_t peers =
        hierarchical_ ? members_->Rack(members_->RackOf(*self_)).size() : members_->size();
    return static_cast<uint32_t>(peers / places + 1);
  }
  // Far ones take turns in an eighth of a frame, and come through relays.
  return static_cast<uint32_t>(members_->size() * 8 / places + 8);
}

// --- what arrives ---

std::optional<GossipFrame> GossipCore::Read(const base::Uuid& from, std::string_view bytes,
                                            GossipKind kind) {
  ++stats_.frames_received;
  stats_.bytes_received += bytes.size();
  GossipDrop why = GossipDrop::kMalformed;
  std::optional<GossipFrame> frame;
  if (!members_->Find(from) || from == options_.self) {
    why = GossipDrop::kNotMember;
  } else {
    frame = ReadGossipFrame(bytes, kind, &why);
    if (frame && frame->own && frame->own->id != from) {
      why = GossipDrop::kMalformed;
      frame.reset();
    }
  }
  if (!frame) stats_.Drop(why);
  return frame;
}

bool GossipCore::Plausible(const GossipDigest& digest, base::WallTime now) {
  if (digest.generation > SecondsOf(now) + kGenerationLeadMaxS)
    return stats_.Drop(GossipDrop::kFarFuture);
  if (digest.version > kGossipVersionMax) return stats_.Drop(GossipDrop::kBadState);
  return true;
}

void GossipCore::OnClaimAboutSelf(const GossipDigest& claim, std::optional<std::string_view> states,
                                  base::WallTime now) {
  if (!IsNewer(claim.generation, claim.version, {{}, own_.generation, own_.version})) return;
  if (!Plausible(claim, now)) return;
  own_.generation = claim.generation + 1;
  own_.state_version = ++own_.version;
  const auto said = states ? DecodeStates(*states) : std::nullopt;
  claims_.push_back(said ? GossipClaim{said->run, said->peer_address} : GossipClaim{});
}

void GossipCore::Apply(const GossipDelta& delta, base::WallTime now) {
  const GossipDigest digest{delta.id, delta.generation, delta.version};
  if (delta.id == options_.self) return OnClaimAboutSelf(digest, delta.states, now);
  const auto index = members_->Find(delta.id);
  if (!index) return;
  Entry& entry = entries_[*index];
  if (!IsNewer(delta.generation, delta.version, {{}, entry.generation, entry.version})) return;
  if (!Plausible(digest, now)) return;
  const bool first = entry.generation == 0;
  const bool states_changed =
      entry.generation != delta.generation || entry.state_version != delta.state_version;
  if (delta.states) {
    if (!DecodeStates(*delta.states)) {
      stats_.Drop(GossipDrop::kBadState);
      return;
    }
    if (states_changed) {
      entry.states.reset();
      if (!delta.states->empty()) {
        entry.states = std::make_unique<const std::string>(*delta.states);
      }
    }
  } else if (states_changed) {
    return;  // A bare heartbeat is for those who have the states; we forgot them meanwhile.
  }
  if (first) ++known_;
  entry.generation = delta.generation;
  entry.version = delta.version;
  entry.state_version = delta.state_version;
  // To one who has just come everybody is new, but the others know them.
  if (first ? known_ + kJoinersAtOnce > members_->size() : states_changed) Heat(*index);
  news_.push_back({delta.id, delta.generation, delta.version, states_changed});
}

void GossipCore::Heat(uint32_t index) {
  Entry& entry = entries_[index];
  if (entry.hot > 0) hot_.erase({entry.hot, index});
  entry.hot = 1;
  hot_.emplace(entry.hot, index);
}

// Enough for all to hear it with a chance to spare; what is left comes by turns.
void GossipCore::Told(const std::vector<uint32_t>& indexes) {
  const auto enough = static_cast<uint8_t>(4 + 2 * std::bit_width(members_->size()));
  for (const uint32_t index : indexes) {
    Entry& entry = entries_[index];
    hot_.erase({entry.hot, index});
    if (++entry.hot > enough) entry.hot = 0;
    if (entry.hot > 0) hot_.emplace(entry.hot, index);
  }
}

// What we know newer, or that we want to know what they know newer.
void GossipCore::AddAnswer(uint32_t index, const GossipDigest& theirs, base::WallTime now,
                           GossipWriter* reply) {
  const Entry& mine = entries_[index];
  if (IsNewer(mine.generation, mine.version, theirs)) {
    reply->Add(entries_[index].Since(theirs, members_->Id(index)));
  } else if (IsNewer(theirs.generation, theirs.version, {{}, mine.generation, mine.version}) &&
             Plausible(theirs, now)) {
    reply->Add(GossipDigest{theirs.id, mine.generation, mine.version});
  }
}

std::optional<std::string> GossipCore::OnSyn(const base::Uuid& from, std::string_view bytes,
                                             base::WallTime now) {
  const auto frame = Read(from, bytes, GossipKind::kSyn);
  if (!frame) return std::nullopt;
  Apply(*frame->own, now);
  GossipWriter reply(GossipKind::kAck);
  reply.Own(own_.Since({}, options_.self));
  std::vector<bool> mentioned(members_->size());
  std::vector<std::optional<uint32_t>> places;
  places.reserve(frame->digests.size());
  for (const GossipDigest& digest : frame->digests) {
    places.push_back(members_->Find(digest.id));
    if (places.back()) mentioned[*places.back()] = true;
    if (digest.id == options_.self) OnClaimAboutSelf(digest, std::nullopt, now);
  }
  if (const auto sender = members_->Find(from)) {
    mentioned[*sender] = true;
    // Another run of the asker has said more: it learns of it, with what that one says of itself.
    const GossipDigest said{from, frame->own->generation, frame->own->version};
    const Entry& heard = entries_[*sender];
    if (IsNewer(heard.generation, heard.version, said))
      reply.Add(entries_[*sender].Since({}, members_->Id(*sender)));
  }
  AddHotDeltas(mentioned, &reply);
  for (size_t i = 0; i < places.size(); ++i) {
    if (!places[i] || places[i] == self_) continue;
    if (reply.size() + kDeltaBytes > options_.frame_bytes) break;
    AddAnswer(*places[i], frame->digests[i], now, &reply);
  }
  return stats_.Sent(std::move(reply).Finish());
}

std::optional<std::string> GossipCore::OnAck(const base::Uuid& from, std::string_view bytes,
                                             base::WallTime now) {
  const auto frame = Read(from, bytes, GossipKind::kAck);
  if (!frame) return std::nullopt;
  Apply(*frame->own, now);
  for (const GossipDelta& delta : frame->deltas) Apply(delta, now);
  GossipWriter reply(GossipKind::kAck2);
  for (const GossipDigest& wanted : frame->digests) {
    if (reply.size() + kDeltaBytes > options_.frame_bytes) break;
    const auto index = members_->Find(wanted.id);
    if (!index || index == self_) continue;
    const Entry& mine = entries_[*index];
    if (IsNewer(mine.generation, mine.version, wanted))
      reply.Add(entries_[*index].Since(wanted, members_->Id(*index)));
  }
  return stats_.Sent(std::move(reply).Finish());
}

bool GossipCore::OnAck2(const base::Uuid& from, std::string_view bytes, base::WallTime now) {
  const auto frame = Read(from, bytes, GossipKind::kAck2);
  if (!frame) return false;
  for (const GossipDelta& delta : frame->deltas) Apply(delta, now);
  return true;
}

// --- what leaves ---

GossipDelta GossipCore::Entry::Since(const GossipDigest& known, const base::Uuid& id) const {
  GossipDelta delta{id, generation, version, state_version, {}};
  if (known.generation != generation || known.version < state_version) {
    delta.states = states ? std::string_view(*states) : std::string_view();
  }
  return delta;
}

// Pushed without asking: a SYN of turns would not mention them for long.
void GossipCore::AddHotDeltas(const std::vector<bool>& mentioned, GossipWriter* out) {
  std::vector<uint32_t> told;
  for (const auto& [times, index] : hot_) {
    if (out->size() >= options_.frame_bytes / 4) break;
    if (mentioned[index]) continue;
    out->Add(entries_[index].Since({}, members_->Id(index)));
    told.push_back(index);
  }
  Told(told);
}

void GossipCore::AddHotDigests(std::vector<bool>* taken, GossipWriter* out) {
  std::vector<uint32_t> told;
  for (const auto& [times, index] : hot_) {
    if (out->size() >= options_.frame_bytes / 4) break;
    const Entry& entry = entries_[index];
    out->Add(GossipDigest{members_->Id(index), entry.generation, entry.version});
    (*taken)[index] = true;
    told.push_back(index);
  }
  Told(told);
}

void GossipCore::AddDigests(std::span<const uint32_t> from, size_t bytes_max,
                            std::vector<bool>* taken, uint32_t* cursor, GossipWriter* out) {
  if (from.empty()) return;
  size_t room = bytes_max / kDigestBytes;
  const auto size = static_cast<uint32_t>(from.size());
  const uint32_t start = *cursor % size;
  uint32_t n = 0;
  for (; n < size && room > 0; ++n) {
    const uint32_t index = from[(start + n) % size];
    if (index == self_ || (*taken)[index]) continue;
    const Entry& entry = entries_[index];
    out->Add(GossipDigest{members_->Id(index), entry.generation, entry.version});
    (*taken)[index] = true;
    --room;
  }
  *cursor = (start + n) % size;
}

std::string GossipCore::MakeSyn(Far far) {
  GossipWriter syn(GossipKind::kSyn);
  syn.Own(own_.Since({}, options_.self));
  std::vector<bool> taken(members_->size());
  AddHotDigests(&taken, &syn);
  // A quarter of the frame is left free: the reply repeats what is mentioned and has states too.
  const size_t room = options_.frame_bytes * 3 / 4;
  const size_t left = room > syn.size() ? room - syn.size() : 0;
  if (!hierarchical_) {
    AddDigests(members_->Everybody(), left, &taken, &near_cursor_, &syn);
  } else {
    AddDigests(members_->Rack(members_->RackOf(*self_)), left, &taken, &near_cursor_, &syn);
    const size_t far_room = far == Far::kAll ? left : options_.frame_bytes / 8;
    if (far != Far::kNone) {
      AddDigests(members_->Everybody(), far_room, &taken, &far_cursor_, &syn);
    }
  }
  return stats_.Sent(std::move(syn).Finish());
}

void GossipCore::ForgetFuture(base::WallTime now) {
  const uint64_t last = SecondsOf(now) + kGenerationLeadMaxS;
  if (own_.generation > last) {
    own_.generation = NextGeneration(own_.generation, now);
    own_.state_version = ++own_.version;
  }
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (entry.generation <= last) continue;
    if (entry.hot > 0) hot_.erase({entry.hot, i});
    const bool usable = entry.usable;
    entry = Entry{};
    entry.usable = usable;
    --known_;
  }
}

std::vector<GossipSend> GossipCore::OnTick() {
  ++stats_.rounds;
  ++own_.version;
  const auto usable = [this](uint32_t index) { return entries_[index].usable; };
  GossipTargets draw({*members_, self_, usable, prng_}, {options_.fanout, options_.relays});
  std::vector<uint32_t> targets = hierarchical_ ? draw.Hierarchical() : draw.Flat();
  // The more peers are lost, the more often one is tried: the way back after a partition.
  const uint64_t peers = entries_.size() - (self_ ? 1 : 0);
  const uint64_t lost = peers - usable_peers_;
  if (lost > 0 && prng_.Below(usable_peers_ + 1) < lost) {
    if (const auto target = draw.Lost()) targets.push_back(*target);
  }
  std::sort(targets.begin(), targets.end());
  targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
  std::vector<GossipSend> sends;
  bool turn = true;  // one of the rack hears of far members, too
  for (const uint32_t target : targets) {
    Far far = turn ? Far::kTurn : Far::kNone;
    if (!IsNear(members_->Id(target))) {
      far = Far::kAll;
    } else {
      turn = false;
    }
    sends.push_back({members_->Id(target), MakeSyn(far)});
  }
  return sends;
}

}  // namespace lariat::membership

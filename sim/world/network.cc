// SPDX-License-Identifier: Apache-2.0
#include "sim/world/network.h"

#include <utility>

#include "base/check.h"
#include "coordinator/ports.h"
#include "sim/world/describe.h"
#include "sim/world/disk.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace lariat::sim {

using peers::PeerHandle;

namespace {

constexpr base::Duration kRetry = base::Millis(20);
constexpr base::Duration kParked = base::Millis(10);  // until a link is looked at again
constexpr base::Duration kConnectTimeout = base::Millis(200);
constexpr wire::Progress kFarAhead{uint64_t{1} << 60, uint64_t{1} << 60, uint64_t{1} << 60};
constexpr int64_t kNoticeUs = 2000;  // until the end of a connection is noticed

bool Happens(bool faults, int64_t ppm, base::Prng* prng) {
  return faults && ppm > 0 && prng->Below(1000000) < static_cast<uint64_t>(ppm);
}

// The newest value that the node has made, with no more history than its actor's own.
std::string NewestAlone(const std::string& encoded, uint64_t node) {
  auto object = causal::Object::Decode(encoded);
  if (!object || object->dvv() == nullptr) return encoded;
  const causal::DottedValue* newest = nullptr;
  for (const causal::DottedValue& v : object->dvv()->values()) {
    const bool newer = newest == nullptr || v.dot.counter > newest->dot.counter;
    if (v.dot.actor.node == node && newer) newest = &v;
  }
  if (newest == nullptr) return encoded;
  causal::DotSet before;
  for (uint64_t i = 1; i < newest->dot.counter; ++i) before.Add({newest->dot.actor, i});
  causal::Object alone(causal::Kind::kSiblings);
  alone.dvv()->Update(before, newest->value, newest->dot.actor);
  return alone.Encode();
}

// The message as it is to somebody who takes what came of it for all: the history of an object
// stands before its values.
std::string WithoutItsEnd(const std::string& message, size_t end) {
  auto envelope = wire::DecodeEnvelope(message);
  LARIAT_CHECK(envelope.has_value(), "what a node encodes it can decode");
  const double share = static_cast<double>(end) / static_cast<double>(message.size());
  const auto cut = [share](std::string* encoded) {
    auto object = causal::Object::Decode(*encoded);
    if (!object || object->dvv() == nullptr) return;
    const auto& values = object->dvv()->values();
    causal::DotSet lost;
    for (size_t i = 0; i < values.size(); ++i) {
      const bool came = static_cast<double>(i + 1) <= share * static_cast<double>(values.size());
      if (!came) lost.Add(values[i].dot);
    }
    object->dvv()->Discard(lost);
    *encoded = object->Encode();
  };
  if (auto* write = std::get_if<wire::WriteRequest>(&envelope->body)) cut(&write->object);
  if (auto* push = std::get_if<wire::RecordPush>(&envelope->body))
    cut(&push->entries.back().object);
  return wire::EncodeEnvelope(std::move(*envelope));
}

// The same register, its value living from now on.
std::string LivesFrom(base::WallTime now, const std::string& encoded) {
  auto object = causal::Object::Decode(encoded);
  if (!object || object->lww() == nullptr) return encoded;
  causal::Value& value = object->lww()->value;
  if (value.expires_ms != 0) value.expires_ms += now.ms - value.written.ms;
  return object->Encode();
}

}  // namespace

// --- the transport of a shard ------------------------------------------------------------------

PeerHandle Transport::Open(const std::string& address, std::optional<base::Uuid> expected) {
  const PeerHandle handle = next_peer_++;
  peers_[handle] = {address, expected, 0};
  network_.Connect(this, handle);
  return handle;
}

void Transport::Close(PeerHandle peer) {
  auto closed = peers_.extract(peer);
  if (!closed.empty()) network_.connections_.erase(closed.mapped().connection);
}

base::Status Transport::Send(PeerHandle peer, wire::Envelope&& request) {
  const auto found = peers_.find(peer);
  if (found == peers_.end() || found->second.connection == 0) {
    return base::Fail(base::Code::kUnavailable, coordinator::kNotSent);
  }
  network_.Transmit(found->second.connection, Network::Way::kThere, std::move(request));
  return {};
}

void Transport::Reply(peers::LinkId link, wire::Envelope&& reply) {
  network_.Transmit(link, Network::Way::kBack, std::move(reply));
}

// --- connections -------------------------------------------------------------------------------

Network::Network(Scheduler& scheduler, Trace& trace, const Options& options, base::Prng prng,
                 Bug bug)
    : scheduler_(scheduler), trace_(trace), options_(options), prng_(prng), bug_(bug) {}

base::Duration Network::Delay() {
  return base::Duration(10000) + DrawDelay(options_.delay_us, &prng_);
}

bool Network::IsCut(int from, int to) const {
  const auto found = cuts_.find({from, to});
  return faults_ && found != cuts_.end() && found->second > 0;
}

void Network::Mend(int from, int to) { --cuts_[{from, to}]; }

void Network::Heal() { faults_ = false; }

void Network::ConnectLater(Transport* transport, PeerHandle peer, base::Duration wait) {
  // Half fixed, half random: nobody comes back in step.
  const auto jitter = base::Duration(prng_.Below(static_cast<uint64_t>(wait.count()) + 1));
  Party* party = parties_[static_cast<size_t>(transport->machine_)];
  scheduler_.After(wait + jitter, [this, transport, peer, party, life = transport->life_] {
    if (party->Life() == life) Connect(transport, peer);
  });
}

void Network::Connect(Transport* transport, PeerHandle peer) {
  const auto found = transport->peers_.find(peer);
  if (found == transport->peers_.end()) return;
  int to = -1;
  for (size_t i = 0; i < parties_.size(); ++i) {
    if (parties_[i]->Address() != found->second.address) continue;
    // Another one may have got the address of one that is down.
    if (to < 0 || parties_[i]->Running()) to = static_cast<int>(i);
  }
  if (to < 0) return ConnectLater(transport, peer, kConnectTimeout);  // who was there has moved
  Party* party = parties_[static_cast<size_t>(transport->machine_)];
  std::string hello = wire::EncodeEnvelope({0, 0, party->Events(transport->shard_).MakeHello()});
  scheduler_.After(Delay(), [this, transport, peer, to, party, life = transport->life_,
                             hello = std::move(hello)] {
    if (party->Life() == life) OnConnect(transport, peer, to, hello);
  });
}

void Network::OnConnect(Transport* transport, PeerHandle peer, int to, const std::string& hello) {
  Party* party = parties_[static_cast<size_t>(to)];
  if (IsCut(transport->machine_, to) || IsCut(to, transport->machine_)) {
    return ConnectLater(transport, peer, kConnectTimeout);
  }
  if (!party->Running()) return ConnectLater(transport, peer, kRetry);
  const uint64_t id = next_connection_++;
  Connection& connection = connections_[id];
  connection.from = transport->machine_;
  connection.from_shard = transport->shard_;
  connection.from_life = transport->life_;
  connection.to = to;
  connection.to_shard = static_cast<uint32_t>(prng_.Below(party->Shards()));
  connection.to_life = party->Life();
  connection.transport = transport;
  connection.peer = peer;
  if (options_.frame_bytes > 0) {
    const auto frame_bytes = static_cast<uint32_t>(options_.frame_bytes);
    for (auto* lane : {&connection.there, &connection.back}) {
      *lane = std::make_shared<Lane>();
      (*lane)->out.SetLimits({frame_bytes, std::numeric_limits<uint32_t>::max()});
    }
  }
  auto envelope = wire::DecodeEnvelope(hello);
  LARIAT_CHECK(envelope.has_value(), "a hello decodes");
  auto& body = std::get<wire::Hello>(envelope->body);
  if (Forgets()) body.base = kFarAhead;
  // As a build that knows nothing of runs. A machine still finds out that it has met itself.
  const bool untold = bug_ == Bug::kTwinUntold && to != transport->machine_;
  if (untold) body.run = 0;
  if (untold && party->Id() == body.node) {
    connections_.erase(id);
    return ConnectLater(transport, peer, kConnectTimeout);
  }
  connection.asker = body.node;
  party->Run([this, id, party, body] {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    wire::Envelope answer{0, 0, party->Events(found->second.to_shard).OnHello(body)};
    scheduler_.After(Delay(), [this, id, bytes = wire::EncodeEnvelope(std::move(answer))] {
      OnAnswer(id, bytes);
    });
  });
}

void Network::OnAnswer(uint64_t id, const std::string& bytes) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const Connection& connection = found->second;
  Transport* transport = connection.transport;
  const PeerHandle peer = connection.peer;
  Party* asker = parties_[static_cast<size_t>(connection.from)];
  auto envelope = wire::DecodeEnvelope(bytes);
  LARIAT_CHECK(envelope.has_value(), "an answer to a hello decodes");
  auto reply = std::get<wire::HelloReply>(envelope->body);
  if (bug_ == Bug::kTwinUntold && connection.to != connection.from) reply.run = 0;
  if (Forgets()) {
    reply.known = {};
    reply.base = kFarAhead;
  }
  const auto& expected = transport->peers_[peer].expected;
  const bool another = expected && *expected != reply.node && bug_ != Bug::kAnyoneTaken;
  const bool refused = !reply.outcome.ok() || another;
  asker->Run([this, id, transport, peer, asker, refused, reply] {
    if (!connections_.contains(id)) return;
    const base::Status welcome = asker->Events(transport->shard_).OnHelloReply(peer, reply);
    if (refused || !welcome) {
      asker->Events(transport->shard_).OnRefused(peer, reply);
      connections_.erase(id);
      return ConnectLater(transport, peer, kRetry);
    }
    const base::Uuid& node = reply.node;
    transport->peers_[peer].connection = id;
    ++counts_.connects;
    trace_.Note(scheduler_.Now(), transport->machine_, "", "",
                [&] { return "connected to " + transport->peers_[peer].address; });
    asker->Events(transport->shard_).OnPeerUp(peer, node);
  });
}

void Network::End(uint64_t id, base::Duration notice) {
  auto ended = connections_.extract(id);
  if (ended.empty()) return;
  const Connection connection = ended.mapped();
  Party* asker = parties_[static_cast<size_t>(connection.from)];
  if (asker->Life() != connection.from_life) return;
  scheduler_.After(notice, [this, id, connection, asker] {
    if (asker->Life() != connection.from_life) return;
    asker->Run([this, id, connection, asker] {
      Transport* transport = connection.transport;
      const auto peer = transport->peers_.find(connection.peer);
      if (peer == transport->peers_.end()) return;
      const bool was_ready = peer->second.connection == id;
      if (was_ready) {
        peer->second.connection = 0;
        trace_.Note(scheduler_.Now(), connection.from, "", "",
                    [&] { return "lost the connection to " + AddressOf(connection.to); });
        asker->Events(connection.from_shard)
            .OnPeerDown(connection.peer, {base::Code::kUnavailable, "connection lost"});
      }
      ConnectLater(transport, connection.peer, kRetry);
    });
  });
}

void Network::BreakOne() {
  if (connections_.empty()) return;
  auto it = connections_.begin();
  std::advance(it, static_cast<std::ptrdiff_t>(prng_.Below(connections_.size())));
  ++counts_.broken;
  End(it->first, DrawDelay(kNoticeUs, &prng_));
}

void Network::OnDown(int machine) {
  std::vector<uint64_t> ids;
  for (const auto& [id, connection] : connections_) {
    if (connection.from == machine || connection.to == machine) ids.push_back(id);
  }
  for (const uint64_t id : ids) {
    // A process that ended closes its connections; a machine without power says nothing.
    const bool silent = prng_.Chance(0.3);
    End(id, silent ? DrawDelay(200 * kNoticeUs, &prng_) : DrawDelay(kNoticeUs, &prng_));
  }
}

// --- messages ----------------------------------------------------------------------------------

void Network::Transmit(uint64_t id, Way way, wire::Envelope envelope) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const auto& lane = found->second.LaneOf(way);
  if (lane == nullptr) {
    return Launch(id, way,
                  {std::make_shared<const std::string>(wire::EncodeEnvelope(std::move(envelope)))});
  }
  std::string frame;
  if (lane->out.Add(std::move(envelope), &frame) == wire::Outbox::Added::kWaits) {
    return TransmitParts(id, way);
  }
  frame.erase(0, wire::kFrameHeaderBytes);
  Launch(id, way, {std::make_shared<const std::string>(std::move(frame))});
}

void Network::Launch(uint64_t id, Way way, const Packet& packet) {
  if (Happens(faults_, options_.loss_ppm, &prng_)) {
    ++counts_.lost;
    return;
  }
  ArriveAt(scheduler_.Now() + Delay(), id, way, packet);
  if (Happens(faults_, options_.duplicate_ppm, &prng_)) {
    ++counts_.repeated;
    const auto late = prng_.Chance(0.5) ? Delay() : 20 * Delay();
    ArriveAt(scheduler_.Now() + late, id, way, packet);
  }
}

void Network::TransmitParts(uint64_t id, Way way) {
  Lane& lane = *connections_[id].LaneOf(way);
  std::vector<Packet> parts;
  std::string message;
  for (std::string frame; !(frame = lane.out.NextPart(0)).empty();) {
    frame.erase(0, wire::kFrameHeaderBytes);
    message += wire::ParsePart(frame)->bytes;
    parts.push_back({std::make_shared<const std::string>(std::move(frame)), true});
  }
  counts_.parts += parts.size();
  if (bug_ == Bug::kPartTakenForEnd && prng_.Chance(0.05)) {
    message = WithoutItsEnd(message, prng_.Below(message.size()));
    return Launch(id, way, {std::make_shared<const std::string>(std::move(message))});
  }
  for (const Packet& part : parts) Launch(id, way, part);
}

// Messages may overtake each other and parts, but parts come in order.
void Network::ArriveAt(base::Instant when, uint64_t id, Way way, const Packet& packet) {
  Connection& connection = connections_[id];
  base::Instant& last = way == Way::kThere ? connection.last_there : connection.last_back;
  if (options_.reorder == 0) when = std::max(when, last);
  if (packet.part) {
    base::Instant& last_part = connection.LaneOf(way)->last;
    when = last_part = std::max(when, last_part);
  }
  last = std::max(last, when);
  scheduler_.At(when, [this, id, way, packet] { Arrive(id, way, packet); });
}

void Network::Arrive(uint64_t id, Way way, const Packet& packet) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const Connection& c = found->second;
  const bool there = way == Way::kThere;
  if (faults_ && there && held_.contains({c.from, c.from_shard, c.to})) {
    return ArriveAt(scheduler_.Now() + kParked, id, way, packet);
  }
  if (IsCut(there ? c.from : c.to, there ? c.to : c.from)) {
    if (options_.cut_parks != 0) {
      return ArriveAt(scheduler_.Now() + kParked, id, way, packet);
    }
    ++counts_.cut;
    return;
  }
  Party* receiver = parties_[static_cast<size_t>(there ? c.to : c.from)];
  if (receiver->Life() != (there ? c.to_life : c.from_life)) return;
  receiver->Run([this, id, way, packet] { TakePacket(id, way, packet); });
}

void Network::TakePacket(uint64_t id, Way way, const Packet& packet) {
  if (!packet.part) return Deliver(id, way, *packet.bytes);
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const std::shared_ptr<Lane> lane = found->second.LaneOf(way);
  switch (lane->in.Take(*packet.bytes)) {
    case wire::PartsReader::Took::kMore:
      return;
    case wire::PartsReader::Took::kMessage:
      return Deliver(id, way, lane->in.TakeMessage());
    default:
      ++counts_.parts_refused;
      End(id, DrawDelay(kNoticeUs, &prng_));
  }
}

void Network::Deliver(uint64_t id, Way way, const std::string& bytes) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const Connection c = found->second;
  const bool there = way == Way::kThere;
  const int receiver = there ? c.to : c.from;
  auto envelope = wire::DecodeEnvelope(bytes);
  LARIAT_CHECK(envelope.has_value(), "what a node encodes it can decode");
  ++counts_.delivered;
  trace_.Note(scheduler_.Now(), receiver, SubjectOf(*envelope), bytes, [&] {
    return "from m" + std::to_string((there ? c.from : c.to) + 1) + ": " + Describe(*envelope);
  });
  if (bug_ == Bug::kLeaverUntold) {
    const auto sender = static_cast<size_t>(there ? c.from : c.to);
    if (parties_[sender]->KnowsAsGone(*parties_[static_cast<size_t>(receiver)])) return;
  }
  if (!there) {
    TamperWithReply(*parties_[static_cast<size_t>(receiver)], &*envelope);
    parties_[static_cast<size_t>(receiver)]
        ->Events(c.from_shard)
        .OnReply(c.peer, std::move(*envelope));
    return;
  }
  if (bug_ != Bug::kNone && Tamper(id, &*envelope)) return;
  parties_[static_cast<size_t>(receiver)]
      ->Events(c.to_shard)
      .OnRequest(c.asker, id, std::move(*envelope));
}

void Network::TamperWithReply(Party& receiver, wire::Envelope* reply) const {
  auto* write = std::get_if<wire::WriteReply>(&reply->body);
  if (write != nullptr && bug_ == Bug::kGreaterUntold) *write = {write->outcome, {}, {}};
  auto* time = std::get_if<wire::HeartbeatReply>(&reply->body);
  if (time != nullptr && bug_ == Bug::kClockAgrees) time->wall_ms = receiver.Wall().ms;
  auto* page = std::get_if<wire::RangePage>(&reply->body);
  if (page != nullptr && bug_ == Bug::kStreamSkips) {
    page->entries.clear();
    page->checksum = wire::PageChecksum(page->entries);
  }
  auto* scan = std::get_if<wire::ScanReply>(&reply->body);
  if (scan != nullptr && bug_ == Bug::kPageCutShort) scan->next.clear();
  auto* progress = std::get_if<wire::ProgressReply>(&reply->body);
  if (progress != nullptr && bug_ == Bug::kStepUntold) progress->fence = 0;
  auto* hints = std::get_if<wire::HintsReply>(&reply->body);
  if (hints != nullptr && bug_ == Bug::kHintsUnseen) hints->hinted.clear();
  auto* sweep = std::get_if<wire::SweepReply>(&reply->body);
  if (sweep != nullptr && bug_ == Bug::kConfirmSkipped) {
    for (wire::SweepState& state : sweep->states) state = wire::SweepState::kSame;
  }
  auto* leaf = std::get_if<wire::LeafReply>(&reply->body);
  if (leaf != nullptr && bug_ == Bug::kOnlyKeysCompared) {
    for (wire::KeyDigest& entry : leaf->entries) {
      entry.digest = receiver.DigestOf(entry.key).value_or(entry.digest);
    }
  }
}

bool Network::Tamper(uint64_t id, wire::Envelope* request) {
  auto* write = std::get_if<wire::WriteRequest>(&request->body);
  if (write != nullptr && bug_ == Bug::kDotOnly && !write->repair) {
    write->object = NewestAlone(write->object, connections_[id].asker.high);
  }
  if (write != nullptr && bug_ == Bug::kTtlByArrival) {
    write->object = LivesFrom(WallAt(scheduler_.Now()), write->object);
  }
  const bool skips = write != nullptr && ((bug_ == Bug::kSkipWriteBack && write->repair) ||
                                          (bug_ == Bug::kAckWithoutWrite && prng_.Chance(0.1)));
  if (skips) {
    Transmit(id, Way::kBack, {request->id, request->epoch, wire::WriteReply{}});
    return true;
  }
  const bool of_data = write != nullptr ||
                       std::holds_alternative<wire::ReadRequest>(request->body) ||
                       std::holds_alternative<wire::ForwardedWrite>(request->body);
  if (of_data && bug_ == Bug::kStaleAccepted) {
    request->epoch = parties_[static_cast<size_t>(connections_[id].to)]->Fence();
  }
  const bool forward = std::holds_alternative<wire::ForwardedWrite>(request->body);
  if (forward && bug_ == Bug::kRepeatedForward) {
    wire::Envelope again = *request;
    again.id ^= uint64_t{1} << 60;
    const Connection c = connections_[id];
    parties_[static_cast<size_t>(c.to)]
        ->Events(c.to_shard)
        .OnRequest(c.asker, id, std::move(again));
  }
  return false;
}

}  // namespace lariat::sim

// SPDX-License-Identifier: Apache-2.0
#include "peers/peer_links.h"

#include <algorithm>
#include <utility>

#include "base/lifetime.h"
#include "coordinator/ports.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/outbox.h"

namespace lariat::peers {

using base::Code;
using telemetry::LogLevel;
using telemetry::PeerRefusal;

namespace {

constexpr base::Duration kBackoffStart = base::Millis(20);

PeerRefusal RefusalOf(wire::FrameStatus status) {
  switch (status) {
    case wire::FrameStatus::kBadVersion:
      return PeerRefusal::kBadVersion;
    case wire::FrameStatus::kTooLarge:
      return PeerRefusal::kTooLarge;
    case wire::FrameStatus::kBadChecksum:
      return PeerRefusal::kBadChecksum;
    default:
      return PeerRefusal::kBadMagic;
  }
}

wire::Refused NoRoom() {
  return {{Code::kOverloaded,
           "the receiver has no memory for another large message (peer.message_bytes_max)"}};
}

// With TLS the name in the handshake has to be the one in the certificate. Empty: it is.
std::string Contradiction(const env::Stream& stream, const std::string& name) {
  const std::string_view certified = stream.PeerIdentity();
  if (certified.empty() || certified == name) return "";
  return "a node that says it is '" + name + "' shows the certificate of '" +
         std::string(certified) + "'";
}

// Replies that are many times as large as their requests.
bool CarriesRecords(const wire::Body& body) {
  return std::holds_alternative<wire::ReadReply>(body) ||
         std::holds_alternative<wire::FetchReply>(body) ||
         std::holds_alternative<wire::RangePage>(body) ||
         std::holds_alternative<wire::ScanReply>(body);
}

base::Error TooLarge(std::string_view message) {
  return {Code::kTooLarge, "a message of " + std::to_string(message.size()) +
                               " bytes is more than the peer takes (peer.message_bytes_max)"};
}

}  // namespace

// --- what both kinds of connections do -----------------------------------------------------------

// Envelopes over one stream, both ways.
class PeerLinks::Lane {
 public:
  Lane(PeerLinks& links, env::Stream& stream)
      : links_(links), stream_(stream), reader_(links.budget_) {}
  ~Lane() {
    reader_.Reset();
    NoteParts();
  }

  env::Stream& stream() { return stream_; }
  size_t UnsentBytes() const {
    return stream_.UnsentBytes() + outbox_.GatheredBytes() + outbox_.WaitingBytes();
  }
  // A peer of an earlier build says nothing of its limits: its frames are as large as ours.
  void SetPeerLimits(wire::Limits limits) {
    if (limits.frame_bytes == 0) limits.frame_bytes = links_.OwnLimits().frame_bytes;
    outbox_.SetLimits(limits);
  }

  // Nothing, or what was not sent because the peer takes no message that large.
  std::optional<std::string> Send(wire::Envelope&& envelope);
  void Pump();
  // Takes frames off the front of `bytes` and gives each envelope to `use`, which says whether to
  // go on; `no_room` hears of one that there is no memory for, by its id. Result: bytes used, or
  // nothing if the stream cannot be trusted any more.
  template <typename Use, typename NoRoom>
  std::optional<size_t> TakeFrames(std::string_view bytes, size_t payload_max, Use use,
                                   NoRoom no_room);

 private:
  std::nullopt_t Refuse(PeerRefusal why) {
    links_.metrics().peer_refused[why].Add();
    return std::nullopt;
  }
  void NoteParts() {
    links_.metrics().peer_parts_bytes.Set(static_cast<int64_t>(links_.budget_.used()));
  }
  // Nothing: bad. An empty text: no message yet.
  template <typename NoRoom>
  std::optional<std::string> TakePart(std::string_view payload, NoRoom& no_room);

  template <typename Use>
  std::optional<bool> TakeMessages(std::string_view rest, Use& use);
  void Write(std::string frames, size_t count);
  void SendGathered();

  PeerLinks& links_;
  env::Stream& stream_;
  wire::Outbox outbox_;
  wire::PartsReader reader_;
  bool gathering_ = false;  // SendGathered will come
  base::Lifetime lifetime_;
};

void PeerLinks::Lane::Write(std::string frames, size_t count) {
  links_.metrics().peer_frames_sent.Add(count);
  links_.metrics().peer_bytes_sent.Add(frames.size());
  stream_.Write(std::move(frames));
}

void PeerLinks::Lane::SendGathered() {
  gathering_ = false;
  wire::Outbox::Frames frames = outbox_.TakeGathered();
  Write(std::move(frames.bytes), frames.count);
  Pump();
}

std::optional<std::string> PeerLinks::Lane::Send(wire::Envelope&& envelope) {
  std::string frame;
  switch (outbox_.Add(std::move(envelope), &frame)) {
    case wire::Outbox::Added::kFrame:
      Write(std::move(frame), 1);
      break;
    case wire::Outbox::Added::kGathered:
      if (!std::exchange(gathering_, true)) {
        links_.env_.executor.AtTurnEnd(lifetime_.Guard([this] { SendGathered(); }));
      }
      return std::nullopt;
    case wire::Outbox::Added::kWaits:
      links_.metrics().peer_split_sent.Add();
      break;
    case wire::Outbox::Added::kTooLarge:
      links_.metrics().peer_too_large.Add();
      return frame.substr(wire::kFrameHeaderBytes);
  }
  Pump();
  return std::nullopt;
}

void PeerLinks::Lane::Pump() {
  if (outbox_.WaitingBytes() == 0) return;
  while (true) {
    std::string frame = outbox_.NextPart(stream_.UnsentBytes());
    if (frame.empty()) return;
    Write(std::move(frame), 1);
  }
}

template <typename NoRoom>
std::optional<std::string> PeerLinks::Lane::TakePart(std::string_view payload, NoRoom& no_room) {
  std::string message;
  switch (reader_.Take(payload)) {
    case wire::PartsReader::Took::kMore:
      break;
    case wire::PartsReader::Took::kMessage:
      message = reader_.TakeMessage();
      links_.metrics().peer_split_received.Add();
      break;
    case wire::PartsReader::Took::kNoRoom:
      links_.metrics().peer_refused[PeerRefusal::kNoRoom].Add();
      no_room(reader_.id());
      break;
    case wire::PartsReader::Took::kBad:
      return Refuse(PeerRefusal::kBadMessage);
  }
  NoteParts();
  return message;
}

// Each message of a frame of many, in order. Nothing: bad; otherwise whether to go on.
template <typename Use>
std::optional<bool> PeerLinks::Lane::TakeMessages(std::string_view rest, Use& use) {
  // As with parts.
  if (!outbox_.takes_many()) return Refuse(PeerRefusal::kBadMessage);
  for (uint32_t count = 0; !rest.empty(); ++count) {
    const auto message = wire::TakeMessage(&rest);
    if (!message || count == wire::kFrameMessagesMax) return Refuse(PeerRefusal::kBadMessage);
    auto envelope = wire::DecodeEnvelope(*message);
    if (!envelope) return Refuse(PeerRefusal::kBadMessage);
    if (!use(std::move(*envelope))) return false;
  }
  return true;
}

template <typename Use, typename NoRoom>
std::optional<size_t> PeerLinks::Lane::TakeFrames(std::string_view bytes, size_t payload_max,
                                                  Use use, NoRoom no_room) {
  size_t used = 0;
  while (true) {
    const wire::ParsedFrame frame = wire::ParseFrame(bytes.substr(used), payload_max);
    if (frame.status == wire::FrameStatus::kNeedMore) return used;
    if (frame.status != wire::FrameStatus::kFrame) return Refuse(RefusalOf(frame.status));
    used += frame.size;
    links_.metrics().peer_frames_received.Add();
    links_.metrics().peer_bytes_received.Add(frame.size);
    if (frame.kind == wire::FrameKind::kMessages) {
      const std::optional<bool> go_on = TakeMessages(frame.payload, use);
      if (!go_on) return std::nullopt;
      if (!*go_on) return used;
      continue;
    }
    std::string_view payload = frame.payload;
    std::optional<std::string> message;
    if (frame.kind == wire::FrameKind::kPart) {
      // Whoever has not been told that they are taken sends none.
      message =
          outbox_.takes_parts() ? TakePart(payload, no_room) : Refuse(PeerRefusal::kBadMessage);
      if (!message) return std::nullopt;
      payload = *message;
    }
    if (message && message->empty()) continue;
    auto envelope = wire::DecodeEnvelope(payload);
    if (!envelope) return Refuse(PeerRefusal::kBadMessage);
    if (!use(std::move(*envelope))) return used;
  }
}

// --- a connection that we made -----------------------------------------------------------------

class PeerLinks::Outgoing final : public env::StreamHandler {
 public:
  Outgoing(PeerLinks& links, PeerHandle peer, env::Stream& stream)
      : links_(links), peer_(peer), lane_(links, stream) {
    wire::Hello hello = links_.events_->MakeHello();
    hello.limits = links_.OwnLimits();
    lane_.Send({0, 0, std::move(hello)});
    const auto limit = base::Millis(links_.settings_.peer_connect_timeout_ms);
    handshake_timer_ = links_.env_.timers.After(limit, [this] {
      handshake_timer_ = 0;
      failure_ = "no answer to the handshake";
      lane_.stream().Close();
    });
  }
  ~Outgoing() override { links_.env_.timers.Cancel(handshake_timer_); }

  size_t OnData(std::string_view bytes) override {
    const auto used = lane_.TakeFrames(
        bytes, links_.OwnLimits().frame_bytes,
        [this](wire::Envelope&& envelope) { return Use(envelope); },
        [this](uint64_t id) {
          links_.events_->OnReply(peer_, {id, 0, NoRoom()});
        });
    if (!used) {
      failure_ = "the peer sent a bad frame";
      lane_.stream().Close();
      return bytes.size();
    }
    return *used;
  }

  void OnDrained() override { lane_.Pump(); }

  void OnClosed(const std::string& reason) override {
    const auto found = links_.peers_.find(peer_);
    if (found == links_.peers_.end()) return;  // closed by us
    found->second.lane = nullptr;
    const std::string why = failure_.empty() ? reason : failure_;
    if (ready_) links_.events_->OnPeerDown(peer_, {Code::kUnavailable, why});
    links_.ConnectLater(peer_, why);
  }

 private:
  bool Use(wire::Envelope& envelope) {
    if (ready_) {
      links_.events_->OnReply(peer_, std::move(envelope));
      return true;
    }
    const auto found = links_.peers_.find(peer_);
    const auto* hello = std::get_if<wire::HelloReply>(&envelope.body);
    if (found == links_.peers_.end()) return false;
    Peer& peer = found->second;
    const base::Status welcome =
        hello == nullptr ? base::Status() : links_.events_->OnHelloReply(peer_, *hello);
    if (hello == nullptr) {
      failure_ = "the peer did not answer the handshake";
    } else if (auto wrong = Contradiction(lane_.stream(), hello->name); !wrong.empty()) {
      failure_ = std::move(wrong);
    } else if (!hello->outcome.ok()) {
      failure_ = hello->outcome.error;
    } else if (peer.expected && *peer.expected != hello->node) {
      failure_ = "another node answers at this address, '" + hello->name + "'";
    } else if (!welcome) {
      failure_ = welcome.error().message;
    }
    if (!failure_.empty()) {
      if (hello != nullptr) links_.events_->OnRefused(peer_, *hello);
      lane_.stream().Close();
      return false;
    }
    links_.env_.timers.Cancel(std::exchange(handshake_timer_, 0));
    ready_ = true;
    lane_.SetPeerLimits(hello->limits);
    peer.lane = &lane_;
    peer.backoff = kBackoffStart;
    peer.last_failure.clear();
    links_.metrics().peer_connects.Add();
    links_.events_->OnPeerUp(peer_, hello->node);
    return true;
  }

  PeerLinks& links_;
  PeerHandle peer_;
  Lane lane_;
  env::TimerId handshake_timer_ = 0;
  bool ready_ = false;
  std::string failure_;
};

// --- a connection that a peer made -------------------------------------------------------------

class PeerLinks::Incoming final : public env::StreamHandler {
 public:
  Incoming(PeerLinks& links, env::Stream& stream)
      : links_(links), lane_(links, stream), link_(links.next_link_++) {
    const auto limit = base::Millis(links_.settings_.peer_connect_timeout_ms);
    // Whoever connects and says nothing does not keep the connection.
    handshake_timer_ = links_.env_.timers.After(limit, [this] {
      handshake_timer_ = 0;
      links_.metrics().peer_refused[PeerRefusal::kHandshake].Add();
      lane_.stream().Close();
    });
  }
  ~Incoming() override { links_.env_.timers.Cancel(handshake_timer_); }

  size_t OnData(std::string_view bytes) override {
    // Before the handshake a stranger gets little room.
    const size_t limit = from_ ? links_.OwnLimits().frame_bytes : size_t{4096};
    bool go_on = true;
    const auto use = [&](wire::Envelope&& envelope) {
      const bool first = !from_;
      go_on = Use(std::move(envelope));
      return go_on && !first;  // the next frame is read with the larger limit
    };
    auto used = lane_.TakeFrames(bytes, limit, use, [this](uint64_t id) {
      lane_.Send({id, 0, NoRoom()});
    });
    if (!used) {
      lane_.stream().Close();
      return bytes.size();
    }
    if (from_ && go_on && *used > 0 && *used < bytes.size() && !rest_read_) {
      rest_read_ = true;
      return *used + OnData(bytes.substr(*used));
    }
    return go_on ? *used : bytes.size();
  }

  void OnDrained() override {
    lane_.Pump();
    if (paused_ && lane_.UnsentBytes() <= links_.UnsentMax()) {
      paused_ = false;
      lane_.stream().ResumeReading();
    }
  }

  void OnClosed(const std::string&) override { links_.links_.erase(link_); }

 private:
  bool Use(wire::Envelope&& envelope) {
    if (from_) {
      links_.events_->OnRequest(*from_, link_, std::move(envelope));
      // A peer that does not read its replies is not listened to.
      if (!paused_ && lane_.UnsentBytes() > links_.UnsentMax()) {
        paused_ = true;
        lane_.stream().PauseReading();
      }
      return true;
    }
    const auto* hello = std::get_if<wire::Hello>(&envelope.body);
    if (hello == nullptr) {
      links_.metrics().peer_refused[PeerRefusal::kHandshake].Add();
      lane_.stream().Close();
      return false;
    }
    wire::HelloReply reply = Answer(*hello);
    reply.limits = links_.OwnLimits();
    const bool accepted = reply.outcome.ok();
    lane_.Send({envelope.id, 0, std::move(reply)});
    if (!accepted) {
      // A node that looks who is at an address may meet itself.
      const bool itself = hello->node == links_.events_->MakeHello().node;
      if (!itself) links_.metrics().peer_refused[PeerRefusal::kHandshake].Add();
      lane_.stream().CloseAfterWrite();
      return false;
    }
    lane_.SetPeerLimits(hello->limits);
    links_.env_.timers.Cancel(std::exchange(handshake_timer_, 0));
    from_ = hello->node;
    links_.links_[link_] = &lane_;
    return true;
  }
  wire::HelloReply Answer(const wire::Hello& hello) {
    std::string wrong = Contradiction(lane_.stream(), hello.name);
    if (wrong.empty()) return links_.events_->OnHello(hello);
    const wire::Hello own = links_.events_->MakeHello();
    links_.log_.Log(LogLevel::kWarn, "peer", "refused {}: {}", lane_.stream().PeerAddress(), wrong);
    wire::HelloReply reply;
    reply.outcome = {Code::kInvalidArgument, std::move(wrong)};
    reply.protocol = own.protocol;
    reply.node = own.node;
    reply.cluster = own.cluster;
    reply.name = own.name;
    return reply;
  }

  PeerLinks& links_;
  Lane lane_;
  LinkId link_;
  env::TimerId handshake_timer_ = 0;
  std::optional<base::Uuid> from_;  // set by the handshake
  bool rest_read_ = false;
  bool paused_ = false;
};

// --- the links ---------------------------------------------------------------------------------

PeerLinks::PeerLinks(env::Env env, env::Network& network, const config::Settings& settings,
                     telemetry::LogSink& log)
    : env_(env),
      network_(network),
      settings_(settings),
      log_(log),
      prng_(env.entropy.Next()),
      budget_(static_cast<size_t>(settings.peer_message_bytes_max)),
      alive_(std::make_shared<bool>(true)) {}

PeerLinks::~PeerLinks() = default;

void PeerLinks::Attach(PeerEvents& events, telemetry::Metrics& metrics) {
  events_ = &events;
  metrics_ = &metrics;
}

std::unique_ptr<env::StreamHandler> PeerLinks::Accept(env::Stream& stream) {
  return std::make_unique<Incoming>(*this, stream);
}

void PeerLinks::Stop() {
  stopped_ = true;
  for (auto& [handle, peer] : peers_) env_.timers.Cancel(std::exchange(peer.retry, 0));
}

PeerHandle PeerLinks::Open(const std::string& address, std::optional<base::Uuid> expected) {
  const PeerHandle handle = next_peer_++;
  Peer& peer = peers_[handle];
  peer.address = address;
  peer.expected = expected;
  peer.backoff = kBackoffStart;
  Connect(handle);
  return handle;
}

void PeerLinks::Close(PeerHandle handle) {
  auto peer = peers_.extract(handle);
  if (peer.empty()) return;
  env_.timers.Cancel(peer.mapped().retry);
  if (peer.mapped().lane != nullptr) peer.mapped().lane->stream().Close();
}

std::string PeerLinks::Trouble(PeerHandle handle) const {
  const auto found = peers_.find(handle);
  return found == peers_.end() ? "" : found->second.last_failure;
}

void PeerLinks::Resolve(const std::string& address, Resolved done) {
  network_.Resolve(address, [alive = std::weak_ptr<bool>(alive_), done = std::move(done)](
                                base::Result<std::vector<std::string>> found) mutable {
    if (!alive.expired()) done(std::move(found));
  });
}

void PeerLinks::Connect(PeerHandle handle) {
  const auto found = peers_.find(handle);
  if (found == peers_.end() || stopped_) return;
  found->second.retry = 0;
  const auto limit = base::Millis(settings_.peer_connect_timeout_ms);
  network_.Connect(
      found->second.address, limit,
      [this, handle, alive = std::weak_ptr<bool>(alive_)](
          env::Stream& stream) -> std::unique_ptr<env::StreamHandler> {
        if (alive.expired() || !peers_.contains(handle)) return nullptr;
        return std::make_unique<Outgoing>(*this, handle, stream);
      },
      [this, handle, alive = std::weak_ptr<bool>(alive_)](const base::Error& error) {
        if (!alive.expired()) ConnectLater(handle, error.message);
      });
}

void PeerLinks::ConnectLater(PeerHandle handle, const std::string& why) {
  const auto found = peers_.find(handle);
  if (found == peers_.end() || stopped_) return;
  Peer& peer = found->second;
  if (why != peer.last_failure) {  // said once, not at every attempt
    log_.Log(LogLevel::kInfo, "peer", "no connection to {}: {}", peer.address, why);
    peer.last_failure = why;
  }
  // Half fixed, half random: nodes that lost the same peer do not come back in step.
  const auto half = peer.backoff / 2;
  const auto wait = half + base::Duration(prng_.Below(static_cast<uint64_t>(half.count()) + 1));
  peer.backoff =
      std::min<base::Duration>(peer.backoff * 2, base::Millis(settings_.peer_backoff_max_ms));
  env_.timers.Cancel(peer.retry);
  peer.retry = env_.timers.After(wait, [this, handle] { Connect(handle); });
}

// --- sending -------------------------------------------------------------------------------------

wire::Limits PeerLinks::OwnLimits() const {
  return {static_cast<uint32_t>(settings_.peer_frame_bytes_max),
          static_cast<uint32_t>(settings_.peer_message_bytes_max), wire::kFrameMessagesMax};
}

size_t PeerLinks::UnsentMax() const {
  return static_cast<size_t>(settings_.limits_peer_queue_bytes);
}

base::Status PeerLinks::Send(PeerHandle handle, wire::Envelope&& request) {
  const auto found = peers_.find(handle);
  const bool ready = found != peers_.end() && found->second.lane != nullptr;
  if (!ready || found->second.lane->UnsentBytes() > UnsentMax()) {
    return base::Fail(Code::kUnavailable, coordinator::kNotSent);
  }
  const auto refused = found->second.lane->Send(std::move(request));
  return refused ? base::Fail(TooLarge(*refused)) : base::Status();
}

void PeerLinks::Reply(LinkId link, wire::Envelope&& reply) {
  const auto found = links_.find(link);
  if (found == links_.end()) return;
  Lane& lane = *found->second;
  // Many small requests are read before their replies show that they are large.
  if (CarriesRecords(reply.body) && lane.UnsentBytes() > UnsentMax()) {
    const base::Error why = {Code::kOverloaded, "too much waits to be sent to the peer"};
    reply = wire::RefusalInPlaceOf(std::move(reply), why);
  }
  const auto refused = lane.Send(std::move(reply));
  auto whole = refused ? wire::DecodeEnvelope(*refused) : std::nullopt;
  if (whole) lane.Send(wire::RefusalInPlaceOf(std::move(*whole), TooLarge(*refused)));
}

}  // namespace lariat::peers

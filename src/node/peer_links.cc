// SPDX-License-Identifier: Apache-2.0
#include "node/peer_links.h"

#include <algorithm>
#include <utility>

#include "wire/codec.h"
#include "wire/frame.h"

namespace lariat::node {

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

// Takes frames off the front of `bytes` and gives each envelope to `use`, which says whether to go
// on. Result: bytes used, or nothing if the stream cannot be trusted any more.
template <typename Use>
std::optional<size_t> TakeFrames(std::string_view bytes, size_t payload_max,
                                 telemetry::Metrics& metrics, Use use) {
  size_t used = 0;
  while (true) {
    const wire::ParsedFrame frame = wire::ParseFrame(bytes.substr(used), payload_max);
    if (frame.status == wire::FrameStatus::kNeedMore) return used;
    if (frame.status != wire::FrameStatus::kFrame) {
      metrics.peer_refused[RefusalOf(frame.status)].Add();
      return std::nullopt;
    }
    auto envelope = wire::DecodeEnvelope(frame.payload);
    if (!envelope) {
      metrics.peer_refused[PeerRefusal::kBadMessage].Add();
      return std::nullopt;
    }
    used += frame.size;
    metrics.peer_bytes_received.Add(frame.size);
    if (!use(std::move(*envelope))) return used;
  }
}

}  // namespace

// --- a connection that we made -----------------------------------------------------------------

class PeerLinks::Outgoing final : public env::StreamHandler {
 public:
  Outgoing(PeerLinks& links, PeerHandle peer, env::Stream& stream)
      : links_(links), peer_(peer), stream_(stream) {
    links_.SendFrame(stream_, {0, 0, links_.events_->MakeHello()});
    const auto limit = base::Millis(links_.settings_.peer_connect_timeout_ms);
    handshake_timer_ = links_.env_.timers.After(limit, [this] {
      handshake_timer_ = 0;
      failure_ = "no answer to the handshake";
      stream_.Close();
    });
  }
  ~Outgoing() override { links_.env_.timers.Cancel(handshake_timer_); }

  size_t OnData(std::string_view bytes) override {
    const auto used =
        TakeFrames(bytes, static_cast<size_t>(links_.settings_.peer_frame_bytes_max),
                   links_.metrics(), [this](wire::Envelope envelope) { return Use(envelope); });
    if (!used) {
      failure_ = "the peer sent a bad frame";
      stream_.Close();
      return bytes.size();
    }
    return *used;
  }

  void OnClosed(const std::string& reason) override {
    const auto found = links_.peers_.find(peer_);
    if (found == links_.peers_.end()) return;  // closed by us
    found->second.stream = nullptr;
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
    if (hello == nullptr) {
      failure_ = "the peer did not answer the handshake";
    } else if (!hello->outcome.ok()) {
      failure_ = hello->outcome.error;
    } else if (peer.expected && *peer.expected != hello->node) {
      failure_ = "another node answers at this address, '" + hello->name + "'";
    }
    if (!failure_.empty()) {
      if (hello != nullptr) links_.events_->OnRefused(peer_, *hello);
      stream_.Close();
      return false;
    }
    links_.env_.timers.Cancel(std::exchange(handshake_timer_, 0));
    ready_ = true;
    peer.stream = &stream_;
    peer.backoff = kBackoffStart;
    peer.last_failure.clear();
    links_.metrics().peer_connects.Add();
    links_.events_->OnPeerUp(peer_, hello->node);
    return true;
  }

  PeerLinks& links_;
  PeerHandle peer_;
  env::Stream& stream_;
  env::TimerId handshake_timer_ = 0;
  bool ready_ = false;
  std::string failure_;
};

// --- a connection that a peer made -------------------------------------------------------------

class PeerLinks::Incoming final : public env::StreamHandler {
 public:
  Incoming(PeerLinks& links, env::Stream& stream)
      : links_(links), stream_(stream), link_(links.next_link_++) {
    const auto limit = base::Millis(links_.settings_.peer_connect_timeout_ms);
    // Whoever connects and says nothing does not keep the connection.
    handshake_timer_ = links_.env_.timers.After(limit, [this] {
      handshake_timer_ = 0;
      links_.metrics().peer_refused[PeerRefusal::kHandshake].Add();
      stream_.Close();
    });
  }
  ~Incoming() override { links_.env_.timers.Cancel(handshake_timer_); }

  size_t OnData(std::string_view bytes) override {
    // Before the handshake a stranger gets little room.
    const size_t limit =
        from_ ? static_cast<size_t>(links_.settings_.peer_frame_bytes_max) : size_t{4096};
    bool go_on = true;
    auto used = TakeFrames(bytes, limit, links_.metrics(), [&](wire::Envelope envelope) {
      const bool first = !from_;
      go_on = Use(std::move(envelope));
      return go_on && !first;  // the next frame is read with the larger limit
    });
    if (!used) {
      stream_.Close();
      return bytes.size();
    }
    if (from_ && go_on && *used > 0 && *used < bytes.size() && !rest_read_) {
      rest_read_ = true;
      return *used + OnData(bytes.substr(*used));
    }
    return go_on ? *used : bytes.size();
  }

  void OnDrained() override {
    if (paused_) {
      paused_ = false;
      stream_.ResumeReading();
    }
  }

  void OnClosed(const std::string&) override { links_.links_.erase(link_); }

 private:
  bool Use(wire::Envelope envelope) {
    if (from_) {
      links_.events_->OnRequest(*from_, link_, std::move(envelope));
      // A peer that does not read its replies is not listened to.
      const auto unread_max = static_cast<size_t>(links_.settings_.limits_peer_queue_bytes);
      if (!paused_ && stream_.UnsentBytes() > unread_max) {
        paused_ = true;
        stream_.PauseReading();
      }
      return true;
    }
    const auto* hello = std::get_if<wire::Hello>(&envelope.body);
    if (hello == nullptr) {
      links_.metrics().peer_refused[PeerRefusal::kHandshake].Add();
      stream_.Close();
      return false;
    }
    wire::HelloReply reply = links_.events_->OnHello(*hello);
    const bool accepted = reply.outcome.ok();
    links_.SendFrame(stream_, {envelope.id, 0, std::move(reply)});
    if (!accepted) {
      // A node that looks who is at an address may meet itself.
      const bool itself = hello->node == links_.events_->MakeHello().node;
      if (!itself) links_.metrics().peer_refused[PeerRefusal::kHandshake].Add();
      stream_.CloseAfterWrite();
      return false;
    }
    links_.env_.timers.Cancel(std::exchange(handshake_timer_, 0));
    from_ = hello->node;
    links_.links_[link_] = &stream_;
    return true;
  }

  PeerLinks& links_;
  env::Stream& stream_;
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
  if (peer.mapped().stream != nullptr) peer.mapped().stream->Close();
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

void PeerLinks::SendFrame(env::Stream& stream, wire::Envelope envelope) {
  std::string frame;
  wire::FrameWriter writer(&frame);
  wire::AppendEnvelope(std::move(envelope), &frame);
  writer.Finish();
  metrics_->peer_bytes_sent.Add(frame.size());
  stream.Write(std::move(frame));
}

bool PeerLinks::Send(PeerHandle handle, wire::Envelope request) {
  const auto found = peers_.find(handle);
  if (found == peers_.end() || found->second.stream == nullptr) return false;
  env::Stream& stream = *found->second.stream;
  if (stream.UnsentBytes() > static_cast<size_t>(settings_.limits_peer_queue_bytes)) return false;
  SendFrame(stream, std::move(request));
  return true;
}

void PeerLinks::Reply(LinkId link, wire::Envelope reply) {
  const auto found = links_.find(link);
  if (found != links_.end()) SendFrame(*found->second, std::move(reply));
}

}  // namespace lariat::node

// SPDX-License-Identifier: Apache-2.0
#include "node/past/past.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace lariat::node {

using base::Code;
using base::Fail;
using telemetry::LogLevel;
using telemetry::PeerRefusal;

namespace {

constexpr int kNotePeriods = 5;  // between two notes of progress; each syncs

}  // namespace

base::Result<Past::Stored> LoadPast(storage::Engine& engine,
                                    const std::optional<membership::Topology>& topology) {
  auto progress = LoadProgress(engine);
  if (!progress) return Fail(progress.error());
  auto pasts = LoadPasts(engine, topology ? &*topology : nullptr);
  if (!pasts) return Fail(pasts.error());
  return Past::Stored{*progress, std::move(*pasts)};
}

Past::Past(peers::Home& home, storage::Engine& engine, telemetry::LogSink& log, Options options,
           Ports ports)
    : home_(home),
      engine_(engine),
      log_(log),
      id_(options.id),
      name_(std::move(options.name)),
      ports_(std::move(ports)),
      period_(base::Millis(home.settings().membership_gossip_period_ms)),
      progress_(home.env().entropy.Next() | 1, options.stored.progress, engine, home.queue()),
      pasts_(engine, home.queue(), std::move(options.stored.pasts)),
      twin_(home, log, std::move(options.here), std::move(options.before), ports_.twin) {}

void Past::Start() {
  twin_.Start();
  EachWhile();
}

void Past::EachWhile() {
  home_.env().timers.After(kNotePeriods * period_, [this] { EachWhile(); });
  // What was written while another process has the identity is no progress of the directory's.
  if (twin_.phase() == wire::RunPhase::kServing) progress_.NoteWrites(ports_.records());
  pasts_.StoreNews();
}

void Past::OnPeersSeen(const peers::PeersSeen& seen) {
  for (const auto& [member, peer] : seen.peers) {
    if (peer.heard && !peer.name.empty()) {
      pasts_.Learn(member, {peer.states.run, peer.states.progress});
    }
  }
}

// --- handshakes ----------------------------------------------------------------------------------

void Past::FillHello(wire::Hello* hello) const {
  hello->run = progress_.run();
  hello->base = progress_.base();
  hello->phase = twin_.phase();
}

// Another run of that member may be alive where this one is not.
base::Status Past::CheckOther(const wire::Hello& hello, wire::HelloReply* reply) const {
  const auto seen = ports_.peers_seen();
  if (!seen) return {};
  const auto found = seen->peers.find(hello.node.high);
  if (found == seen->peers.end() || !found->second.heard) return {};
  const peers::PeersSeen::Peer& peer = found->second;
  const bool other = peer.states.run != 0 && peer.states.run != hello.run &&
                     peer.states.peer_address != hello.peer_address;
  const base::Duration age = home_.env().clock.Now() - peer.status.last_heartbeat;
  if (!other || age >= kHeardLately * period_) return {};
  reply->other_address = peer.states.peer_address;
  reply->other_age_ms = static_cast<uint64_t>(std::max<int64_t>(age / base::Millis(1), 0));
  return Fail(Code::kUnavailable,
              fmt::format("another process with the identity of '{}' was heard at {} {} ms ago",
                          hello.name, reply->other_address, reply->other_age_ms));
}

base::Status Past::OnHello(const wire::Hello& hello, wire::HelloReply* reply) {
  reply->run = progress_.run();
  reply->phase = twin_.phase();
  reply->base = progress_.base();
  if (hello.node == id_) {
    if (hello.run != progress_.run()) {
      home_.Post([this, run = hello.run, address = hello.peer_address, phase = hello.phase] {
        twin_.OnContact(run, address, phase);
      });
    }
    return Fail(Code::kInvalidArgument, "this is your own identity");
  }
  if (hello.run == 0) return {};  // a build that tells nothing of it
  const uint64_t member = hello.node.high;
  reply->known = pasts_.Known(member, hello.run);
  // If it only lacks writes, it comes back in doubt, and goes on from what is known.
  if (wire::MaxOf(reply->known, hello.base) != hello.base) {
    return Fail(Code::kUnavailable, "the data directory of '" + hello.name + "' is an old copy");
  }
  if (auto status = CheckOther(hello, reply); !status) return status;
  home_.Post([this, member, said = Pasts::Said{hello.run, hello.base}] {
    pasts_.OnAccepted(member, said);
  });
  return {};
}

base::Status Past::OnHelloReply(const std::string& address, const wire::HelloReply& reply) {
  if (reply.node == id_) {
    if (reply.run != progress_.run()) {
      home_.Post([this, run = reply.run, address, phase = reply.phase] {
        twin_.OnContact(run, address, phase);
      });
    }
    return {};  // it refuses, too
  }
  if (reply.run == 0) return {};
  if (!reply.other_address.empty()) {
    home_.Post([this, other = reply.other_address, age = base::Millis(reply.other_age_ms)] {
      twin_.OnTold(other, age);
    });
  }
  const wire::Progress base = progress_.base();
  if (wire::MaxOf(base, reply.known) != base) {
    home_.Post([this, known = reply.known, name = reply.name] { OnKnown(known, name); });
  }
  const uint64_t member = reply.node.high;
  const wire::Progress known = pasts_.Known(member, reply.run);
  const bool lacks = wire::MaxOf(known, reply.base) != reply.base;
  // It may be connected here since before that was heard, and would never be told.
  const bool may_stay =
      known.confirmed <= reply.base.confirmed && pasts_.WasAccepted(member, reply.run);
  if (lacks && !may_stay) {
    return Fail(Code::kUnavailable, "its data directory is an old copy");
  }
  if (reply.outcome.ok()) {
    home_.Post([this, member, said = Pasts::Said{reply.run, reply.base}] {
      pasts_.OnAccepted(member, said);
    });
  }
  return {};
}

// --- this node's own past ------------------------------------------------------------------------

void Past::OnKnown(const wire::Progress& known, const std::string& by) {
  const wire::Progress base = progress_.base();
  if (refused_ || wire::MaxOf(base, known) == base) return;
  const bool accept = home_.settings().cluster_accept_old_data;
  if (known.confirmed > base.confirmed && !accept) return Refuse(known, by);
  if (known.votes > base.votes) {
    log_.Log(LogLevel::kError, "identity",
             "node '{}' remembers that this one had voted more on the topology (step {}, the data "
             "directory has {}): the directory is a copy from before",
             by, known.votes, base.votes);
    ports_.lose_votes(known.votes);
  }
  if (known.written > base.written || known.confirmed > base.confirmed) {
    log_.Log(
        LogLevel::kError, "identity",
        "node '{}' remembers that this one had written more (step {}, the data directory has {}): "
        "the directory is a copy from before, or has lost the end of its log",
        by, known.written, base.written);
    ports_.doubt("its data directory is older than what it had acknowledged");
  }
  // With the doubt in the log: either both are there after a crash, or the doubt alone.
  if (progress_.GoOnAbove(known)) engine_.Sync(&home_.queue(), [](const base::Status&) {});
}

void Past::Refuse(const wire::Progress& known, const std::string& by) {
  refused_ = true;
  std::string join;
  if (home_.view()) {
    for (const membership::Member& member : home_.view()->topology.members) {
      if (member.id != id_) join += (join.empty() ? "" : ",") + member.peer;
    }
  }
  if (join.empty()) join = "ADDRESS_OF_A_MEMBER";
  ports_.twin.refuse(fmt::format(
      "the data directory is an old copy: node '{}' remembers that this one had confirmed deletes "
      "up to step {}, the directory has step {}. What was deleted and purged since would come back "
      "from "
      "it, so this node does not start. Start it with an empty data directory instead: lariatd "
      "--name {} --data-dir EMPTY_DIRECTORY --join {} --replace {}",
      by, known.confirmed, progress_.base().confirmed, name_, join, name_));
}

}  // namespace lariat::node

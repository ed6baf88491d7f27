// SPDX-License-Identifier: Apache-2.0
#include "topology/cluster.h"

#include <utility>

#include "base/gather.h"
#include "membership/change_core.h"

namespace lariat::topology {

using base::Code;
using base::Fail;
using membership::FormationCore;
using membership::Topology;
using telemetry::LogLevel;

namespace {

constexpr base::Duration kJoinAgain = base::Millis(100);
constexpr size_t kAskersMax = 16;  // of one newcomer
constexpr base::Duration kSeekAgain = base::Seconds(1);
constexpr base::Duration kRefusedAgain = base::Seconds(1);

ring::AllocationOptions AllocationOf(const FormationCore::Options& options) {
  return {options.vnodes, options.default_n};
}

}  // namespace

Cluster::Cluster(peers::Home& home, FormationCore::Options options, Stored stored,
                 storage::Engine& engine, telemetry::LogSink& log, Ports ports)
    : home_(home),
      list_(home, options.join, options.self.peer),
      core_(options, stored.topology),
      engine_(engine),
      log_(log),
      ports_(std::move(ports)),
      confirmation_({home, list_, log}, core_,
                    {[this] { OnConfirmed(); }, [this] { Expel(); }, ports_.held_up}),
      last_word_(home, options.join),
      asker_(home, engine),
      record_(engine, home.queue(), stored),
      document_({home, engine, log}, core_, record_,
                {ports_.publish, [this] { return confirmation_.under_way(); }},
                std::move(stored.topology)),
      lost_votes_(home, record_, log, RegisterPorts(), stored.votes.lost),
      register_(home, record_, RegisterPorts(), std::move(stored.votes)),
      changes_(home, register_, AllocationOf(options), log,
               {[this] { return Decided(); }, ports_.alive, ports_.in_doubt, ports_.level,
                [this] { return Progress(); },
                [this] { document_.Spread([](const base::Status&) {}); }, ports_.publish_changes}),
      expelled_before_(std::move(stored.expelled_by)) {}

TopologyRegister::Ports Cluster::RegisterPorts() {
  TopologyRegister::Ports ports;
  ports.decided = [this] { return Decided(); };
  ports.learn = [this](const Topology& theirs, StatusDone done) {
    // What takes this node out is decided all the same, though it is not kept here.
    Learn(theirs, [this, done = std::move(done)](base::Status status) mutable {
      if (!core_.expelled().empty()) status = {};
      done(std::move(status));
    });
    if (!core_.expelled().empty()) last_word_.Tell(theirs);
  };
  ports.why_not = [this](const wire::RegisterRequest& request) {
    // It may be a copy of another process, or an old one, that has yet to find out.
    if (!aside_.empty()) return aside_;
    if (std::string why = confirmation_.WaitingFor(); !why.empty()) return why;
    return lost_votes_.WhyNot(request);
  };
  return ports;
}

void Cluster::Start() {
  record_.Start(log_);
  if (expelled_before_ && !core_.OnDocument(*expelled_before_) && !core_.expelled().empty()) {
    Expel();
    return last_word_.Tell(*expelled_before_);  // perhaps nobody has heard it
  }
  lost_votes_.Start();
  changes_.Start();
  if (core_.topology() != nullptr) {
    return confirmation_.Start();
  }
  asker_.KeepIdentity();
  AskToJoin();
}

void Cluster::OnConfirmed() {
  if (core_.RefreshOwnAddresses()) {
    document_.AdoptAndSpread();
  } else {
    document_.Adopt([](const base::Status&) {});
  }
  SeekMembers();
}

std::string Cluster::WaitingFor() const {
  if (std::string why = confirmation_.WaitingFor(); !why.empty()) return why;
  std::string waiting = core_.WaitingFor();
  if (waiting.empty() || !core_.expelled().empty()) return waiting;
  if (const std::string troubles = list_.Troubles(); !troubles.empty()) waiting += "; " + troubles;
  if (!refusal_.empty()) waiting += "; last answer: " + refusal_;
  return waiting;
}

void Cluster::TryFound() {
  const env::Env& env = home_.env();
  const auto id = base::Uuid::FromRandom(env.entropy.Next(), env.entropy.Next());
  if (!core_.TryFound(id)) return;
  log_.Log(LogLevel::kInfo, "cluster", "formed cluster {} with {} node(s)", id.ToString(),
           core_.topology()->members.size());
  document_.AdoptAndSpread();
}

void Cluster::AskToJoin() {
  if (!core_.expelled().empty()) return;
  if (core_.topology() != nullptr) return SeekMembers();
  list_.Seek({});
  for (const std::string& address : list_.Addresses()) {
    core_.OnPlace(address, list_.PlaceOf(address));
  }
  TryFound();
  if (core_.topology() != nullptr) return SeekMembers();
  std::set<std::string> addresses = core_.AskToo();
  for (std::string& other : list_.Others()) addresses.insert(std::move(other));
  for (const std::string& address : addresses) {
    asker_.Ask(address, core_.MakeJoinRequest(),
               [this](const base::Result<wire::Body>& reply) { OnJoinReply(reply); });
  }
  home_.env().timers.After(kJoinAgain, [this] { AskToJoin(); });
}

void Cluster::OnJoinReply(const base::Result<wire::Body>& reply) {
  if (!reply) return;  // asked again shortly
  const auto* join = std::get_if<wire::JoinReply>(&*reply);
  if (join == nullptr || core_.topology() != nullptr) return;
  auto changed = core_.OnJoinReply(*join);
  if (!changed) {
    if (refusal_ != changed.error().message) {
      log_.Log(LogLevel::kError, "cluster", "cannot join: {}", changed.error().message);
    }
    refusal_ = changed.error().message;
    return;
  }
  if (join->outcome.code == Code::kUnavailable) refusal_ = join->outcome.error;
  if (*changed) document_.Adopt([](const base::Status&) {});
}

// --- members that have moved -------------------------------------------------------------------

void Cluster::SeekMembers() {
  home_.env().timers.After(kSeekAgain, [this] { SeekMembers(); });
  if (!core_.expelled().empty() || !home_.view()) return;
  // An old disk, or a document from before: the address of this node is what it says itself. At
  // each look, and not at once: two nodes with one identity would outbid each other.
  if (core_.RefreshOwnAddresses()) document_.AdoptAndSpread();
  std::set<std::string> reached;
  bool all = true;
  for (const membership::Member& member : core_.topology()->members) {
    if (member.id == home_.self().id || member.given_up) continue;
    if (home_.peers().IsAlive(member.id)) reached.insert(member.peer);
    all = all && home_.peers().IsAlive(member.id);
  }
  if (all) return list_.Rest();
  list_.Seek(reached);
  TellWhoAnswers();
}

// Documents bring the new addresses, each of its own node.
void Cluster::TellWhoAnswers() {
  for (const std::string& address : list_.Others()) {
    const peers::Peers::Met met = home_.peers().MetAt(address);
    if (!met.trouble.empty() || home_.peers().IsAlive(*met.node)) continue;
    PushDocument(home_.peers().PeerAt(address));
  }
}

// --- the document ------------------------------------------------------------------------------

void Cluster::Learn(const Topology& theirs, StatusDone done) {
  auto changed = core_.OnDocument(theirs);
  if (!changed) {
    if (!core_.expelled().empty()) Expel();
    return done(Fail(changed.error()));
  }
  // Nothing to store, or a document that is not (yet) about this node.
  if (core_.topology() == nullptr || document_.Durable()) return done({});
  document_.Adopt(std::move(done));
}

void Cluster::Expel() {
  if (refusal_ == core_.expelled()) return;
  refusal_ = core_.expelled();
  changes_.Stop();
  lost_votes_.Stop();
  log_.Log(LogLevel::kError, "cluster", "{}", core_.expelled());
  ports_.expelled(core_.expelled());
  if (!expelled_before_) StoreExpulsion();
}

void Cluster::StandAside(std::string why) {
  aside_ = std::move(why);
  changes_.Stop();
  lost_votes_.Stop();
}

void Cluster::StoreExpulsion() {
  record_.PutExpulsion(core_.expelled_by(), [this](const base::Status& status) {
    if (status || engine_.health() == storage::Health::kDead) return;
    home_.env().timers.After(kRefusedAgain, [this] { StoreExpulsion(); });
  });
}

void Cluster::PushDocument(peers::PeerHandle peer) {
  if (!document_.Durable()) return;  // the heartbeats find the difference again
  home_.peers().Call(peer, wire::DocumentPush{membership::EncodeTopology(*Decided())},
                     kClusterTimeout, [this](const base::Result<wire::Body>& body) {
                       const auto* reply =
                           body ? std::get_if<wire::DocumentReply>(&*body) : nullptr;
                       if (reply == nullptr || reply->document.empty()) return;
                       auto theirs = membership::DecodeTopology(reply->document);
                       if (theirs) Learn(*theirs, [](const base::Status&) {});
                     });
}

wire::ProgressReply Cluster::Progress() const {
  wire::ProgressReply progress = ports_.streams();
  progress.fence = document_.fence();
  progress.keeps_access = true;
  return progress;
}

// --- requests ----------------------------------------------------------------------------------

void Cluster::OnRequest(wire::Body request, BodyDone done) {
  if (!aside_.empty()) return done(wire::DocumentReply{{Code::kUnavailable, aside_}, ""});
  if (auto* join = std::get_if<wire::JoinRequest>(&request)) return OnJoin(*join, std::move(done));
  if (auto* push = std::get_if<wire::DocumentPush>(&request)) {
    return OnPush(*push, std::move(done));
  }
  if (auto* step = std::get_if<wire::RegisterRequest>(&request)) {
    return register_.OnRequest(
        std::move(*step),
        [done = std::move(done)](wire::RegisterReply reply) mutable { done(std::move(reply)); });
  }
  if (std::holds_alternative<wire::ProgressRequest>(request)) return done(Progress());
  if (std::holds_alternative<wire::SealRequest>(request)) return OnSeal(std::move(done));
  done(wire::DocumentReply{{Code::kUnsupported, "unknown request"}, ""});
}

void Cluster::OnJoin(const wire::JoinRequest& request, BodyDone done) {
  auto decision = core_.OnJoinRequest(request, home_.env().clock.Now());
  if (decision.newcomer) {
    return TakeIn(std::move(*decision.newcomer), request.replaces, std::move(done));
  }
  if (decision.reply.document.empty()) {
    TryFound();  // the asker may have been the last one missing; it asks again
    return done(std::move(decision.reply));
  }
  if (document_.Durable()) return done(std::move(decision.reply));
  document_.Adopt([this, reply = std::move(decision.reply),
                   done = std::move(done)](const base::Status& status) mutable {
    if (!status) reply = {wire::Outcome::From(status.error()), "", ""};
    done(std::move(reply));
    document_.Spread([](const base::Status&) {});
  });
}

// It asks again and again: one proposal for all of that, or the line of them would grow faster than
// the members can agree.
void Cluster::TakeIn(membership::Member newcomer, std::string replaces, BodyDone done) {
  const base::Uuid id = newcomer.id;
  const auto [askers, first] = taken_in_.try_emplace(id);
  if (askers->second.size() == kAskersMax) askers->second.erase(askers->second.begin());
  askers->second.push_back(std::move(done));
  if (!first) return;
  Propose(
      [this, newcomer = std::move(newcomer), replaces = std::move(replaces)](const Topology& now) {
        return membership::AskToJoin(now, newcomer, replaces, changes_.Asked());
      },
      [this, id](const base::Result<Topology>& result) {
        wire::JoinReply reply;
        if (result) {
          reply.document = membership::EncodeTopology(*result);
        } else {
          reply.outcome = wire::Outcome::From(result.error());
          // A removed identity has to hear it from the document.
          if (Decided() != nullptr && Decided()->FindRemoved(id) != nullptr) {
            reply.document = membership::EncodeTopology(*Decided());
          }
        }
        auto waiting = taken_in_.extract(id);
        for (BodyDone& each : waiting.mapped()) each(reply);
      });
}

void Cluster::OnPush(const wire::DocumentPush& push, BodyDone done) {
  auto theirs = membership::DecodeTopology(push.document);
  if (!theirs) {
    return done(wire::DocumentReply{
        {Code::kInvalidArgument, membership::WhyUnreadable(push.document)}, ""});
  }
  Learn(*theirs,
        [this, sent = push.document, done = std::move(done)](const base::Status& status) mutable {
          wire::DocumentReply reply;
          if (!status) reply.outcome = wire::Outcome::From(status.error());
          if (Decided() != nullptr) {
            std::string mine = membership::EncodeTopology(*Decided());
            if (mine != sent) reply.document = std::move(mine);
          }
          done(std::move(reply));
        });
}

void Cluster::OnSeal(BodyDone done) {
  Seal([this, done = std::move(done)](const base::Status& status) mutable {
    wire::JoinReply reply;
    if (!status) {
      reply.outcome = wire::Outcome::From(status.error());
    } else {
      reply.document = membership::EncodeTopology(*core_.topology());
    }
    done(std::move(reply));
  });
}

void Cluster::Seal(StatusDone done) {
  const Topology* topology = core_.topology();
  if (topology == nullptr) return done(Fail(Code::kUnavailable, WaitingFor()));
  if (topology->sealed && document_.Durable()) return done({});
  if (topology->sealed || core_.IsFounder()) {
    if (!topology->sealed) core_.Seal();
    return document_.AdoptAndSpread(std::move(done));
  }
  const auto founder = home_.peers().PeerOf(topology->founder);
  if (!founder) return done(Fail(Code::kUnavailable, "the cluster's founder is not known yet"));
  home_.peers().Call(
      *founder, wire::SealRequest{}, kClusterTimeout,
      [this, done = std::move(done)](base::Result<wire::Body> body) mutable {
        const auto* reply = body ? std::get_if<wire::JoinReply>(&*body) : nullptr;
        if (reply == nullptr || !reply->outcome.ok()) {
          return done(Fail(Code::kUnavailable,
                           "the cluster's founder has to be reached before the first write"));
        }
        auto sealed = membership::DecodeTopology(reply->document);
        if (!sealed) return done(Fail(Code::kInternal, "malformed topology document"));
        Learn(*sealed, std::move(done));
      });
}

// --- changes -----------------------------------------------------------------------------------

void Cluster::Propose(Changes::Edit edit, Changes::Done done) {
  if (!core_.expelled().empty()) return done(Fail(Code::kConflict, core_.expelled()));
  if (!aside_.empty()) return done(Fail(Code::kUnavailable, aside_));
  Seal([this, edit = std::move(edit), done = std::move(done)](const base::Status& status) mutable {
    if (!status) return done(Fail(status.error()));
    changes_.Propose(
        std::move(edit), [this, done = std::move(done)](base::Result<Topology> result) mutable {
          if (!result || !core_.expelled().empty()) return done(std::move(result));
          document_.Spread([done = std::move(done), result = std::move(result)](
                               const base::Status&) mutable { done(std::move(result)); });
        });
  });
}

void Cluster::SetAccess(Changes::Edit edit, Changes::Done done) {
  if (!home_.view()) return done(Fail(Code::kUnavailable, WaitingFor()));
  const base::Gather<std::string> gather(
      "", [this, edit = std::move(edit), done = std::move(done)](const std::string& loses) mutable {
        if (loses.empty()) return Propose(std::move(edit), std::move(done));
        done(Fail(Code::kConflict, "node '" + loses +
                                       "' runs an earlier build, which would lose users and roles; "
                                       "nothing was changed: update all nodes first"));
      });
  for (const membership::Member& member : home_.view()->topology.members) {
    const auto peer = home_.peers().PeerOf(member.id);
    if (!peer || member.id == home_.self().id || !home_.peers().IsAlive(member.id)) continue;
    gather.Expect();
    home_.peers().Call(*peer, wire::ProgressRequest{}, kClusterTimeout,
                       [gather, name = member.name](const base::Result<wire::Body>& body) {
                         const auto* reply =
                             body ? std::get_if<wire::ProgressReply>(&*body) : nullptr;
                         if (reply != nullptr && !reply->keeps_access) *gather = name;
                         gather.Arrive();
                       });
  }
  gather.Arrive();
}

void Cluster::SetBucket(membership::BucketProperties bucket, StatusDone done) {
  bucket.editor = home_.self().id.high;
  Propose([this, bucket = std::move(bucket)](
              const Topology& now) { return membership::SetBucket(now, bucket, changes_.Asked()); },
          [done = std::move(done)](const base::Result<Topology>& result) mutable {
            if (!result) return done(Fail(result.error()));
            done({});
          });
}

}  // namespace lariat::topology

// SPDX-License-Identifier: Apache-2.0
#include "topology/topology_register.h"

#include <algorithm>
#include <map>
#include <utility>

#include "consensus/proposer_core.h"

namespace lariat::topology {

using base::Code;
using base::Fail;
using consensus::ProposerCore;

namespace {

constexpr base::Duration kStepTimeout = base::Seconds(1);
constexpr base::Duration kAttemptTimeout = base::Seconds(5);
// A voter that has just come back is reached again after peer.backoff_max_ms at most (2 s unless
// set otherwise), and is asked again until then; so long does it take to say that too few are left.
constexpr base::Duration kAskAgainFor = base::Millis(2500);
constexpr base::Duration kAskAgainAfter = base::Millis(50);
constexpr uint64_t kBackOffMs = 30;  // longest wait after the first conflict; grows with each

// A build that does not know of users leaves them out of what it proposes.
bool Loses(const membership::Topology& before, const std::string& proposal) {
  if (!before.access) return false;
  const auto after = membership::DecodeTopology(proposal);
  return !after || !after->access;
}

}  // namespace

TopologyRegister::TopologyRegister(peers::Home& home, TopologyRecord& record, Ports ports,
                                   TopologyRecord::Votes votes)
    : home_(home),
      record_(record),
      ports_(std::move(ports)),
      epoch_(votes.epoch),
      acceptor_(std::move(votes.state)),
      ballots_(home.self().id.high, home.env().entropy.Next() | 1) {}

// --- acceptor ----------------------------------------------------------------------------------

void TopologyRegister::OnRequest(wire::RegisterRequest request, ReplyDone done) {
  const membership::Topology* decided = ports_.decided();
  const bool behind = decided == nullptr || decided->epoch + 1 < request.epoch || !decided->sealed;
  if (!behind) return Accept(std::move(request), std::move(done));
  auto base = membership::DecodeTopology(request.base);
  if (!base || base->epoch + 1 != request.epoch) {
    wire::RegisterReply reply;
    reply.outcome = {Code::kInvalidArgument, "a proposal without the document it builds on"};
    return done(std::move(reply));
  }
  ports_.learn(*base, [this, request = std::move(request),
                       done = std::move(done)](const base::Status& status) mutable {
    if (status) return Accept(std::move(request), std::move(done));
    wire::RegisterReply reply;
    reply.outcome = wire::Outcome::From(status.error());
    done(std::move(reply));
  });
}

void TopologyRegister::Accept(wire::RegisterRequest request, ReplyDone done) {
  wire::RegisterReply reply;
  const membership::Topology* decided = ports_.decided();
  if (decided != nullptr && decided->epoch >= request.epoch) {
    reply.decided = membership::EncodeTopology(*decided);
    return done(std::move(reply));
  }
  if (decided == nullptr || decided->epoch + 1 != request.epoch) {
    reply.outcome = {Code::kUnavailable, "this node lacks the document before"};
    return done(std::move(reply));
  }
  if (std::string why = ports_.why_not(request); !why.empty()) {
    reply.outcome = {Code::kUnavailable, std::move(why)};
    return done(std::move(reply));
  }
  if (request.accept && Loses(*decided, request.value)) {
    reply.outcome = {Code::kConflict,
                     "the proposal would lose users and roles: who made it runs an "
                     "earlier build"};
    return done(std::move(reply));
  }
  if (request.epoch < epoch_) {  // never, unless documents were lost that votes were not
    reply.outcome = {Code::kUnavailable, "this node has voted on a later document"};
    return done(std::move(reply));
  }
  if (epoch_ != request.epoch) {
    epoch_ = request.epoch;
    acceptor_ = consensus::Acceptor();
  }
  if (request.accept) {
    const auto said = acceptor_.OnAccept({request.ballot, std::move(request.value), {}});
    reply.ok = said.ok;
    reply.seen = said.seen;
  } else {
    auto said = acceptor_.OnPrepare(request.ballot);
    reply.ok = said.ok;
    reply.seen = said.seen;
    reply.accepted = said.accepted;
    if (said.value) reply.value = std::move(*said.value);
  }
  // Also when nothing changed: the change that the answer rests on may be on its way to the disk.
  record_.PutVotes(
      epoch_, acceptor_.state(),
      [done = std::move(done), reply = std::move(reply)](const base::Status& status) mutable {
        if (status) return done(std::move(reply));
        done({wire::Outcome::From(status.error()), false, {}, {}, "", ""});
      });
}

// --- proposer ----------------------------------------------------------------------------------

// Held alive by the calls and timers that it has given out.
class TopologyRegister::Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(TopologyRegister& owner, const membership::Topology& base, std::string proposal,
          Decided done)
      : owner_(owner),
        epoch_(base.epoch + 1),
        base_(membership::EncodeTopology(base)),
        voters_(base.Voters()),
        core_({voters_.size(), 0, 16, false}, &owner.ballots_,
              [proposal = std::move(proposal)](
                  std::optional<std::string_view> current) -> std::optional<std::string> {
                if (current) return std::nullopt;
                return proposal;
              }),
        done_(std::move(done)) {
    for (const base::Uuid& voter : voters_) names_.push_back(base.Find(voter)->name);
  }

  void Start() {
    ask_again_until_ = owner_.home_.env().clock.Now() + kAskAgainFor;
    owner_.home_.env().timers.After(
        kAttemptTimeout, [self = shared_from_this()] { self->Run(self->core_.OnTimeout()); });
    Run(core_.Start());
  }

 private:
  void Run(const ProposerCore::Actions& actions) {
    for (const ProposerCore::Action& action : actions) {
      switch (action.kind) {
        case ProposerCore::ActionKind::kPrepare:
        case ProposerCore::ActionKind::kAccept:
          Send(action);
          break;
        case ProposerCore::ActionKind::kBackOff:
          BackOff(action.attempt);
          break;
        case ProposerCore::ActionKind::kFinish:
          Finish();
          break;
      }
    }
  }

  void Send(const ProposerCore::Action& action) {
    wire::RegisterRequest request;
    request.accept = action.kind == ProposerCore::ActionKind::kAccept;
    request.epoch = epoch_;
    request.base = base_;
    request.ballot = action.ballot;
    if (request.accept) {
      request.ballot = core_.proposal().ballot;
      request.value = core_.proposal().value.value_or("");
    }
    Ask(action, std::move(request));
  }

  void Ask(const ProposerCore::Action& action, wire::RegisterRequest request) {
    auto answered = [self = shared_from_this(), action,
                     ballot = request.ballot](wire::RegisterReply reply) {
      self->OnReply(action, ballot, std::move(reply));
    };
    const base::Uuid& voter = voters_[action.acceptor];
    if (voter == owner_.home_.self().id) {
      return owner_.OnRequest(std::move(request), std::move(answered));
    }
    const auto peer = owner_.home_.peers().PeerOf(voter);
    if (!peer) return Fail(action, "");
    owner_.home_.peers().Call(
        *peer, request, kStepTimeout,
        [self = shared_from_this(), action, request,
         answered = std::move(answered)](base::Result<wire::Body> body) mutable {
          auto* reply = body ? std::get_if<wire::RegisterReply>(&*body) : nullptr;
          if (reply == nullptr) return self->AskAgain(action, std::move(request));
          answered(std::move(*reply));
        });
  }

  // The same question again is no harm: an acceptor answers it as it did before.
  void AskAgain(const ProposerCore::Action& action, wire::RegisterRequest request) {
    if (owner_.home_.env().clock.Now() >= ask_again_until_) return Fail(action, "");
    owner_.home_.env().timers.After(kAskAgainAfter, [self = shared_from_this(), action,
                                                     request = std::move(request)]() mutable {
      if (self->done_) self->Ask(action, std::move(request));
    });
  }

  // Later, since the core is not to be called from within its own actions.
  void Fail(const ProposerCore::Action& action, const std::string& why) {
    if (!why.empty()) refusals_[names_[action.acceptor]] = why;
    owner_.home_.Post(
        [self = shared_from_this(), action] { self->Run(self->core_.OnFailure(action)); });
  }

  void OnReply(const ProposerCore::Action& action, const consensus::Ballot& ballot,
               wire::RegisterReply reply) {
    if (!done_) return;
    if (!reply.outcome.ok()) return Fail(action, reply.outcome.error);
    if (!reply.decided.empty()) return Learn(std::move(reply.decided));
    if (action.kind == ProposerCore::ActionKind::kAccept) {
      consensus::AcceptReply said{reply.ok, false, ballot, reply.seen, false};
      return Later([said](ProposerCore& core, size_t i) { return core.OnAcceptReply(i, said); },
                   action.acceptor);
    }
    consensus::PrepareReply said{reply.ok, false, ballot, reply.seen, reply.accepted, std::nullopt};
    if (!reply.accepted.IsZero()) said.value = std::move(reply.value);
    Later([said = std::move(said)](ProposerCore& core,
                                   size_t i) { return core.OnPrepareReply(i, said); },
          action.acceptor);
  }

  template <typename Use>
  void Later(Use use, size_t acceptor) {
    owner_.home_.Post([self = shared_from_this(), use = std::move(use), acceptor] {
      self->Run(use(self->core_, acceptor));
    });
  }

  void BackOff(uint32_t attempt) {
    const uint64_t ms = 1 + owner_.home_.env().entropy.Next() % (kBackOffMs * attempt);
    owner_.home_.env().timers.After(
        base::Millis(static_cast<int64_t>(ms)),
        [self = shared_from_this()] { self->Run(self->core_.OnBackedOff()); });
  }

  void Finish() {
    if (!done_) return;
    ProposerCore::Result result = core_.TakeResult();
    const bool known = result.outcome == ProposerCore::Outcome::kDecided ||
                       result.outcome == ProposerCore::Outcome::kRefused || result.confirmed;
    if (known && result.value) return Learn(std::move(*result.value));
    const bool unknown = result.outcome == ProposerCore::Outcome::kUnknown;
    std::exchange(done_, nullptr)(
        base::Fail(unknown ? Code::kUnknown : Code::kUnavailable,
                   (unknown ? "it is not known whether a majority of the members agreed: "
                            : "a majority of the members has to agree and cannot be reached: ") +
                       result.error.message + Refusals()));
  }

  std::string Refusals() const {
    std::string text;
    for (const auto& [name, why] : refusals_) text += "; node '" + name + "' does not vote: " + why;
    return text;
  }

  void Learn(std::string document) {
    auto topology = membership::DecodeTopology(document);
    if (!topology) {
      return std::exchange(done_, nullptr)(
          base::Fail(Code::kInternal, "the members agreed on a malformed document"));
    }
    owner_.ports_.learn(*topology,
                        [done = std::exchange(done_, nullptr),
                         document = std::move(document)](const base::Status& status) mutable {
                          if (!status) return done(base::Fail(status.error()));
                          done(std::move(document));
                        });
  }

  TopologyRegister& owner_;
  uint64_t epoch_;
  std::string base_;
  std::vector<base::Uuid> voters_;
  std::vector<std::string> names_;  // of the voters
  std::map<std::string, std::string> refusals_;
  base::Instant ask_again_until_{};
  ProposerCore core_;
  Decided done_;
};

void TopologyRegister::Decide(const membership::Topology& base, std::string proposal,
                              Decided done) {
  std::make_shared<Attempt>(*this, base, std::move(proposal), std::move(done))->Start();
}

}  // namespace lariat::topology

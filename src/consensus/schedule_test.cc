// SPDX-License-Identifier: Apache-2.0
// Random schedules of one register against a checker that knows nothing of ballots.
//
// Every change appends its own letter, so a value is its own history: "bda" was made by b, then d,
// then a. The register is linearizable if the values that were answered are all beginnings of the
// last one (one chain, no version with two successors, nothing acknowledged lost), no letter comes
// twice, what definitely was not applied never shows, and who started after another's end saw at
// least as much.
//
// A schedule has 3 to 5 acceptors and 2 to 3 proposers with several operations at a time. Messages
// lie in a bag and are drawn in any order: lost, late or twice. An acceptor answers after its store
// and forgets in a crash what was not stored; a proposer restarts with a new incarnation.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <variant>

#include "base/prng.h"
#include "consensus/proposer_core.h"

namespace lariat::consensus {
namespace {

using Kind = ProposerCore::ActionKind;
using Outcome = ProposerCore::Outcome;

// Bugs to plant: a checker is trusted only after it has failed.
enum class Bug {
  kNone,
  kForgetsPromise,
  kRepliesBeforeStore,
  kAcceptsBelowPromise,
  kPicksFirst,
  kNoReaccept,
  kOldIncarnation
};

enum class OpKind : uint8_t { kAppend, kAppendAtLength, kRead, kSame };

struct Op {
  OpKind kind = OpKind::kAppend;
  char letter = 0;
  size_t expected_length = 0;
  size_t node = 0;
  uint64_t started = 0;
  uint64_t ended = 0;  // 0: still runs, or its proposer died
  bool dead = false;
  bool refused = false;
  Ballot first_ballot;  // kPicksFirst: the attempt that has heard of a value
  std::unique_ptr<ProposerCore> core;
  ProposerCore::Result result;

  bool Running() const { return !dead && ended == 0; }
  bool Confirmed() const { return ended != 0 && result.confirmed; }
  size_t Seen() const { return result.value.value_or("").size(); }
};

using AnyReply = std::variant<PrepareReply, AcceptReply>;

struct Stored {
  size_t op;
  AcceptorState state;
  AnyReply reply;
};

struct AcceptorNode {
  Acceptor live;
  AcceptorState durable;
  std::deque<Stored> storing;
};

struct ProposerNode {
  uint64_t incarnation = 1;
  std::unique_ptr<BallotSource> ballots;
  ProposerCache cache;
};

struct Event {
  enum class Type : uint8_t { kRequest, kStore, kReply, kFailure, kBackedOff } type;
  size_t op = 0;
  size_t acceptor = 0;
  ProposerCore::Action action{};
  Proposal proposal{};
  AnyReply reply{};
};

struct Tally {
  std::array<uint64_t, 4> outcomes{};
  uint64_t confirmed_unknown = 0;
  uint64_t cached = 0;
  uint64_t retried = 0;
};

class Schedule {
 public:
  Schedule(uint64_t seed, Bug bug, Tally* tally) : prng_(seed), bug_(bug), tally_(tally) {
    acceptors_.resize(3 + prng_.Below(3));
    nodes_.resize(2 + prng_.Below(2));
    for (size_t i = 0; i < nodes_.size(); ++i) Restart(i);
    ops_.reserve(kOps);
    loss_ = prng_.Unit() * 0.2;
    repeat_ = prng_.Unit() * 0.2;
    crash_ = prng_.Unit() * 0.03;
  }

  // What is wrong, or nothing.
  std::string Run() {
    while (Step()) {
    }
    ReadAtEnd();
    return Check();
  }

 private:
  static constexpr size_t kOps = 9;

  bool Step() {
    ++now_;
    if (prng_.Chance(crash_)) Crash(&acceptors_[prng_.Below(acceptors_.size())]);
    if (prng_.Chance(crash_ / 2)) KillProposer(prng_.Below(nodes_.size()));
    if (!ops_.empty() && prng_.Chance(0.004)) TimeOut(prng_.Below(ops_.size()));
    if (ops_.size() < kOps && (bag_.empty() || prng_.Chance(0.06))) return StartOp();
    if (!bag_.empty()) return Draw();
    for (size_t i = 0; i < ops_.size(); ++i) TimeOut(i);
    return !bag_.empty() || ops_.size() < kOps;
  }

  bool StartOp() {
    const size_t index = ops_.size();
    Op& op = ops_.emplace_back();
    op.kind = static_cast<OpKind>(prng_.Below(4));
    op.letter = static_cast<char>('a' + index);
    op.expected_length = prng_.Below(4);
    op.node = prng_.Below(nodes_.size());
    op.started = now_;
    ProposerNode& node = nodes_[op.node];
    ProposerCache cache;
    if (prng_.Chance(0.8)) cache = std::move(node.cache);
    if (!cache.empty()) ++tally_->cached;
    ProposerCore::Options options{.acceptors = acceptors_.size(), .attempts_max = 4};
    options.ask_next = prng_.Chance(0.5);
    auto change = [&op](std::optional<std::string_view> current) { return ChangeOf(&op, current); };
    op.core = std::make_unique<ProposerCore>(options, node.ballots.get(), change, std::move(cache));
    Perform(index, op.core->Start());
    return true;
  }

  static std::optional<std::string> ChangeOf(Op* op, std::optional<std::string_view> current) {
    std::optional<std::string> next;
    const std::string held(current.value_or(""));
    if (op->kind == OpKind::kAppend) next = held + op->letter;
    if (op->kind == OpKind::kAppendAtLength && held.size() == op->expected_length) {
      next = held + op->letter;
    }
    if (op->kind == OpKind::kSame && current) next = held;
    op->refused = !next.has_value();
    return next;
  }

  void Perform(size_t index, const ProposerCore::Actions& actions) {
    Op& op = ops_[index];
    for (const ProposerCore::Action& action : actions) {
      if (action.kind == Kind::kFinish) return End(index, op.core->TakeResult());
      if (action.kind == Kind::kBackOff) {
        ++tally_->retried;
        bag_.push_back({.type = Event::Type::kBackedOff, .op = index});
        continue;
      }
      Event event{.type = Event::Type::kRequest,
                  .op = index,
                  .acceptor = action.acceptor,
                  .action = action};
      if (action.kind == Kind::kAccept) event.proposal = op.core->proposal();
      bag_.push_back(std::move(event));
    }
    const bool accepts = !actions.empty() && actions.front().kind == Kind::kAccept;
    if (bug_ == Bug::kNoReaccept && accepts && op.refused) {
      ProposerCore::Result early;
      early.outcome = Outcome::kRefused;
      early.confirmed = true;
      early.value = op.core->proposal().value;
      bag_.resize(bag_.size() - actions.size());
      End(index, std::move(early));
    }
  }

  void End(size_t index, ProposerCore::Result result) {
    Op& op = ops_[index];
    op.ended = ++now_;
    op.result = std::move(result);
    nodes_[op.node].cache = std::move(op.result.cache);
    ++tally_->outcomes[static_cast<size_t>(op.result.outcome)];
    if (op.result.outcome == Outcome::kUnknown && op.result.confirmed) ++tally_->confirmed_unknown;
  }

  bool Draw() {
    const size_t at = prng_.Below(bag_.size());
    std::swap(bag_[at], bag_.back());
    Event event = std::move(bag_.back());
    bag_.pop_back();
    using Type = Event::Type;
    const bool message = event.type == Type::kRequest || event.type == Type::kReply;
    if (message && prng_.Chance(repeat_)) bag_.push_back(event);
    if (event.type == Type::kRequest && prng_.Chance(loss_)) {
      bag_.push_back({.type = Type::kFailure, .op = event.op, .action = event.action});
      if (prng_.Chance(0.8)) return true;  // or the failure is reported and it arrives all the same
    }
    if (event.type == Type::kReply && prng_.Chance(loss_)) return true;
    Deliver(event);
    return true;
  }

  void Deliver(const Event& event) {
    if (event.type == Event::Type::kRequest) return Serve(event);
    if (event.type == Event::Type::kStore) return FinishStore(event.acceptor);
    Op& op = ops_[event.op];
    if (!op.Running()) return;
    if (event.type == Event::Type::kFailure) Perform(event.op, op.core->OnFailure(event.action));
    if (event.type == Event::Type::kBackedOff) Perform(event.op, op.core->OnBackedOff());
    if (event.type != Event::Type::kReply) return;
    if (const auto* accepted = std::get_if<AcceptReply>(&event.reply)) {
      return Perform(event.op, op.core->OnAcceptReply(event.acceptor, *accepted));
    }
    PrepareReply promise = std::get<PrepareReply>(event.reply);
    if (bug_ == Bug::kPicksFirst) HideAllButFirst(&op, &promise);
    Perform(event.op, op.core->OnPrepareReply(event.acceptor, promise));
  }

  static void HideAllButFirst(Op* op, PrepareReply* promise) {
    if (promise->accepted.IsZero()) return;
    if (op->first_ballot == promise->ballot) {
      promise->accepted = Ballot{};
      promise->value.reset();
    }
    op->first_ballot = promise->ballot;
  }

  void Serve(const Event& event) {
    AcceptorNode& node = acceptors_[event.acceptor];
    AnyReply reply;
    if (event.action.kind == Kind::kPrepare) {
      reply = node.live.OnPrepare(event.action.ballot);
    } else {
      const AcceptorState before = node.live.state();
      const Ballot& ballot = event.proposal.ballot;
      const bool lie =
          bug_ == Bug::kAcceptsBelowPromise && ballot < before.promised && ballot > before.accepted;
      if (lie) node.live = Acceptor({ballot, before.accepted, before.value});
      reply = node.live.OnAccept(event.proposal);
      AcceptorState after = node.live.state();
      after.promised = std::max(after.promised, before.promised);
      if (lie) node.live = Acceptor(after);
    }
    if (bug_ == Bug::kRepliesBeforeStore) {
      bag_.push_back({.type = Event::Type::kReply,
                      .op = event.op,
                      .acceptor = event.acceptor,
                      .reply = reply});
    }
    node.storing.push_back({event.op, node.live.state(), std::move(reply)});
    bag_.push_back({.type = Event::Type::kStore, .acceptor = event.acceptor});
  }

  void FinishStore(size_t acceptor) {
    AcceptorNode& node = acceptors_[acceptor];
    if (node.storing.empty()) return;  // it crashed since
    Stored stored = std::move(node.storing.front());
    node.storing.pop_front();
    node.durable = std::move(stored.state);
    if (bug_ == Bug::kRepliesBeforeStore) return;
    bag_.push_back({.type = Event::Type::kReply,
                    .op = stored.op,
                    .acceptor = acceptor,
                    .reply = std::move(stored.reply)});
  }

  void Crash(AcceptorNode* node) {
    node->storing.clear();
    std::string bytes;
    node->durable.EncodeTo(&bytes);
    AcceptorState state = AcceptorState::Decode(bytes).value();
    if (bug_ == Bug::kForgetsPromise) state.promised = state.accepted;
    node->live = Acceptor(std::move(state));
  }

  void Restart(size_t node) {
    ProposerNode& n = nodes_[node];
    n.ballots = std::make_unique<BallotSource>(node + 1, n.incarnation);
    n.cache = ProposerCache();
  }

  void KillProposer(size_t node) {
    for (Op& op : ops_) {
      if (op.node == node && op.Running()) op.dead = true;
    }
    if (bug_ != Bug::kOldIncarnation) ++nodes_[node].incarnation;
    Restart(node);
  }

  void TimeOut(size_t index) {
    if (ops_[index].Running()) Perform(index, ops_[index].core->OnTimeout());
  }

  void ReadAtEnd() {
    BallotSource ballots(99, 1);
    ProposerCore::Options options{.acceptors = acceptors_.size(), .attempts_max = 1000};
    ProposerCore core(options, &ballots, ReadOnly);
    std::deque<ProposerCore::Action> todo;
    const auto add = [&todo](const ProposerCore::Actions& actions) {
      todo.insert(todo.end(), actions.begin(), actions.end());
    };
    add(core.Start());
    while (!core.finished()) {
      const ProposerCore::Action action = todo.front();
      todo.pop_front();
      Acceptor& acceptor = acceptors_[action.acceptor].live;
      if (action.kind == Kind::kPrepare) {
        add(core.OnPrepareReply(action.acceptor, acceptor.OnPrepare(action.ballot)));
      } else if (action.kind == Kind::kAccept) {
        add(core.OnAcceptReply(action.acceptor, acceptor.OnAccept(core.proposal())));
      } else {
        add(core.OnBackedOff());
      }
    }
    last_ = core.result().value.value_or("");
  }

  bool InLast(char letter) const { return last_.find(letter) != std::string::npos; }

  std::string Check() const {
    for (const Op& op : ops_) {
      if (std::count(last_.begin(), last_.end(), op.letter) > 1) return "a change came twice";
      const size_t at = last_.find(op.letter);
      if (at == std::string::npos) continue;
      if (op.kind == OpKind::kRead || op.kind == OpKind::kSame) return "a read changed it";
      if (op.kind == OpKind::kAppendAtLength && at != op.expected_length) return "blind CAS";
    }
    for (const Op& op : ops_) {
      if (op.ended == 0) continue;
      std::string wrong = CheckAnswer(op);
      if (!wrong.empty()) return wrong;
    }
    return "";
  }

  std::string CheckAnswer(const Op& op) const {
    const std::string value = op.result.value.value_or("");
    const Outcome outcome = op.result.outcome;
    if (op.result.confirmed && !last_.starts_with(value)) return "two chains";
    const bool applied = InLast(op.letter);
    const bool has_letter = value.find(op.letter) != std::string::npos;
    if (outcome == Outcome::kDecided && op.result.changed && value.back() != op.letter) {
      return "not the own change";
    }
    const bool may_show = outcome == Outcome::kUnknown || op.result.changed;
    if (applied && !may_show) return "applied though it was denied";
    if (op.result.confirmed && applied != has_letter) return "the answer was not final";
    if (op.result.error.code == base::Code::kCorruption) return "a ballot stands for two values";
    const bool lost_cas = op.kind == OpKind::kAppendAtLength && outcome == Outcome::kRefused;
    if (lost_cas && value.size() == op.expected_length) return "refused without a reason";
    for (const Op& before : ops_) {
      if (!before.Confirmed() || !op.Confirmed() || before.ended >= op.started) continue;
      if (before.Seen() > op.Seen()) return "went back in time";
      if (op.result.changed && before.Seen() == op.Seen()) return "a change shows no step";
    }
    return "";
  }

  base::Prng prng_;
  Bug bug_;
  Tally* tally_;
  std::vector<AcceptorNode> acceptors_;
  std::vector<ProposerNode> nodes_;
  std::vector<Op> ops_;
  std::vector<Event> bag_;
  double loss_ = 0;
  double repeat_ = 0;
  double crash_ = 0;
  uint64_t now_ = 0;
  std::string last_;
};

constexpr uint64_t kSchedules = 25000;

// Guards M31, M32: 25,000 schedules.
TEST(Schedule, EveryRegisterIsLinearizable) {
  Tally tally;
  for (uint64_t seed = 1; seed <= kSchedules; ++seed) {
    const std::string wrong = Schedule(seed, Bug::kNone, &tally).Run();
    ASSERT_EQ(wrong, "") << "seed " << seed;
  }
  // The schedules are worth something only if they reach everything.
  for (const uint64_t count : tally.outcomes) EXPECT_GT(count, kSchedules / 20);
  EXPECT_GT(tally.confirmed_unknown, kSchedules / 100);
  EXPECT_GT(tally.cached, kSchedules / 20);
  EXPECT_GT(tally.retried, kSchedules / 2);
}

class PlantedBug : public testing::TestWithParam<Bug> {};

// Guards M32, M45: 6 mutants.
TEST_P(PlantedBug, IsFound) {
  Tally tally;
  for (uint64_t seed = 1; seed <= kSchedules; ++seed) {
    const std::string wrong = Schedule(seed, GetParam(), &tally).Run();
    if (wrong.empty()) continue;
    RecordProperty("seed", std::to_string(seed));
    RecordProperty("found", wrong);
    return;
  }
  FAIL() << "the checker is blind to bug " << static_cast<int>(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Schedule, PlantedBug,
                         testing::Values(Bug::kForgetsPromise, Bug::kRepliesBeforeStore,
                                         Bug::kAcceptsBelowPromise, Bug::kPicksFirst,
                                         Bug::kNoReaccept, Bug::kOldIncarnation));

}  // namespace
}  // namespace lariat::consensus

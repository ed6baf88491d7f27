// SPDX-License-Identifier: Apache-2.0
// Random schedules of one register (kind lww) against a checker that knows nothing of stamps.
//
// Every write has a value of its own. A history of such writes and of reads is linearizable if,
// taking each value's operations together, from its first answer to its last beginning the register
// has that value, and no two values claim the same time (Gibbons and Korach, "Testing Shared
// Memories", 1997). A write whose outcome is unknown may take effect at any later time, or never.
//
// A schedule has 3 or 5 replicas, whose clocks are apart; each coordinates writes and reads,
// several at a time. Most messages are quick and some very late, so they come in any order; some
// are lost, some come twice. A replica answers after its sync, and forgets in a crash what was not
// synced, and what it remembers.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <optional>
#include <variant>

#include "base/prng.h"
#include "coordinator/get_core.h"
#include "coordinator/put_core.h"
#include "replica/registers/register_watch.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using causal::RegisterId;
using causal::Standing;
using replica::RegisterWatch;

// Bugs to plant: a checker is trusted only after it has failed.
enum class Bug {
  kNone,
  kGreaterUntold,      // replicas never tell of a greater one
  kComingIsHeld,       // what came a second time passes for held
  kRestampsUnproven,   // a write is restamped whoever may have read it
  kShownUnnoticed,     // what a coordinator has shown, it says it has not
  kReadCountsAnybody,  // a read counts replicas that were overtaken as holders
};

constexpr base::WallTime kNow{1'000'000};
constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kKey = 7;

struct Register {
  RegisterId id;
  int token = -1;
};

struct Op {
  bool is_read = false;
  int token = -1;  // of a read: what it returned
  size_t node = 0;
  uint64_t started = 0;
  uint64_t ended = kNever;
  bool running = true;
  bool done = false;
  std::unique_ptr<PutCore> put;
  std::unique_ptr<GetCore> get;
  Register value;      // as it was sent last
  uint32_t round = 0;  // of a read: how often it has begun
  int rounds_left = 20;
};

struct Node {
  Register live, durable;
  uint64_t versions = 0, durable_version = 0;
  uint64_t life = 0;
  uint64_t clock = 0;
  uint64_t skew = 0;
  std::optional<RegisterWatch> watch;
  std::vector<RegisterId> came;  // kComingIsHeld
};

struct Event {
  enum class Type : uint8_t { kWrite, kRead, kSync, kReply } type = Type::kWrite;
  enum class About : uint8_t { kWrite, kWriteBack, kRead, kOwn, kRestamp } about = About::kWrite;
  size_t op = 0;
  size_t node = 0;
  uint32_t round = 0;
  Register value;
  bool digest_only = false;
  uint64_t version = 0, life = 0;  // kSync
  uint64_t due = 0;
  Standing standing = Standing::kHeld;
  causal::HlcStamp greater;
};

struct Tally {
  uint64_t writes_done = 0, writes_unknown = 0, reads_done = 0, restamped = 0, shown = 0,
           overtaken_reads = 0;
};

std::string EncodedOf(const Register& value) {
  causal::Object object(causal::Kind::kLww);
  object.lww()->stamp = value.id.stamp;
  object.lww()->node = value.id.node;
  object.lww()->value.bytes = std::to_string(value.token);
  return object.Encode();
}

Register Decoded(const std::string& bytes) {
  const auto object = causal::Object::Decode(bytes).value();
  return {object.lww()->Id(), std::stoi(object.lww()->value.bytes)};
}

struct Quorums {
  uint32_t n, r, w;
};
// R + W > N, 2W > N and 2R > N.
constexpr Quorums kQuorums[] = {{3, 2, 2}, {3, 2, 2}, {3, 2, 3}, {3, 3, 2},
                                {5, 3, 3}, {5, 3, 4}, {5, 4, 3}};

class Schedule {
 public:
  Schedule(uint64_t seed, Bug bug, Tally* tally) : prng_(seed), bug_(bug), tally_(tally) {
    quorums_ = kQuorums[prng_.Below(std::size(kQuorums))];
    const bool small = prng_.Chance(0.3);
    ring_ = small ? 1 + prng_.Below(3) : 100;
    nodes_.resize(quorums_.n);
    for (Node& node : nodes_) {
      node.skew = prng_.Below(400);
      node.watch.emplace(causal::HlcStamp{}, ring_);
    }
    loss_ = prng_.Chance(0.5) ? 0 : prng_.Unit() * 0.3;
    repeat_ = prng_.Chance(0.5) ? 0 : prng_.Unit() * 0.3;
    crash_ = prng_.Chance(0.6) ? 0 : prng_.Unit() * 0.02;
    pace_ = 0.02 + prng_.Unit() * 0.2;
    late_ = prng_.Unit() * 0.3;
    ops_.reserve(kOps);
  }

  std::string Run() {
    while (Step()) {
    }
    return Check();
  }

 private:
  static constexpr size_t kOps = 14;

  bool Step() {
    ++now_;
    if (prng_.Chance(crash_)) Crash(prng_.Below(nodes_.size()));
    if (!ops_.empty() && prng_.Chance(0.002)) TimeOut(prng_.Below(ops_.size()));
    if (ops_.size() < kOps && (bag_.empty() || prng_.Chance(pace_))) {
      StartOp();
      return true;
    }
    if (!bag_.empty()) {
      DeliverNext();
      return true;
    }
    for (size_t i = 0; i < ops_.size(); ++i) TimeOut(i);
    return !bag_.empty() || ops_.size() < kOps;
  }

  void Post(Event event) {
    const bool late = prng_.Chance(late_);
    event.due = now_ + 1 + prng_.Below(late ? 300 : 8);
    bag_.push_back(event);
  }

  // --- operations ---

  void StartOp() {
    const size_t index = ops_.size();
    Op& op = ops_.emplace_back();
    op.is_read = prng_.Chance(0.55);
    op.node = prng_.Below(nodes_.size());
    op.started = now_;
    if (op.is_read) return StartRead(index);
    op.token = static_cast<int>(index);
    const uint32_t n = quorums_.n;
    PutCore::Options options{.lists = {{quorums_.w}}, .self = op.node};
    options.lists[0].held = std::max(n - quorums_.w + 1, n - quorums_.r + 1);
    options.lists[0].unread = bug_ == Bug::kRestampsUnproven ? 0 : n - quorums_.r + 1;
    op.put = std::make_unique<PutCore>(options, std::vector<bool>(n, true));
    Make(index, {}, std::nullopt);
    SyncThen(op.node, {.about = Event::About::kOwn, .op = index, .node = op.node});
    Perform(index, op.put->OnUpdated());
  }

  // As Replica::ChangeRegister does it.
  void Make(size_t index, causal::HlcStamp above, std::optional<RegisterId> instead_of) {
    Op& op = ops_[index];
    Node& node = nodes_[op.node];
    node.clock = std::max({node.clock + 1, now_ + node.skew, above.packed + 1,
                           node.live.id.stamp.packed + 1, (uint64_t{1'000'000} << 16)});
    op.value = {{{node.clock}, op.node + 1}, op.token};
    newest_ = std::max(newest_, op.value.id.stamp);
    if (node.live.token >= 0) node.watch->OnReplaced(kKey, node.live.id, kNow);
    if (instead_of) node.watch->Withdraw(kKey, *instead_of);
    node.watch->OnMade(kKey, op.value.id);
    Store(&node, op.value);
  }

  void StartRead(size_t index) {
    Op& op = ops_[index];
    ++op.round;
    GetCore::Options options;
    options.lists[0].r = quorums_.r;
    options.n = quorums_.n;
    options.kind = causal::Kind::kLww;
    op.get = std::make_unique<GetCore>(options, std::vector<bool>(quorums_.n, true));
    // Its own replica first, as a coordinator does; here by turning the list.
    Perform(index, op.get->Start());
  }

  size_t NodeOf(const Op& op, size_t replica) const {
    return op.is_read ? (op.node + replica) % nodes_.size() : replica;
  }

  void Perform(size_t index, const PutCore::Actions& actions) {
    Op& op = ops_[index];
    for (const PutCore::Action& action : actions) {
      if (action.kind == PutCore::ActionKind::kDone) EndWrite(index, true);
      if (action.kind == PutCore::ActionKind::kFail) EndWrite(index, false);
      if (action.kind == PutCore::ActionKind::kRestamp) Restamp(index, action.unless_shown);
      if (action.kind != PutCore::ActionKind::kSendWrite) continue;
      Post({.type = Event::Type::kWrite,
            .about = Event::About::kWrite,
            .op = index,
            .node = action.replica,
            .round = op.put->round(),
            .value = op.value});
    }
  }

  void Restamp(size_t index, bool unless_shown) {
    Op& op = ops_[index];
    const bool shown = unless_shown && bug_ != Bug::kShownUnnoticed &&
                       nodes_[op.node].watch->MayHaveBeenShown(kKey, op.value.id);
    if (shown) {
      ++tally_->shown;
      return Perform(index, op.put->OnShown());
    }
    ++tally_->restamped;
    Make(index, op.put->greater(), op.value.id);
    SyncThen(op.node, {.about = Event::About::kRestamp, .op = index, .node = op.node});
  }

  void EndWrite(size_t index, bool done) {
    Op& op = ops_[index];
    if (op.ended != kNever || !op.running) return;
    ++(done ? tally_->writes_done : tally_->writes_unknown);
    op.done = done;
    if (done) op.ended = now_;
  }

  void Perform(size_t index, const GetCore::Actions& actions) {
    Op& op = ops_[index];
    for (const GetCore::Action& action : actions) {
      if (action.kind == GetCore::ActionKind::kDone) return EndRead(index);
      if (action.kind == GetCore::ActionKind::kFail) {
        op.running = false;
        const bool again = op.get->error().code == Code::kStaleEpoch && --op.rounds_left > 0;
        if (!again) return;
        ++tally_->overtaken_reads;
        op.running = true;
        return StartRead(index);
      }
      const bool back = action.kind == GetCore::ActionKind::kWriteBack;
      Event event{.type = back ? Event::Type::kWrite : Event::Type::kRead,
                  .about = back ? Event::About::kWriteBack : Event::About::kRead,
                  .op = index,
                  .node = action.replica,
                  .round = op.round,
                  .digest_only = action.kind == GetCore::ActionKind::kReadDigest};
      if (back) event.value = Decoded(op.get->encoded());
      Post(event);
    }
  }

  void EndRead(size_t index) {
    Op& op = ops_[index];
    op.running = false;
    op.done = true;
    op.ended = now_;
    ++tally_->reads_done;
    if (!op.get->object().Empty()) op.token = Decoded(op.get->encoded()).token;
  }

  void TimeOut(size_t index) {
    Op& op = ops_[index];
    if (!op.running) return;
    op.running = false;
    if (op.put && op.ended == kNever) ++tally_->writes_unknown;
  }

  // --- replicas ---

  void Store(Node* node, const Register& value) {
    node->live = value;
    ++node->versions;
    history_.push_back({node, node->versions, value});
  }

  // The event happens when what is live now is durable.
  void SyncThen(size_t node, Event event) {
    event.type = Event::Type::kSync;
    event.version = nodes_[node].versions;
    event.life = nodes_[node].life;
    Post(event);
  }

  // As Replica::JudgeRegister does it.
  void Serve(const Event& event) {
    const Op& op = ops_[event.op];
    const size_t at = NodeOf(op, event.node);
    Node& node = nodes_[at];
    Event answer = event;
    if (event.type == Event::Type::kRead) {
      answer.value = node.live;
      if (node.live.token >= 0) node.watch->OnShown(kKey, node.live.id);
      return SyncThen(at, answer);
    }
    const Register& sent = event.value;
    node.clock = std::max(node.clock, sent.id.stamp.packed);
    const bool overtaken = node.live.token >= 0 && sent.id < node.live.id;
    if (overtaken) {
      answer.standing = node.watch->StandingOf(kKey, sent.id, kNow);
      answer.greater = node.live.id.stamp;
      const bool again = std::find(node.came.begin(), node.came.end(), sent.id) != node.came.end();
      if (again && bug_ == Bug::kComingIsHeld) answer.standing = Standing::kHeld;
      if (bug_ == Bug::kGreaterUntold) {
        answer.standing = Standing::kHeld;
        answer.greater = {};
      }
    } else if (node.live.id < sent.id) {
      if (node.live.token >= 0) node.watch->OnReplaced(kKey, node.live.id, kNow);
      Store(&node, sent);
    }
    node.came.push_back(sent.id);
    const bool held = answer.standing == Standing::kHeld;
    if (held) node.watch->OnShown(kKey, sent.id);
    SyncThen(at, answer);
  }

  void OnSynced(const Event& event) {
    const Op& op = ops_[event.op];
    Node& node = nodes_[NodeOf(op, event.node)];
    if (event.life != node.life) return;
    for (const Stored& stored : history_) {
      const bool now = stored.node == &node && stored.version <= event.version;
      if (now && stored.version > node.durable_version) {
        node.durable_version = stored.version;
        node.durable = stored.value;
      }
    }
    Event reply = event;
    reply.type = Event::Type::kReply;
    const bool local = event.about == Event::About::kOwn || event.about == Event::About::kRestamp;
    if (local) return OnReply(reply);
    Post(reply);
  }

  void Crash(size_t at) {
    Node& node = nodes_[at];
    ++node.life;
    node.live = node.durable;
    node.versions = node.durable_version;
    std::erase_if(history_, [&node](const Stored& stored) {
      return stored.node == &node && stored.version > node.durable_version;
    });
    node.watch.emplace(newest_, ring_);
    for (size_t i = 0; i < ops_.size(); ++i) {
      if (ops_[i].node == at) TimeOut(i);
    }
  }

  // --- the network ---

  void DeliverNext() {
    const auto next = std::min_element(
        bag_.begin(), bag_.end(), [](const Event& a, const Event& b) { return a.due < b.due; });
    std::swap(*next, bag_.back());
    const Event event = bag_.back();
    bag_.pop_back();
    now_ = std::max(now_, event.due);
    if (event.type == Event::Type::kSync) return OnSynced(event);
    if (prng_.Chance(repeat_)) Post(event);
    if (prng_.Chance(loss_)) return;
    if (event.type == Event::Type::kReply) return OnReply(event);
    Serve(event);
  }

  void OnReply(const Event& event) {
    Op& op = ops_[event.op];
    if (!op.running) return;
    if (!op.is_read) return OnWriteReply(event);
    if (event.round != op.round) return;
    if (event.about == Event::About::kWriteBack) {
      const bool overtaken = event.standing != Standing::kHeld && bug_ != Bug::kReadCountsAnybody;
      return Perform(event.op, overtaken ? op.get->OnOvertaken(event.node)
                                         : op.get->OnWriteBackReply(event.node, true));
    }
    wire::ReadReply reply;
    reply.found = event.value.token >= 0;
    if (reply.found) {
      const std::string object = EncodedOf(event.value);
      reply.digest = causal::Object::Digest(object);
      if (!event.digest_only) reply.object = object;
    }
    Perform(event.op, op.get->OnReadReply(event.node, std::move(reply)));
  }

  void OnWriteReply(const Event& event) {
    Op& op = ops_[event.op];
    if (event.about == Event::About::kOwn) return Perform(event.op, op.put->OnAck(op.node));
    if (event.about == Event::About::kRestamp) return Perform(event.op, op.put->OnRestamped());
    if (event.round != op.put->round()) return;
    Perform(event.op, op.put->OnAck(event.node, event.standing, event.greater));
  }

  // --- the checker ---

  struct Zone {
    int token;
    uint64_t first_answer = kNever;
    uint64_t last_start = 0;
    bool IsForward() const { return first_answer < last_start; }
    uint64_t Low() const { return std::min(first_answer, last_start); }
    uint64_t High() const { return std::max(first_answer, last_start); }
  };

  std::string Check() const {
    std::vector<Zone> zones;
    Zone none{.token = -1, .first_answer = 0};
    for (const Op& op : ops_) {
      const bool nothing = op.is_read && op.done && op.token < 0;
      if (nothing) none.last_start = std::max(none.last_start, op.started);
    }
    zones.push_back(none);
    for (const Op& write : ops_) {
      if (write.is_read) continue;
      Zone zone{.token = write.token, .first_answer = write.ended, .last_start = write.started};
      bool read_once = false;
      for (const Op& read : ops_) {
        if (!read.is_read || !read.done || read.token != write.token) continue;
        read_once = true;
        if (read.ended < write.started) return "read before it was written";
        zone.first_answer = std::min(zone.first_answer, read.ended);
        zone.last_start = std::max(zone.last_start, read.started);
      }
      // What nobody saw and nobody promised need never have been.
      if (write.done || read_once) zones.push_back(zone);
    }
    for (const Zone& a : zones) {
      for (const Zone& b : zones) {
        if (a.token == b.token || !a.IsForward()) continue;
        const bool clash = b.IsForward() ? a.Low() < b.High() && b.Low() < a.High()
                                         : a.Low() < b.Low() && b.High() < a.High();
        if (clash) return "t" + std::to_string(a.token) + " and t" + std::to_string(b.token);
      }
    }
    return "";
  }

  struct Stored {
    const Node* node;
    uint64_t version;
    Register value;
  };

  base::Prng prng_;
  Bug bug_;
  Tally* tally_;
  Quorums quorums_{};
  size_t ring_ = 0;
  double loss_ = 0, repeat_ = 0, crash_ = 0, pace_ = 0, late_ = 0;
  uint64_t now_ = 0;
  std::vector<Node> nodes_;
  std::vector<Op> ops_;
  std::vector<Event> bag_;
  std::vector<Stored> history_;
  causal::HlcStamp newest_;
};

// The seed of the first schedule that fails, or nothing.
std::optional<std::string> FirstFailure(uint64_t schedules, Bug bug, Tally* tally) {
  for (uint64_t seed = 1; seed <= schedules; ++seed) {
    const std::string wrong = Schedule(seed, bug, tally).Run();
    if (!wrong.empty()) return "schedule " + std::to_string(seed) + ": " + wrong;
  }
  return std::nullopt;
}

TEST(LwwSchedule, EveryScheduleIsLinearizable) {
  Tally tally;
  const auto failure = FirstFailure(30000, Bug::kNone, &tally);
  EXPECT_EQ(failure, std::nullopt);
  // What is to be shown did happen.
  EXPECT_GT(tally.writes_done, 100000U);
  EXPECT_GT(tally.reads_done, 100000U);
  EXPECT_GT(tally.restamped, 10000U);
  EXPECT_GT(tally.shown, 1000U);
  EXPECT_GT(tally.overtaken_reads, 100U);
}

class LwwScheduleBug : public ::testing::TestWithParam<Bug> {};

// Guards M45: 5 mutants.
TEST_P(LwwScheduleBug, IsFound) {
  Tally tally;
  EXPECT_NE(FirstFailure(50000, GetParam(), &tally), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(Planted, LwwScheduleBug,
                         ::testing::Values(Bug::kGreaterUntold, Bug::kComingIsHeld,
                                           Bug::kRestampsUnproven, Bug::kShownUnnoticed,
                                           Bug::kReadCountsAnybody));

}  // namespace
}  // namespace lariat::coordinator

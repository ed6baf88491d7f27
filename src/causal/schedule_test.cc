// SPDX-License-Identifier: Apache-2.0
// A million random schedules of one key against an oracle that knows nothing of version vectors.
//
// The oracle numbers the writes of a schedule and keeps sets of write numbers. A replica's history
// is the set of writes it has heard of, and one sentence says which values live: a write in the
// history lives unless another write in the history was made with a context that holds it. That is
// also the promise "no acknowledged value is lost unless it was covered", so agreeing with it
// proves both.
//
// A schedule has 2 to 4 replicas and 2 to 3 clients. Messages are whole states and are kept in a
// mailbox: never delivered = lost, delivered twice, or long after newer ones. A record is
// forgotten, a replica restarts, or is put back to an older state of its own. Every dot given out
// is entered in a registry; the schedule stops at the first one that means two values.
#include <gtest/gtest.h>

#include <bit>

#include "causal/causal_test_util.h"

namespace lariat::causal {
namespace {

using WriteSet = uint32_t;  // bit w is write number w

enum class Outcome { kAgrees, kDotReused, kWrongHistory, kWrongValues, kDiverged, kBadCodec };

// Bugs to plant: a checker is trusted only after it has failed.
enum class Bug {
  kNone,
  kJoinDropsValues,
  kJoinKeepsCovered,
  kJoinPicksOne,
  kOldActor,
  kGreedyReply
};

struct Write {
  Dot dot;
  WriteSet context = 0;
};

struct Record {
  DvvSet state;
  WriteSet history = 0;
  std::optional<Actor> own_actor;
};

struct Replica {
  uint64_t incarnation = 0;
  uint64_t minted = 0;
  Record record;
};

struct Client {
  DotSet context;
  WriteSet seen = 0;
};

struct Letter {
  size_t from = 0;
  Record record;
};

// A wrong join: the union of the values, without asking the other side's history.
DvvSet JoinKeepingCovered(const DvvSet& a, const DvvSet& b) {
  DotSet history = a.history();
  history.Join(b.history());
  std::map<Dot, Value> values;
  for (const DvvSet* side : {&a, &b}) {
    for (const auto& v : side->values()) values[v.dot] = v.value;
  }
  std::string bytes;
  base::ByteWriter out(&bytes);
  history.Encode(&out);
  out.Varint(values.size());
  for (const auto& [dot, value] : values) {
    size_t index = 0;
    while (history.entries()[index].actor != dot.actor) ++index;
    out.Varint(index);
    out.Varint(dot.counter);
    EncodeValue(value, &out);
  }
  base::ByteReader in(bytes);
  return *DvvSet::Decode(&in);
}

class Schedule {
 public:
  Schedule(uint64_t seed, Bug bug) : prng_(seed), bug_(bug) {
    replicas_.resize(2 + prng_.Below(3));
    clients_.resize(2 + prng_.Below(2));
    for (Replica& replica : replicas_) replica.incarnation = prng_.Next();
  }

  Outcome Run() {
    for (uint64_t steps = 4 + prng_.Below(9); steps > 0; --steps) {
      const Outcome outcome = Step();
      if (outcome != Outcome::kAgrees) return outcome;
    }
    return Converge();
  }

  size_t siblings_max() const { return siblings_max_; }

 private:
  Outcome Step() {
    const size_t at = prng_.Below(replicas_.size());
    const uint64_t dice = prng_.Below(100);
    if (dice < 36) {
      if (!Put(at, &clients_[prng_.Below(clients_.size())])) return Outcome::kDotReused;
    } else if (dice < 50) {
      return Get(at, &clients_[prng_.Below(clients_.size())]);
    } else if (dice < 68) {
      Send(at);
    } else if (dice < 87) {
      Deliver(at);
    } else if (dice < 91) {
      replicas_[at].record = {};
    } else if (dice < 94) {
      Restart(at);
    } else {
      RollBack(at);
    }
    return Compare(replicas_[at].record);
  }

  // False if the dot of this write was given to another one before.
  bool Put(size_t at, Client* client) {
    Record& record = replicas_[at].record;
    const bool blind = prng_.Chance(0.25);
    const DotSet context = blind ? DotSet{} : client->context;
    Write write;
    write.context = blind ? 0 : client->seen;
    Value value = MakeValue(std::string(1, static_cast<char>('A' + writes_.size())));
    value.tombstone = prng_.Chance(0.2);
    write.dot = record.state.Update(context, std::move(value), OwnActor(at));
    for (const Write& earlier : writes_) {
      if (earlier.dot == write.dot) return false;
    }
    const WriteSet self = WriteSet{1} << writes_.size();
    writes_.push_back(write);
    record.history |= write.context | self;
    client->context.Add(write.dot);
    client->seen |= self;
    if (bug_ == Bug::kGreedyReply) client->context = record.state.history();
    return true;
  }

  const Actor& OwnActor(size_t at) {
    Replica& replica = replicas_[at];
    auto& own = replica.record.own_actor;
    if (!own || own->incarnation != replica.incarnation) {
      own = Actor{at + 1, replica.incarnation, replica.minted++};
    }
    return *own;
  }

  Outcome Get(size_t at, Client* client) {
    Record answer = replicas_[at].record;
    if (prng_.Chance(0.5)) JoinInto(replicas_[prng_.Below(replicas_.size())].record, &answer);
    if (prng_.Chance(0.5)) *client = {};
    client->context.Join(answer.state.history());
    client->seen |= answer.history;
    return Compare(answer);
  }

  void Send(size_t at) {
    if (mail_.size() < 6) {
      mail_.push_back({at, replicas_[at].record});
    } else {
      mail_[prng_.Below(mail_.size())] = {at, replicas_[at].record};
    }
  }

  void Deliver(size_t at) {
    if (mail_.empty()) {
      JoinInto(replicas_[prng_.Below(replicas_.size())].record, &replicas_[at].record);
      return;
    }
    const size_t letter = prng_.Below(mail_.size());
    JoinInto(mail_[letter].record, &replicas_[at].record);
    if (prng_.Chance(0.4)) mail_.erase(mail_.begin() + static_cast<std::ptrdiff_t>(letter));
  }

  void Restart(size_t at) {
    replicas_[at].incarnation = prng_.Next();
    replicas_[at].minted = 0;
  }

  void RollBack(size_t at) {
    if (bug_ != Bug::kOldActor) Restart(at);
    for (const Letter& letter : mail_) {
      if (letter.from != at) continue;
      replicas_[at].record = letter.record;
      return;
    }
  }

  void JoinInto(const Record& from, Record* into) {
    switch (bug_) {
      case Bug::kJoinDropsValues:
        into->state.Discard(from.state.history());
        break;
      case Bug::kJoinKeepsCovered:
        into->state = JoinKeepingCovered(into->state, from.state);
        break;
      case Bug::kJoinPicksOne:
        if (!into->state.history().Covers(from.state.history())) into->state = from.state;
        break;
      default:
        into->state.Join(from.state);
        break;
    }
    into->history |= from.history;
  }

  Outcome Compare(const Record& record) {
    size_t dots = 0;
    for (const auto& e : record.state.history().entries()) dots += e.base + e.cloud.size();
    if (dots != static_cast<size_t>(std::popcount(record.history))) return Outcome::kWrongHistory;
    WriteSet covered = 0;
    for (size_t w = 0; w < writes_.size(); ++w) {
      if ((record.history >> w & 1) == 0) continue;
      covered |= writes_[w].context;
      if (!record.state.history().Contains(writes_[w].dot)) return Outcome::kWrongHistory;
    }
    const WriteSet live = record.history & ~covered;
    WriteSet found = 0;
    for (const auto& v : record.state.values()) {
      const size_t w = static_cast<size_t>(v.value.bytes[0] - 'A');
      if (writes_[w].dot != v.dot) return Outcome::kWrongValues;
      found |= WriteSet{1} << w;
    }
    siblings_max_ = std::max(siblings_max_, record.state.values().size());
    const bool each_once =
        record.state.values().size() == static_cast<size_t>(std::popcount(found));
    return found == live && each_once ? Outcome::kAgrees : Outcome::kWrongValues;
  }

  // At last all messages arrive, in two different orders.
  Outcome Converge() {
    Record forth, back;
    for (const Replica& replica : replicas_) JoinInto(replica.record, &forth);
    for (const Letter& letter : mail_) JoinInto(letter.record, &forth);
    for (auto it = mail_.rbegin(); it != mail_.rend(); ++it) JoinInto(it->record, &back);
    for (auto it = replicas_.rbegin(); it != replicas_.rend(); ++it) JoinInto(it->record, &back);
    if (forth.state != back.state) return Outcome::kDiverged;
    std::string bytes;
    base::ByteWriter out(&bytes);
    forth.state.Encode(&out);
    base::ByteReader in(bytes);
    if (DvvSet::Decode(&in) != forth.state || !in.AtEnd()) return Outcome::kBadCodec;
    JoinInto(forth, &forth);
    return Compare(forth);
  }

  base::Prng prng_;
  Bug bug_;
  std::vector<Replica> replicas_;
  std::vector<Client> clients_;
  std::vector<Letter> mail_;
  std::vector<Write> writes_;
  size_t siblings_max_ = 0;
};

constexpr uint64_t kSchedulesPerPart = 250'000;

class Schedules : public testing::TestWithParam<uint64_t> {};

// Guards M1: 1,000,000 schedules.
TEST_P(Schedules, AgreeWithTheOracleAfterEveryStep) {
  size_t siblings_max = 0;
  for (uint64_t i = 0; i < kSchedulesPerPart; ++i) {
    const uint64_t seed = GetParam() * kSchedulesPerPart + i;
    Schedule schedule(seed, Bug::kNone);
    const Outcome outcome = schedule.Run();
    ASSERT_EQ(static_cast<int>(outcome), 0) << "seed " << seed;
    siblings_max = std::max(siblings_max, schedule.siblings_max());
  }
  EXPECT_GE(siblings_max, 4U) << "the schedules are too tame to show anything";
}

// Together one million.
INSTANTIATE_TEST_SUITE_P(Part, Schedules, testing::Values(0, 1, 2, 3));

// The outcomes that a planted bug leads to over some seeds.
std::set<Outcome> OutcomesOf(Bug bug) {
  std::set<Outcome> outcomes;
  for (uint64_t seed = 0; seed < 5'000; ++seed) outcomes.insert(Schedule(seed, bug).Run());
  return outcomes;
}

// Guards M45.
TEST(PlantedBug, AJoinThatDropsValuesIsFound) {
  EXPECT_TRUE(OutcomesOf(Bug::kJoinDropsValues).contains(Outcome::kWrongValues));
}

// Guards M45.
TEST(PlantedBug, AJoinThatBringsBackCoveredValuesIsFound) {
  EXPECT_TRUE(OutcomesOf(Bug::kJoinKeepsCovered).contains(Outcome::kWrongValues));
}

// Guards M45.
TEST(PlantedBug, AJoinThatPicksOneSideIsFound) {
  EXPECT_TRUE(OutcomesOf(Bug::kJoinPicksOne).contains(Outcome::kWrongHistory));
}

// Guards M2, M45.
TEST(PlantedBug, AnActorUsedAgainAfterARollbackIsFound) {
  EXPECT_TRUE(OutcomesOf(Bug::kOldActor).contains(Outcome::kDotReused));
}

// Guards M10, M45.
TEST(PlantedBug, AReplyThatCoversUnseenSiblingsIsFound) {
  EXPECT_TRUE(OutcomesOf(Bug::kGreedyReply).contains(Outcome::kWrongValues));
}

// Three states from different places of one schedule's life, for the laws.
// Guards M1: 20,000 triples.
TEST(DvvLaws, JoinIsCommutativeAssociativeIdempotentOnReachableStates) {
  base::Prng prng(21);
  for (int round = 0; round < 20'000; ++round) {
    DvvSet states[3];
    uint64_t minted = 0;
    Actor actors[3] = {MakeActor(1), MakeActor(2), MakeActor(3)};
    for (int step = 0; step < 10; ++step) {
      const uint64_t at = prng.Below(3);
      if (prng.Chance(0.3)) {
        states[at].Join(states[prng.Below(3)]);
      } else if (prng.Chance(0.1)) {
        states[at] = {};
        actors[at].mint = ++minted;
      } else {
        const DotSet context = prng.Chance(0.5) ? states[prng.Below(3)].history() : DotSet{};
        states[at].Update(context, MakeValue(std::to_string(step)), actors[at]);
      }
    }
    const auto join = [](DvvSet x, const DvvSet& y) {
      x.Join(y);
      return x;
    };
    const auto& [a, b, c] = states;
    ASSERT_EQ(join(a, b), join(b, a)) << round;
    ASSERT_EQ(join(join(a, b), c), join(a, join(b, c))) << round;
    ASSERT_EQ(join(a, a), a);
    ASSERT_EQ(join(join(a, b), a), join(a, b)) << round;
  }
}

}  // namespace
}  // namespace lariat::causal

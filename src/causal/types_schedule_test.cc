// SPDX-License-Identifier: Apache-2.0
// Random schedules of one key whose values merge, each type against an oracle that knows nothing of
// dots.
//
// The oracle numbers the operations of a schedule. An operation makes pieces (it is there; an
// element; an increment) and takes away pieces that it has seen. A replica has heard of a set of
// operations, and one sentence says which pieces live: a piece lives if its operation was heard of,
// and no operation was heard of that takes it away. What is shown follows from the pieces alone.
//
// Messages are whole states in a mailbox: never delivered = lost, delivered twice, or long after
// newer ones. Records are forgotten, replicas restart, or are put back to an older state of their
// own. Removals go with the context of an earlier read, or with what a read shows at that moment.
#include <gtest/gtest.h>

#include <bitset>
#include <set>

#include "causal/causal_test_util.h"
#include "causal/types/operation.h"
#include "causal/types/sketch.h"

namespace lariat::causal {
namespace {

constexpr std::string_view kBucket = "b";
constexpr std::string_view kKey = "k";
constexpr base::WallTime kNow{1'000'000};

using Ops = uint32_t;  // bit i is operation i
using Pieces = std::bitset<256>;
using FieldName = MergingState::FieldName;
const FieldName kRoot{"", Kind::kSiblings};

struct Piece {
  enum class Form { kMark, kElement, kIncrement } form = Form::kMark;
  size_t op = 0;
  FieldName field = kRoot;
  std::string text;  // the element; the register's value; "1" or "0" of a flag
  int64_t amount = 0;
  bool tombstone = false;
  std::set<std::string> added;  // hll: all that the mark's sketch holds
};

// Bugs to plant, in the code that is tested or in whoever uses it.
enum class Bug {
  kNone,
  kJoinKeepsRemoved,  // a union of marks and elements
  kJoinPicksOne,      // the state with the greater history
  kCountsFolded,      // an actor's sums are put into another one's
  kResetForgetsBase,  // a delete takes the sums away
  kOldActor,          // a replica that was put back goes on with its actor
  kContextIsHistory,  // what a client has seen counts as arrived
  kRemovesUnread,     // what a removal has seen is not brought to where it is made
};

struct Record {
  std::optional<Object> state;
  Ops heard = 0;
  Ops named = 0;  // only by a client's context, as taken away
  std::optional<Actor> own_actor;
};
struct Replica {
  uint64_t incarnation = 0;
  uint64_t minted = 0;
  Record record;
};
struct Client {
  std::string context;
  Ops seen = 0;
};

Object Rebuilt(Kind kind, const DotSet& history, const Content& root) {
  std::string bytes;
  base::ByteWriter out(&bytes);
  out.U8(1);
  out.U8(static_cast<uint8_t>(kind));
  history.Encode(&out);
  EncodeContent(root, kind, history, &out);
  if (kind == Kind::kMap) out.Varint(0);
  return *Object::Decode(bytes);
}

class Schedule {
 public:
  Schedule(Kind kind, uint64_t seed, Bug bug) : kind_(kind), prng_(seed), bug_(bug) {
    replicas_.resize(2 + prng_.Below(3));
    clients_.resize(2);
    for (Replica& replica : replicas_) {
      replica.incarnation = prng_.Next();
      replica.record.state = Object(kind);
    }
  }

  // Empty, or what is wrong.
  std::string Run() {
    for (uint64_t steps = 4 + prng_.Below(9); steps > 0 && wrong_.empty(); --steps) Step();
    if (wrong_.empty()) Converge();
    return wrong_;
  }

 private:
  void Step() {
    const size_t at = prng_.Below(replicas_.size());
    const uint64_t dice = prng_.Below(100);
    if (dice < 40) {
      Operate(at, &clients_[prng_.Below(clients_.size())]);
    } else if (dice < 50) {
      Read(at, &clients_[prng_.Below(clients_.size())]);
    } else if (dice < 68) {
      if (mail_.size() < 6) mail_.push_back(replicas_[at].record);
      kept_.emplace_back(at, replicas_[at].record);
    } else if (dice < 88) {
      Deliver(at);
    } else if (dice < 91) {
      replicas_[at].record = {Object(kind_), 0, 0, {}};
    } else if (dice < 95) {
      Restart(at);
    } else {
      PutBack(at);
    }
    Compare(replicas_[at].record);
  }

  // --- operations ---

  causal::Step MakeStep(Kind kind) {
    causal::Step step;
    step.kind = kind;
    const auto element = [this] { return std::string(1, static_cast<char>('a' + prng_.Below(4))); };
    switch (kind) {
      case Kind::kCounter:
        step.increment = static_cast<int64_t>(prng_.Below(9)) - 3;
        break;
      case Kind::kRegister:
        step.text = std::to_string(takes_.size());
        break;
      case Kind::kFlag:
        step.on = prng_.Chance(0.6);
        break;
      case Kind::kSet: {
        std::set<std::string> named;
        for (uint64_t n = 1 + prng_.Below(3); n > 0; --n) named.insert(element());
        for (const std::string& e : named)
          (prng_.Chance(0.3) ? step.remove : step.add).push_back(e);
        break;
      }
      default:
        for (uint64_t n = 1 + prng_.Below(3); n > 0; --n) step.add.push_back(element());
        break;
    }
    return step;
  }

  Operation MakeOperation() {
    Operation operation;
    operation.step.kind = kind_;
    if (kind_ != Kind::kMap) {
      operation.step = MakeStep(kind_);
      return operation;
    }
    constexpr std::pair<const char*, Kind> kFields[] = {
        {"x", Kind::kCounter}, {"x", Kind::kSet}, {"y", Kind::kRegister}, {"y", Kind::kFlag}};
    for (const auto& [name, kind] : kFields) {
      if (!prng_.Chance(0.35)) continue;
      FieldStep field;
      field.name = name;
      field.remove = prng_.Chance(0.3);
      field.step.kind = kind;
      if (!field.remove) field.step = MakeStep(kind);
      operation.fields.push_back(std::move(field));
    }
    return operation;
  }

  void Operate(size_t at, Client* client) {
    if (takes_.size() == 31) return;
    ClientWrite write;
    Operation operation;
    if (prng_.Chance(0.15)) {
      write.is_delete = true;
    } else {
      operation = MakeOperation();
      if (kind_ == Kind::kMap && operation.fields.empty()) return;
      write.is_operation = true;
      write.value = operation.Encode();
    }
    const bool with_context = prng_.Chance(0.5) && !client->context.empty();
    if (with_context) write.context = client->context;
    ASSERT_TRUE(write.Check());
    ASSERT_TRUE(write.CheckFor(kind_, kBucket, kKey));
    const bool reads = write.NeedsRead(kind_);
    auto change =
        Change::Of(&write, {.kind = kind_,
                            .bucket = kBucket,
                            .key = kKey,
                            .now_us = (kNow.ms + static_cast<int64_t>(takes_.size())) * 1000});
    ASSERT_TRUE(change);
    Record& record = replicas_[at].record;
    Ops read_ops = 0;
    Ops read_named = 0;
    if (reads) {
      Record read = record;
      JoinInto(replicas_[prng_.Below(replicas_.size())].record, &read);
      read_ops = read.heard;
      read_named = read.named;
      read.state->Inform(&*change);
      if (bug_ == Bug::kRemovesUnread) change->read = Object(kind_).Encode();
    }
    Apply(at, client, operation, std::move(*change), {.heard = read_ops, .named = read_named},
          with_context ? client->seen : read_ops | read_named, with_context);
  }

  void Apply(size_t at, Client* client, const Operation& operation, Change change,
             const Record& read, Ops seen, bool with_context) {
    Record& record = replicas_[at].record;
    Object before = *record.state;
    const bool is_delete = change.IsDelete();
    const bool joins = change.joins_what_is_read;
    const DotSet context = change.context.seen;
    const Actor actor = OwnActor(at);
    const uint64_t last = before.LastEventOf(actor);
    auto applied = record.state->Apply(std::move(change), {actor, {}});
    if (!applied) {
      const base::Code code = applied.error().code;
      const bool may = (code == base::Code::kUnavailable && with_context) ||
                       (code == base::Code::kPreconditionFailed && with_context);
      if (!may) wrong_ = "refused: " + applied.error().message;
      *record.state = std::move(before);
      return;
    }
    if (!dots_.insert({actor, last + 1}).second) wrong_ = "a dot was used again";
    const Ops known = record.heard | (joins ? read.heard : 0);
    // Of these all that a client names is marks, which are taken away by their names.
    const bool by_name = kind_ == Kind::kRegister || kind_ == Kind::kFlag;
    Note(operation, is_delete, known, seen, by_name && with_context);
    record.heard = known | Ops{1} << (takes_.size() - 1);
    if (by_name && with_context) record.named |= seen;
    if (joins) record.named |= read.named;
    if (bug_ == Bug::kContextIsHistory && with_context) {
      DotSet history = record.state->merging()->history();
      history.Join(context);
      if (kind_ != Kind::kMap) {
        *record.state = Rebuilt(kind_, history, record.state->merging()->root());
      }
    }
    if (bug_ == Bug::kResetForgetsBase && is_delete && kind_ == Kind::kCounter) {
      Content root = record.state->merging()->root();
      root.counts.clear();
      *record.state = Rebuilt(kind_, record.state->merging()->history(), root);
    }
    client->context = EncodeContext(applied->context, kBucket, kKey);
    // What was not shown is not in the context, but for the operation itself.
    client->seen =
        applied->shown.bytes ? record.heard | record.named : seen | Ops{1} << (takes_.size() - 1);
    if (!applied->shown.bytes && !is_delete) client->context.clear(), client->seen = 0;
    if (is_delete) client->context.clear(), client->seen = 0;
  }

  // What the oracle says of an operation at a replica that has heard of `known`.
  void Note(const Operation& operation, bool is_delete, Ops known, Ops seen, bool adds_names) {
    Pieces take;
    if (is_delete || adds_names) take |= MadeBy(seen);
    if (is_delete) {
      Make({.tombstone = true});
      takes_.push_back(take);
      return;
    }
    Pieces base = Live(known);
    bool there = false;
    Each(base, [&](size_t, const Piece& p) {
      there |= p.form == Piece::Form::kMark && p.field == kRoot && !p.tombstone;
    });
    if (!there) {
      take |= MadeBy(known);
      base.reset();
    }
    if (kind_ != Kind::kMap) {
      NoteStep(kRoot, operation.step, base, seen, &take);
    } else {
      Each(base, [&](size_t i, const Piece& p) {
        if (p.field == kRoot) take.set(i);
      });
      Make({});
      for (const FieldStep& field : operation.fields) {
        const FieldName name{field.name, field.step.kind};
        if (!field.remove) {
          NoteStep(name, field.step, base, seen, &take);
          continue;
        }
        Each(MadeBy(seen), [&](size_t i, const Piece& p) {
          if (p.field == name) take.set(i);
        });
      }
    }
    takes_.push_back(take);
  }

  void NoteStep(const FieldName& field, const causal::Step& step, const Pieces& base, Ops seen,
                Pieces* take) {
    Piece mark{.field = field};
    const bool turns_off = step.kind == Kind::kFlag && !step.on;
    mark.text = step.kind == Kind::kFlag ? (step.on ? "1" : "0") : step.text;
    Each(base, [&](size_t i, const Piece& p) {
      if (p.field != field) return;
      if (p.form == Piece::Form::kMark) {
        if (!turns_off || MadeBy(seen).test(i)) take->set(i);
        mark.added.insert(p.added.begin(), p.added.end());
      }
      if (p.form == Piece::Form::kElement) {
        const bool added = std::count(step.add.begin(), step.add.end(), p.text) > 0;
        const bool removed = std::count(step.remove.begin(), step.remove.end(), p.text) > 0;
        if (added || (removed && MadeBy(seen).test(i))) take->set(i);
      }
    });
    if (step.kind == Kind::kHll) mark.added.insert(step.add.begin(), step.add.end());
    Make(mark);
    if (step.kind == Kind::kCounter) {
      Make({.form = Piece::Form::kIncrement, .field = field, .amount = step.increment});
    }
    if (step.kind != Kind::kSet) return;
    for (const std::string& e : step.add) {
      Make({.form = Piece::Form::kElement, .field = field, .text = e});
    }
  }

  // Of the operation that is being noted.
  void Make(Piece piece) {
    piece.op = takes_.size();
    pieces_.push_back(std::move(piece));
  }
  // Of those, the pieces of earlier operations.
  template <typename Use>
  void Each(const Pieces& of, Use use) const {
    for (size_t i = 0; i < pieces_.size(); ++i) {
      if (of.test(i) && pieces_[i].op != takes_.size()) use(i, pieces_[i]);
    }
  }

  Pieces MadeBy(Ops ops) const {
    Pieces made;
    for (size_t i = 0; i < pieces_.size(); ++i) {
      if (pieces_[i].op < takes_.size() && (ops >> pieces_[i].op & 1) != 0) made.set(i);
    }
    return made;
  }
  Pieces Live(Ops ops) const {
    Pieces live = MadeBy(ops);
    for (size_t op = 0; op < takes_.size(); ++op) {
      if ((ops >> op & 1) != 0) live &= ~takes_[op];
    }
    return live;
  }

  // --- the rest of a schedule ---

  const Actor& OwnActor(size_t at) {
    Replica& replica = replicas_[at];
    auto& own = replica.record.own_actor;
    if (!own || own->incarnation != replica.incarnation) {
      own = Actor{at + 1, replica.incarnation, replica.minted++};
    }
    return *own;
  }

  void Read(size_t at, Client* client) {
    Record answer = replicas_[at].record;
    if (prng_.Chance(0.5)) JoinInto(replicas_[prng_.Below(replicas_.size())].record, &answer);
    client->context = EncodeContext(answer.state->WholeContext(), kBucket, kKey);
    if (answer.state->Empty()) client->context.clear();
    client->seen = answer.heard | answer.named;
    Compare(answer);
  }

  void Deliver(size_t at) {
    if (mail_.empty()) {
      return JoinInto(replicas_[prng_.Below(replicas_.size())].record, &replicas_[at].record);
    }
    const size_t letter = prng_.Below(mail_.size());
    JoinInto(mail_[letter], &replicas_[at].record);
    if (prng_.Chance(0.4)) mail_.erase(mail_.begin() + static_cast<std::ptrdiff_t>(letter));
  }

  void Restart(size_t at) {
    replicas_[at].incarnation = prng_.Next();
    replicas_[at].minted = 0;
  }

  void PutBack(size_t at) {
    if (bug_ != Bug::kOldActor) Restart(at);
    for (const auto& [from, record] : kept_) {
      if (from != at) continue;
      replicas_[at].record = record;
      return;
    }
  }

  void JoinInto(const Record& from, Record* into) {
    const MergingState& a = *into->state->merging();
    const MergingState& b = *from.state->merging();
    if (bug_ == Bug::kJoinPicksOne) {
      if (!a.history().Covers(b.history())) into->state = from.state;
    } else if (bug_ == Bug::kJoinKeepsRemoved) {
      Content root = a.root();
      root.Join(b.root(), {}, {});  // nobody has heard of anything
      DotSet history = a.history();
      history.Join(b.history());
      std::sort(root.marks.begin(), root.marks.end(),
                [](const DottedValue& x, const DottedValue& y) { return x.dot < y.dot; });
      root.marks.erase(std::unique(root.marks.begin(), root.marks.end()), root.marks.end());
      for (auto& [element, dots] : root.elements) {
        std::sort(dots.begin(), dots.end());
        dots.erase(std::unique(dots.begin(), dots.end()), dots.end());
      }
      into->state = Rebuilt(kind_, history, root);
    } else {
      ASSERT_TRUE(into->state->Join(*from.state));
    }
    if (bug_ == Bug::kCountsFolded) Fold(into);
    into->heard |= from.heard;
    into->named |= from.named;
  }

  // The sums of the first actor go into the last one's.
  void Fold(Record* record) const {
    Content root = record->state->merging()->root();
    if (root.counts.size() < 2) return;
    Count& into = root.counts.rbegin()->second;
    into.now.plus += root.counts.begin()->second.now.plus;
    into.now.minus += root.counts.begin()->second.now.minus;
    root.counts.erase(root.counts.begin());
    record->state = Rebuilt(kind_, record->state->merging()->history(), root);
  }

  // --- judging ---

  std::string ShownBy(const Pieces& live, const FieldName& field, Kind kind) const {
    int64_t sum = 0;
    const Piece* latest = nullptr;
    bool on = false;
    std::set<std::string> elements;
    Sketch sketch;
    for (size_t i = 0; i < pieces_.size(); ++i) {
      const Piece& p = pieces_[i];
      if (!live.test(i) || p.field != field || p.tombstone) continue;
      if (p.form == Piece::Form::kIncrement) sum += p.amount;
      if (p.form == Piece::Form::kElement) elements.insert(p.text);
      if (p.form != Piece::Form::kMark) continue;
      latest = &p;  // time goes up with the number
      on |= p.text == "1";
      for (const std::string& e : p.added) sketch.Add(e);
    }
    std::string list;
    base::ByteWriter out(&list);
    switch (kind) {
      case Kind::kCounter:
        return std::to_string(sum);
      case Kind::kRegister:
        return latest->text;
      case Kind::kFlag:
        return on ? "1" : "0";
      case Kind::kHll:
        return std::to_string(sketch.Estimate());
      default:
        for (const std::string& e : elements) out.Sized(e);
        return list;
    }
  }

  std::optional<std::string> Expected(Ops heard) const {
    const Pieces live = Live(heard);
    std::set<FieldName> there;
    for (size_t i = 0; i < pieces_.size(); ++i) {
      const bool mark = pieces_[i].form == Piece::Form::kMark && !pieces_[i].tombstone;
      if (live.test(i) && mark) there.insert(pieces_[i].field);
    }
    if (!there.contains(kRoot)) return std::nullopt;
    if (kind_ != Kind::kMap) return ShownBy(live, kRoot, kind_);
    std::string fields;
    base::ByteWriter out(&fields);
    for (const FieldName& field : there) {
      if (field == kRoot) continue;
      out.Sized(field.first);
      out.U8(static_cast<uint8_t>(field.second));
      out.Sized(ShownBy(live, field, field.second));
    }
    return fields;
  }

  void Compare(const Record& record) {
    if (!wrong_.empty()) return;
    const auto shown = record.state->Merged(kNow);
    const auto expected = Expected(record.heard);
    if (shown.has_value() != expected.has_value()) {
      wrong_ = shown ? "there is a value" : "there is no value";
    } else if (shown && shown->bytes != *expected) {
      wrong_ = "shown " + Hex(shown->bytes) + " expected " + Hex(*expected);
    }
  }

  // At last all messages arrive, in two different orders.
  void Converge() {
    Record forth{Object(kind_), 0, 0, {}};
    Record back{Object(kind_), 0, 0, {}};
    for (const Replica& replica : replicas_) JoinInto(replica.record, &forth);
    for (const Record& letter : mail_) JoinInto(letter, &forth);
    for (auto it = mail_.rbegin(); it != mail_.rend(); ++it) JoinInto(*it, &back);
    for (auto it = replicas_.rbegin(); it != replicas_.rend(); ++it) JoinInto(it->record, &back);
    const std::string bytes = forth.state->Encode();
    if (bytes != back.state->Encode()) wrong_ = "two orders, two states";
    const auto decoded = Object::Decode(bytes);
    if (!decoded || decoded->Encode() != bytes) wrong_ = "it is not read as it was written";
    Record again = forth;
    JoinInto(forth, &again);
    if (again.state->Encode() != bytes && bug_ == Bug::kNone) wrong_ = "joined twice it differs";
    Compare(forth);
  }

  std::set<Dot> dots_;
  Kind kind_;
  base::Prng prng_;
  Bug bug_;
  std::vector<Replica> replicas_;
  std::vector<Client> clients_;
  std::vector<Record> mail_;
  std::vector<std::pair<size_t, Record>> kept_;
  std::vector<Piece> pieces_;
  std::vector<Pieces> takes_;  // by operation
  std::string wrong_;
};

constexpr uint64_t kSchedules = 100'000;
constexpr uint64_t kHllSchedules = 5'000;  // each of its states is sixteen thousand registers

class TypeSchedules : public testing::TestWithParam<Kind> {};

// Guards M1, M2, M35.
TEST_P(TypeSchedules, AgreeWithTheOracleAfterEveryStep) {
  const char* more = std::getenv("LARIAT_SCHEDULES");  // tools/dev/test.sh --long
  uint64_t schedules = GetParam() == Kind::kHll ? kHllSchedules : kSchedules;
  if (more != nullptr) schedules *= std::strtoull(more, nullptr, 10);
  for (uint64_t seed = 0; seed < schedules; ++seed) {
    ASSERT_EQ(Schedule(GetParam(), seed, Bug::kNone).Run(), "") << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Each, TypeSchedules,
                         testing::Values(Kind::kCounter, Kind::kRegister, Kind::kFlag, Kind::kHll,
                                         Kind::kSet, Kind::kMap),
                         [](const auto& each) { return std::string(RowOf(each.param).name); });

struct Plant {
  const char* name;
  Bug bug;
  Kind kind;
};

class PlantedInTypes : public testing::TestWithParam<Plant> {};

// Guards M45.
TEST_P(PlantedInTypes, IsFound) {
  size_t found = 0;
  for (uint64_t seed = 0; seed < 5'000; ++seed) {
    found += Schedule(GetParam().kind, seed, GetParam().bug).Run().empty() ? 0 : 1;
  }
  EXPECT_GT(found, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Each, PlantedInTypes,
    testing::Values(Plant{"ElementsComeBack", Bug::kJoinKeepsRemoved, Kind::kSet},
                    Plant{"FlagsComeBack", Bug::kJoinKeepsRemoved, Kind::kFlag},
                    Plant{"OneSideWins", Bug::kJoinPicksOne, Kind::kSet},
                    Plant{"CountsOfOneSide", Bug::kJoinPicksOne, Kind::kCounter},
                    Plant{"CountsFolded", Bug::kCountsFolded, Kind::kCounter},
                    Plant{"ResetWithoutABase", Bug::kResetForgetsBase, Kind::kCounter},
                    Plant{"CounterGoesOnAfterARollback", Bug::kOldActor, Kind::kCounter},
                    Plant{"SetGoesOnAfterARollback", Bug::kOldActor, Kind::kSet},
                    Plant{"WhatWasSeenCountsAsArrived", Bug::kContextIsHistory, Kind::kSet},
                    Plant{"RemovalWithoutItsRead", Bug::kRemovesUnread, Kind::kSet}),
    [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace lariat::causal

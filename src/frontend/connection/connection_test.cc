// SPDX-License-Identifier: Apache-2.0
// A protocol of lines, made for this test, shows what a connection does whatever is spoken on it.
#include "frontend/connection/connection.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <memory>
#include <vector>

#include "frontend/connection/test_client.h"

namespace lariat::frontend::connection {
namespace {

using testing::FakeClient;
using testing::FakeWorld;

constexpr uint64_t kReplyMax = 1000;

// What its connections share: the requests that nobody has answered yet, and what they ask for.
struct House : Clients {
  using Clients::Clients;
  std::deque<std::pair<std::string, Turn>> asked;
};

// A line is a request. "echo X" is answered by X at once, "bye" by that and the end; "ask X" and
// "read X" (whose reply may be large) when the test says so; "only X" is an "ask" that overlaps
// nothing before it. "put N" takes N more bytes, which are echoed; "wait N" asks for them first.
class LineConnection final : public Connection {
 public:
  LineConnection(const std::shared_ptr<House>& house, env::Stream& stream)
      : Connection(house, stream), house_(*house) {}

 private:
  Progress Read(std::string_view bytes) override {
    const size_t size = bytes.size();
    while (body_left_ > 0 ? Reading() : MayBegin()) {
      if (body_left_ > 0) {
        const size_t used = std::min(body_left_, bytes.size());
        body_ += bytes.substr(0, used);
        bytes.remove_prefix(used);
        body_left_ -= used;
        if (body_left_ > 0) return {size - bytes.size(), Awaiting::kBody, body_.size()};
        TurnOf(number_).Answer({std::exchange(body_, {})});
        continue;
      }
      const size_t end = bytes.find('\n');
      if (end == std::string_view::npos || !Line(bytes.substr(0, end))) break;
      bytes.remove_prefix(end + 1);
    }
    return {size - bytes.size(), bytes.empty() ? Awaiting::kRequest : Awaiting::kHead};
  }
  // False: not yet.
  bool Line(std::string_view line) {
    const std::string_view word = line.substr(0, line.find(' '));
    const std::string rest(line.substr(std::min(line.size(), word.size() + 1)));
    if (word == "only" && !MayBeginAlone()) return false;
    number_ = Begin(house_.env.clock.Now());
    Turn turn = TurnOf(number_);
    if (word == "echo" || word == "bye") {
      turn.Answer({rest, "", word == "bye"});
    } else if (word == "put" || word == "wait") {
      body_left_ = std::strtoul(rest.c_str(), nullptr, 10);
      if (word == "wait") outbox().SayBefore(number_, "go on;");
    } else if (word == "read" && !outbox().Promise(number_, kReplyMax)) {
      turn.Answer({"crowded;"});
    } else {
      house_.asked.emplace_back(rest, std::move(turn));
    }
    return true;
  }
  void OnLate(Awaiting awaited) override {
    Stop(awaited == Awaiting::kBody ? "late body;" : "late line;");
  }
  void OnCutOff() override { Stop("cut off;"); }
  Reply NoRoomFor(uint64_t) override { return {"no room;"}; }
  void Stop(const char* why) {
    StopReading();
    if (body_left_ == 0) number_ = Begin(house_.env.clock.Now());
    TurnOf(number_).Answer({why, "", true});
  }

  House& house_;
  uint64_t number_ = 0;
  size_t body_left_ = 0;
  std::string body_;
};

class Lines final : public Frontend {
 public:
  explicit Lines(std::shared_ptr<House> house) : Frontend(house, "full;"), house_(house) {}

 private:
  std::unique_ptr<env::StreamHandler> Make(env::Stream& stream) override {
    return std::make_unique<LineConnection>(house_, stream);
  }
  const std::shared_ptr<House> house_;  // co-owners: see Clients
};

struct Counted {
  telemetry::Gauge connections, output_bytes;
  telemetry::Counter output_waits, stalled, shed, overloaded, too_many;
};

class ConnectionTest : public ::testing::Test {
 protected:
  ConnectionTest() {
    limits.pipeline_max = 8;
    limits.output_bytes_max = 10 * kReplyMax;
    limits.output_total_bytes_max = 100 * kReplyMax;
    limits.partial_total_bytes_max = 50;
    limits.idle_timeout = base::Seconds(60);
    limits.head_timeout = base::Seconds(10);
    limits.body_timeout = base::Seconds(20);
    limits.write_stall_max = base::Seconds(30);
  }
  ~ConnectionTest() override {
    if (house) house->asked.clear();  // a Turn owns the house that it is kept in
  }
  // With the limits as they are then.
  Lines& frontend() {
    if (lines) return *lines;
    house = std::make_shared<House>(
        limits,
        Counters{counted.connections, counted.output_bytes, counted.output_waits, counted.stalled,
                 counted.shed, counted.overloaded, counted.too_many},
        world.env(), kReplyMax);
    lines = std::make_unique<Lines>(house);
    return *lines;
  }
  void Answer(size_t index, std::string text) {
    const Turn turn = std::move(house->asked.at(index).second);
    house->asked.erase(house->asked.begin() + static_cast<ptrdiff_t>(index));
    turn.Answer({std::move(text)});
  }
  // The oldest, by what it asked for.
  void AnswerNext() { Answer(0, house->asked.front().first + ';'); }
  size_t asked() const { return house->asked.size(); }

  FakeWorld world;
  Limits limits;
  Counted counted;
  std::shared_ptr<House> house;
  std::unique_ptr<Lines> lines;
};

using Pipelining = ConnectionTest;
using BackPressure = ConnectionTest;
using Deadlines = ConnectionTest;
using Ends = ConnectionTest;
using MakingRoom = ConnectionTest;

TEST_F(Pipelining, RepliesKeepTheOrderOfRequests) {
  FakeClient client(frontend());
  client.Send("ask a\necho b;\nask c\necho d;\n");
  EXPECT_EQ(client.stream.out, "");
  Answer(1, "c;");
  EXPECT_EQ(client.stream.out, "");
  Answer(0, "a;");
  EXPECT_EQ(client.stream.out, "a;b;c;d;");
  client.SendByteByByte("ask e\necho f;\n");
  AnswerNext();
  EXPECT_EQ(client.TakeOutput(), "a;b;c;d;e;f;");
}

TEST_F(Pipelining, HundredsAreInWorkInTheirTurn) {
  limits.pipeline_max = 300;
  FakeClient client(frontend());
  std::string bytes, replies;
  for (int i = 0; i < 1000; ++i) {
    bytes += "ask " + std::to_string(i) + '\n';
    replies += std::to_string(i) + ';';
  }
  client.Send(bytes);
  EXPECT_EQ(asked(), 300u);
  EXPECT_TRUE(client.stream.paused);
  // From behind, so that all places are taken by what is ready.
  while (asked() > 0) {
    const size_t last = asked() - 1;
    Answer(last, house->asked.back().first + ';');
    client.Deliver();
  }
  EXPECT_EQ(client.stream.out, replies);
  EXPECT_FALSE(client.stream.paused);
  EXPECT_EQ(counted.output_waits.value(), 0u);
}

TEST_F(Pipelining, ARequestMayWaitForAllBeforeIt) {
  FakeClient client(frontend());
  client.Send("ask a\nask b\nonly c\nask d\n");
  EXPECT_EQ(asked(), 2u);
  EXPECT_TRUE(client.stream.paused);
  Answer(1, "b;");
  EXPECT_EQ(asked(), 1u);
  Answer(0, "a;");
  EXPECT_EQ(asked(), 2u);  // only those before it count
  EXPECT_FALSE(client.stream.paused);
  AnswerNext();
  AnswerNext();
  EXPECT_EQ(client.stream.out, "a;b;c;d;");
  client.Send("only e\n");
  EXPECT_EQ(asked(), 1u);
}

TEST_F(Pipelining, WhatIsNoReplyIsSaidInItsTurn) {
  FakeClient client(frontend());
  client.Send("ask a\nwait 3\n");
  EXPECT_EQ(client.stream.out, "");
  AnswerNext();
  EXPECT_EQ(client.stream.out, "a;go on;");
  client.Send("xyzecho b;\nwait 2\n");
  EXPECT_EQ(client.stream.out, "a;go on;xyzb;go on;");
}

TEST_F(BackPressure, AClientThatDoesNotReadIsNotRead) {
  FakeClient client(frontend());
  client.Send("echo a;\n");
  client.stream.unsent = limits.output_bytes_max;
  client.Send("echo b;\n");
  EXPECT_TRUE(client.stream.paused);
  EXPECT_EQ(client.stream.out, "a;");
  EXPECT_EQ(counted.output_waits.value(), 1u);
  client.Drained();
  EXPECT_FALSE(client.stream.paused);
  EXPECT_EQ(client.stream.out, "a;b;");
}

TEST_F(BackPressure, WhatIsPromisedCountsBeforeItIsThere) {
  limits.pipeline_max = 100;
  limits.output_total_bytes_max = 1000 * kReplyMax;
  FakeClient client(frontend());
  std::string bytes;
  for (int i = 0; i < 30; ++i) bytes += "read v\n";
  client.Send(bytes);
  EXPECT_EQ(asked(), 10u);
  AnswerNext();
  EXPECT_EQ(asked(), 10u);
}

// Guards M40.
TEST_F(BackPressure, AllTogetherHaveALimitThatReadersDoNotFeel) {
  limits.output_total_bytes_max = 20 * kReplyMax;
  std::vector<std::unique_ptr<FakeClient>> deaf;
  for (int i = 0; i < 5; ++i) {
    deaf.push_back(std::make_unique<FakeClient>(frontend()));
    deaf.back()->Send("read a\nread b\nread c\nread d\n");
  }
  // Half of the total is for those that hold nothing: two have four, one two, the others one each.
  EXPECT_EQ(asked(), 4u + 4u + 2u + 1u + 1u);
  EXPECT_EQ(counted.output_bytes.value(), static_cast<int64_t>(12 * kReplyMax));
  const std::vector<size_t> unsent = {4, 4, 2, 1, 1};
  for (size_t i = 0; i < 5; ++i) deaf[i]->stream.unsent = unsent[i] * kReplyMax;
  while (asked() > 0) Answer(0, std::string(kReplyMax, 'v'));
  world.RunTasks();
  EXPECT_EQ(asked(), 0u);

  FakeClient reader(frontend());
  reader.Send("read a\nread b\nread c\n");
  for (size_t i = 1; i <= 3; ++i) {
    ASSERT_EQ(asked(), 1u);
    Answer(0, std::string(kReplyMax, 'v'));
    reader.Drained();
    EXPECT_EQ(reader.stream.out.size(), i * kReplyMax);
  }
  // As soon as the first have read, the others go on.
  deaf[0]->Drained();
  deaf[1]->Drained();
  world.RunTasks();
  EXPECT_GT(asked(), 0u);
}

// Guards M40.
TEST_F(BackPressure, WhereNobodyReadsRequestsAreReadToBeRefused) {
  limits.output_total_bytes_max = 2 * kReplyMax;
  FakeClient deaf(frontend()), other(frontend());
  deaf.stream.unsent = 2 * kReplyMax;
  deaf.Send("read a\n");
  world.Advance(base::Seconds(1));  // what waits is looked at by the sweep, too
  other.Send("read b\necho c;\n");
  EXPECT_EQ(other.stream.out, "crowded;c;");
  EXPECT_EQ(counted.overloaded.value(), 1u);
  deaf.Disconnect();
  other.Send("read d\n");
  EXPECT_EQ(house->asked.back().first, "d");
}

TEST_F(BackPressure, ALargeSurpriseIsNotKept) {
  limits.output_total_bytes_max = 2 * kReplyMax;
  FakeClient deaf(frontend()), client(frontend());
  client.Send("read a\n");
  deaf.Send("echo x;\n");
  deaf.stream.unsent = kReplyMax / 2;
  deaf.Send("echo x;\n");
  Answer(0, std::string(2 * kReplyMax, 'v'));
  EXPECT_EQ(client.stream.out, "no room;");
  EXPECT_EQ(counted.overloaded.value(), 1u);
}

// Guards M40.
TEST_F(BackPressure, HalfReceivedRequestsAreCounted) {
  FakeClient client(frontend());
  client.Send("put 100\n" + std::string(50, 'v'));
  EXPECT_FALSE(house->room.PartialIsFull());
  client.Send("v");
  EXPECT_TRUE(house->room.PartialIsFull());
  client.Send(std::string(49, 'v') + "echo a;\n");
  EXPECT_EQ(client.stream.out, std::string(100, 'v') + "a;");
  EXPECT_EQ(house->room.partial, 0u);
  client.Send("put 100\n" + std::string(60, 'v'));
  client.Disconnect();
  EXPECT_EQ(house->room.partial, 0u);
}

TEST_F(Deadlines, AClientThatNeverReadsIsDropped) {
  FakeClient deaf(frontend()), slow(frontend());
  deaf.Send("echo a;\n");
  deaf.stream.unsent = 100;
  for (int i = 0; i < 4; ++i) {
    slow.Send("echo a;\n");  // as much comes behind as is taken: the queue gets no shorter
    slow.stream.unsent = 100;
    EXPECT_FALSE(deaf.stream.Ended());
    world.Advance(base::Seconds(9));
  }
  EXPECT_TRUE(deaf.stream.closed);
  EXPECT_FALSE(slow.stream.Ended());
  EXPECT_EQ(counted.stalled.value(), 1u);
}

TEST_F(Deadlines, AnIdleConnectionIsClosedWithoutAWord) {
  FakeClient idle(frontend()), busy(frontend());
  busy.Send("ask a\n");
  world.Advance(base::Seconds(59));
  EXPECT_FALSE(idle.stream.Ended());
  world.Advance(base::Seconds(10));
  EXPECT_TRUE(idle.stream.close_after_write);
  EXPECT_EQ(idle.stream.out, "");
  EXPECT_FALSE(busy.stream.Ended());  // we are the slow ones
  AnswerNext();
  world.Advance(base::Seconds(65));
  EXPECT_TRUE(busy.stream.close_after_write);
}

TEST_F(Deadlines, ARequestHasToArriveInTime) {
  FakeClient line(frontend()), body(frontend());
  for (int i = 0; i < 9; ++i) {
    line.Send("x");  // a byte now and then does not help
    body.Send(i == 0 ? "put 100\n" : "x");
    world.Advance(base::Seconds(1));
  }
  EXPECT_FALSE(line.stream.Ended());
  world.Advance(base::Seconds(3));
  EXPECT_EQ(line.stream.out, "late line;");
  EXPECT_TRUE(line.stream.close_after_write);
  EXPECT_FALSE(body.stream.Ended());
  world.Advance(base::Seconds(12));
  EXPECT_EQ(body.stream.out, "late body;");
  EXPECT_TRUE(body.stream.close_after_write);
}

TEST_F(Deadlines, TheNextRequestHasItsOwn) {
  FakeClient client(frontend());
  for (int i = 0; i < 10; ++i) {
    client.Send(i == 0 ? "echo" : " a;\necho");  // never without half a line
    world.Advance(base::Seconds(8));
  }
  EXPECT_FALSE(client.stream.Ended());
}

TEST_F(Deadlines, NoTimerRunsWithoutConnections) {
  {
    FakeClient client(frontend());
    client.Send("echo a;\necho b;\n");
    EXPECT_EQ(world.TimersSet(), 1u);
    EXPECT_EQ(counted.connections.value(), 1);
  }
  world.Advance(base::Seconds(2));
  EXPECT_EQ(world.TimersSet(), 0u);
  EXPECT_EQ(counted.connections.value(), 0);
}

TEST_F(Ends, TheLastReplyClosesAndNothingBehindItIsRead) {
  FakeClient client(frontend());
  client.Send("ask a\nbye b;\n");
  AnswerNext();
  EXPECT_EQ(client.stream.out, "a;b;");
  EXPECT_TRUE(client.stream.close_after_write);
}

TEST_F(Ends, AHalfClosedClientGetsItsReplies) {
  FakeClient client(frontend());
  client.Send("ask a\nask b\n");
  client.CloseSending();
  AnswerNext();
  EXPECT_FALSE(client.stream.Ended());
  AnswerNext();
  EXPECT_EQ(client.stream.out, "a;b;");
  EXPECT_TRUE(client.stream.close_after_write);

  FakeClient cut(frontend());
  cut.Send("put 10\nxyz");
  cut.CloseSending();
  EXPECT_EQ(cut.stream.out, "cut off;");
  EXPECT_TRUE(cut.stream.close_after_write);
}

TEST_F(Ends, HalfClosedInAPauseAllThatCameIsStillServed) {
  limits.pipeline_max = 1;
  FakeClient client(frontend());
  client.Send("ask a\nask b\nask c\n");
  client.CloseSending();
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(asked(), 1u);
    EXPECT_FALSE(client.stream.Ended());
    AnswerNext();
  }
  EXPECT_EQ(client.stream.out, "a;b;c;");
  EXPECT_TRUE(client.stream.close_after_write);
}

TEST_F(Ends, DrainingClosesIdleOnesNowAndOthersAfterTheirReply) {
  FakeClient idle(frontend()), busy(frontend()), half(frontend());
  busy.Send("ask a\n");
  half.Send("ask");
  frontend().Drain();
  EXPECT_TRUE(house->draining);
  EXPECT_TRUE(idle.stream.close_after_write);
  EXPECT_FALSE(busy.stream.Ended() || half.stream.Ended());
  AnswerNext();
  EXPECT_EQ(busy.stream.out, "a;");
  EXPECT_TRUE(busy.stream.close_after_write);
  half.Send(" b\n");
  AnswerNext();
  EXPECT_EQ(half.stream.out, "b;");
  EXPECT_TRUE(half.stream.close_after_write);
}

TEST_F(Ends, TurnsOutliveConnectionAndFrontend) {
  limits.pipeline_max = 2;
  auto gone = std::make_unique<FakeClient>(frontend());
  gone->Send("ask a\n");
  FakeClient client(frontend());
  client.Send("ask b\nread c\nask d\n");
  gone.reset();
  EXPECT_EQ(house->asked[0].second.connection(), nullptr);
  AnswerNext();
  lines.reset();
  EXPECT_TRUE(client.stream.closed);
  EXPECT_FALSE(house->alive);
  EXPECT_EQ(world.TimersSet(), 0u);
  while (asked() > 0) AnswerNext();
  client.Drained();
  client.CloseSending();
  EXPECT_EQ(client.stream.out, "");
}

TEST_F(MakingRoom, TheOneThatWasIdleForLongestGoes) {
  FakeClient a(frontend()), b(frontend()), busy(frontend()), half(frontend());
  world.Advance(base::Seconds(1));
  busy.Send("ask x\n");
  half.Send("ec");
  b.Send("echo b;\n");
  world.Advance(base::Seconds(1));
  a.Send("echo a;\n");
  world.Advance(base::Seconds(1));
  EXPECT_TRUE(frontend().MakeRoom());
  EXPECT_TRUE(b.stream.closed);
  world.Advance(base::Millis(1));
  EXPECT_TRUE(frontend().MakeRoom());
  EXPECT_TRUE(a.stream.closed);
  world.Advance(base::Millis(1));
  EXPECT_FALSE(frontend().MakeRoom());
  EXPECT_FALSE(busy.stream.Ended() || half.stream.Ended());
  EXPECT_EQ(counted.shed.value(), 2u);
  EXPECT_EQ(frontend().Refuse(), "full;");
  EXPECT_EQ(counted.too_many.value(), 1u);
}

}  // namespace
}  // namespace lariat::frontend::connection

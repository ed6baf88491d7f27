// SPDX-License-Identifier: Apache-2.0
// Copied and old data directories: whole nodes in virtual time, and what is kept for finding them.
#include "node/past/past.h"

#include <gtest/gtest.h>

#include "node/cluster_test_util.h"

namespace lariat::node {
namespace {

using base::Code;
using storage::Space;
using wire::RunPhase;

// --- what is kept --------------------------------------------------------------------------------

struct Directory {
  TestTime time;
  Plan plan{time};
  storage::MemoryEngine engine{&plan};
  struct Queue final : storage::CompletionQueue {
    explicit Queue(TestTime& t) : time(t) {}
    void Post(base::UniqueFunction<void()> task) override { time.Post(std::move(task)); }
    TestTime& time;
  } queue{time};

  std::string Stored(const std::string& key) {
    return engine.GetBlocking(Space::kMeta, key).value_or("");
  }
};

// Guards M4.
TEST(Progress, IsToldWhenItIsDurableAndNotBefore) {
  Directory directory;
  Progress progress(7, LoadProgress(directory.engine).value(), directory.engine, directory.queue);
  directory.plan.hold_syncs = true;
  progress.NoteWrites(10);
  directory.time.Run(base::Seconds(1));
  EXPECT_EQ(progress.told(), (wire::Progress{0, 0}));
  directory.plan.Release();
  directory.time.Run(base::Seconds(1));
  EXPECT_EQ(progress.told(), (wire::Progress{0, 1}));
  progress.NoteWrites(10);  // nothing was written since
  directory.time.Run(base::Seconds(1));
  EXPECT_EQ(progress.told(), (wire::Progress{0, 1}));
  base::Status confirmed = base::Fail(Code::kUnknown, "");
  progress.Confirm([&](base::Status status) { confirmed = std::move(status); });
  directory.time.Run(base::Seconds(1));
  EXPECT_TRUE(confirmed);
  EXPECT_EQ(progress.told(), (wire::Progress{1, 1}));
  EXPECT_EQ(progress.base(), wire::Progress{}) << "this run went on from nothing";
  EXPECT_EQ(*LoadProgress(directory.engine), (wire::Progress{1, 1}));
  ASSERT_TRUE(progress.GoOnAbove({5, 9}));
  EXPECT_EQ(*LoadProgress(directory.engine), (wire::Progress{5, 10}));
  EXPECT_EQ(progress.base(), (wire::Progress{5, 9}));
}

TEST(Progress, HasTheseBytes) {
  Directory directory;
  Progress progress(7, {0x0102, 0x0304}, directory.engine, directory.queue);
  progress.NoteWrites(1);
  EXPECT_EQ(directory.Stored(kProgressKey),
            std::string("\x01\x02\x01\0\0\0\0\0\0\x05\x03\0\0\0\0\0\0", 17));
  for (const size_t size : {0U, 1U, 16U, 18U}) {
    std::string bytes = directory.Stored(kProgressKey) + "x";
    bytes.resize(size);
    EXPECT_EQ(DecodeProgress(bytes), std::nullopt) << size;
  }
}

TEST(Pasts, RememberEachRunAndSurviveARestart) {
  Directory directory;
  membership::Topology topology;
  topology.members.resize(1);
  topology.members[0].id = {42, 1};
  Pasts pasts(directory.engine, directory.queue, {});
  pasts.Learn(42, {1, {3, 10}});
  pasts.Learn(42, {2, {4, 5}});
  EXPECT_EQ(pasts.Known(42, 1), (wire::Progress{4, 5}));
  EXPECT_EQ(pasts.Known(42, 2), (wire::Progress{3, 10}));
  EXPECT_EQ(pasts.Known(42, 9), (wire::Progress{4, 10}));
  for (uint64_t run = 3; run < 20; ++run) pasts.Learn(42, {run, {4, run}});
  EXPECT_EQ(pasts.Known(42, 0), (wire::Progress{4, 19})) << "old runs are remembered together";
  pasts.StoreNews();
  const Pasts again(directory.engine, directory.queue, *LoadPasts(directory.engine, &topology));
  EXPECT_EQ(again.Known(42, 99), (wire::Progress{4, 19}));
  pasts.Keep({});
  EXPECT_EQ(pasts.Known(42, 99), wire::Progress{});
  EXPECT_EQ(directory.Stored("past/42"), "");
}

TEST(Pasts, HaveTheseBytes) {
  Directory directory;
  Pasts pasts(directory.engine, directory.queue, {});
  pasts.Learn(42, {0x0708, {1, 2, 3}});
  pasts.StoreNews();
  EXPECT_EQ(directory.Stored("past/42"), std::string("\x01\x01\0\0\0\x08\x07\0\0\0\0\0\0\x01\0\0\0"
                                                     "\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0",
                                                     37));
}

TEST(Pasts, NothingIsPurgedByTheWordOfAnOlderDirectory) {
  Directory directory;
  Pasts pasts(directory.engine, directory.queue, {});
  pasts.OnAccepted(42, {2, {3, 0}});
  std::optional<base::Status> done;
  const auto learn = [&](uint64_t run, uint64_t confirmed) {
    done.reset();
    pasts.LearnDurably({{42, run, confirmed}}, [&](base::Status s) { done = std::move(s); });
    directory.time.Run(base::Seconds(1));
    return done.value_or(base::Fail(Code::kUnknown, "not answered"));
  };
  EXPECT_TRUE(learn(2, 4)) << "the run that is in";
  EXPECT_TRUE(learn(1, 3)) << "an earlier one, from which it has gone on";
  EXPECT_EQ(learn(1, 5).error().code, Code::kConflict);
  directory.plan.hold_syncs = true;
  EXPECT_FALSE(learn(2, 6)) << "not durable yet";
  directory.plan.Release();
  directory.time.Run({});
  EXPECT_TRUE(done && *done);
}

// --- whole nodes ---------------------------------------------------------------------------------

class PastTest : public ClusterTest {
 protected:
  // A machine with what that one has on its disk now, at another address.
  Machine& CopyOf(Machine& original, uint64_t number) {
    Machine& copy = Add(number, {Address(1), Address(2), Address(3)});
    copy.name = original.name;
    copy.engine.Restore(original.engine.DurableImage());
    return copy;
  }
  static std::string Refused(Machine& machine) {
    const auto why = machine.node().refused();
    return why ? *why : "";
  }
  RunPhase Phase(Machine& machine) { return machine.node().past().twin().phase(); }
};

// Guards M2, M4.
TEST_F(PastTest, ACopyBesideItsOriginalDoesNotServe) {
  ThreeNodes();
  ASSERT_TRUE(Put(*machines[0], "v"));
  time.Run(base::Seconds(1));
  Machine& copy = CopyOf(*machines[1], 9);
  copy.Start();
  ASSERT_TRUE(time.RunUntil([&] { return !Refused(copy).empty(); }));
  EXPECT_FALSE(copy.Formed());
  EXPECT_NE(Refused(copy).find(Address(2)), std::string::npos) << Refused(copy);
  EXPECT_NE(Refused(copy).find(Address(9)), std::string::npos) << Refused(copy);
  time.Run(base::Seconds(5));
  EXPECT_EQ(Phase(*machines[1]), RunPhase::kServing);
  EXPECT_EQ(machines[1]->node().WaitingFor(), "");
  EXPECT_FALSE(machines[1]->node().healing().InDoubt());
}

TEST_F(PastTest, ANodeThatHasMovedServesAndItsOriginalDoesNot) {
  ThreeNodes();
  ASSERT_TRUE(Put(*machines[0], "v"));
  time.Run(base::Seconds(1));
  machines[1]->GoDown();
  Machine& moved = CopyOf(*machines[1], 9);
  moved.Start();
  ASSERT_TRUE(time.RunUntil([&] { return moved.Formed(); }));
  time.Run(base::Seconds(2));
  EXPECT_EQ(Refused(moved), "");
  machines[1]->engine.Crash();
  machines[1]->Start();
  ASSERT_TRUE(time.RunUntil([&] { return !Refused(*machines[1]).empty(); }));
  EXPECT_NE(Refused(*machines[1]).find(Address(9)), std::string::npos);
  EXPECT_EQ(Phase(moved), RunPhase::kServing);
}

// Guards M2, M4.
TEST_F(PastTest, TwoThatServeBothStandAsideUntilOneIsSilent) {
  ThreeNodes();
  ASSERT_TRUE(Put(*machines[0], "v"));
  time.Run(base::Seconds(1));
  // The original is out of reach for a while: nobody can know that it lives.
  Machine& original = *machines[1];
  original.CutOff();
  Machine& copy = CopyOf(original, 9);
  copy.Start();
  ASSERT_TRUE(time.RunUntil([&] { return copy.Formed(); }));
  original.Mend();
  ASSERT_TRUE(time.RunUntil(
      [&] { return Phase(original) == RunPhase::kAside && Phase(copy) == RunPhase::kAside; }));
  for (Machine* machine : {&original, &copy}) {
    const std::string why = machine->node().WaitingFor();
    EXPECT_NE(why.find(Address(2)), std::string::npos) << why;
    EXPECT_NE(why.find(Address(9)), std::string::npos) << why;
    EXPECT_FALSE(Put(*machine, "w"));
    EXPECT_FALSE(machine->node().wants_restart());
  }
  time.Run(base::Seconds(2));
  std::string twin;
  for (const auto& node : machines[0]->node().admin(0).Status().nodes) twin += node.twin;
  EXPECT_TRUE(twin == Address(2) || twin == Address(9)) << twin;
  EXPECT_TRUE(AddBucket(*machines[0], "later"));
  time.Run(base::Seconds(1));
  EXPECT_NE(original.node().WaitingFor(), "") << "a new document makes it no more ready";
  copy.GoDown();
  ASSERT_TRUE(time.RunUntil([&] { return original.node().wants_restart(); }));
  EXPECT_TRUE(Put(*machines[0], "x"));
  original.GoDown();
  original.engine.Crash();
  original.Start();
  ASSERT_TRUE(time.RunUntil([&] { return original.Formed(); }));
  EXPECT_TRUE(original.node().healing().InDoubt()) << "what the copy acknowledged is not here";
  ASSERT_TRUE(time.RunUntil([&] { return !original.node().healing().InDoubt(); }));
  EXPECT_EQ(original.node().WaitingFor(), "");
}

// Guards M4.
TEST_F(PastTest, ADirectoryThatLacksWritesComesBackInDoubt) {
  ThreeNodes();
  ASSERT_TRUE(Put(*machines[0], "old"));
  time.Run(base::Seconds(1));
  const auto old = machines[1]->engine.DurableImage();
  ASSERT_TRUE(PutKey(*machines[0], "other", "new"));
  time.Run(base::Seconds(2));
  machines[1]->GoDown();
  machines[1]->engine.Restore(old);
  machines[1]->Start();
  ASSERT_TRUE(time.RunUntil([&] { return machines[1]->Formed(); }));
  EXPECT_TRUE(machines[1]->node().healing().InDoubt());
  EXPECT_EQ(Refused(*machines[1]), "");
  ASSERT_TRUE(time.RunUntil([&] { return !machines[1]->node().healing().InDoubt(); }));
  // Its own restart is none of an old directory.
  time.Run(base::Seconds(2));
  machines[1]->GoDown();
  machines[1]->engine.Crash();
  machines[1]->Start();
  ASSERT_TRUE(time.RunUntil([&] { return machines[1]->Formed(); }));
  time.Run(base::Seconds(2));
  EXPECT_FALSE(machines[1]->node().healing().InDoubt());
}

// Guards M4, M32.
TEST_F(PastTest, ADirectoryThatMayLackVotesDoesNotVote) {
  ThreeNodes();
  time.Run(base::Seconds(2));
  const auto old = machines[1]->engine.DurableImage();
  ASSERT_TRUE(AddBucket(*machines[0], "events"));
  time.Run(base::Seconds(2));
  machines[1]->GoDown();
  machines[1]->engine.Restore(old);
  machines[1]->Start();
  ASSERT_TRUE(time.RunUntil([&] { return machines[1]->Formed(); }));
  EXPECT_TRUE(
      time.RunUntil([&] { return topology::LoadCluster(machines[1]->engine).value().votes.lost; }));
  time.Run(base::Seconds(2));  // it hears how far the others are
  ASSERT_TRUE(AddBucket(*machines[0], "more"));
  EXPECT_TRUE(time.RunUntil(
      [&] { return !topology::LoadCluster(machines[1]->engine).value().votes.lost; }));
  // Its own restart takes no votes.
  time.Run(base::Seconds(2));
  machines[1]->GoDown();
  machines[1]->engine.Crash();
  machines[1]->Start();
  ASSERT_TRUE(time.RunUntil([&] { return machines[1]->Formed(); }));
  time.Run(base::Seconds(2));
  EXPECT_FALSE(topology::LoadCluster(machines[1]->engine).value().votes.lost);
}

// Guards M4, M13.
TEST_F(PastTest, ADirectoryThatMayBringPurgedDeletesBackIsRefused) {
  ThreeNodes();
  ASSERT_TRUE(Put(*machines[0], "v"));
  time.Run(base::Seconds(1));
  const auto old = machines[1]->engine.DurableImage();
  std::optional<base::Status> confirmed;
  machines[1]->node().past().progress().Confirm([&](base::Status s) { confirmed = std::move(s); });
  ASSERT_TRUE(time.RunUntil([&] { return confirmed.has_value(); }));
  time.Run(base::Seconds(2));
  // All have been started since: it is remembered on their disks.
  for (const size_t i : {0U, 2U}) {
    time.Run(base::Seconds(2));
    machines[i]->GoDown();
    machines[i]->engine.Crash();
    machines[i]->Start();
    ASSERT_TRUE(time.RunUntil([&] { return machines[i]->Formed(); }));
  }
  machines[1]->GoDown();
  machines[1]->engine.Restore(old);
  machines[1]->Start();
  ASSERT_TRUE(time.RunUntil([&] { return !Refused(*machines[1]).empty(); }));
  EXPECT_FALSE(machines[1]->Formed());
  EXPECT_NE(Refused(*machines[1]).find("--replace node2"), std::string::npos);
  // Whoever brings a whole cluster back may take it all the same, once.
  for (const bool accept : {true, false}) {
    machines[1]->GoDown();
    machines[1]->engine.Crash();
    machines[1]->settings.cluster_accept_old_data = accept;
    machines[1]->Start();
    ASSERT_TRUE(time.RunUntil([&] { return machines[1]->Formed(); })) << accept;
    EXPECT_TRUE(machines[1]->node().healing().InDoubt() || !accept);
    time.Run(base::Seconds(20));
    EXPECT_EQ(Refused(*machines[1]), "");
  }
}

// --- what must raise no alarm --------------------------------------------------------------------

class HealthyTest : public PastTest {
 protected:
  void ThreeWithData() {
    ThreeNodes();
    ASSERT_TRUE(Put(*machines[0], "v"));
    time.Run(base::Seconds(2));
  }
  void Kill(Machine& machine) {
    machine.GoDown();
    net.CloseAll();  // what it was just connecting, too
    machine.engine.Crash();
  }
  void AllServeWithoutAlarm() {
    ASSERT_TRUE(time.RunUntil([&] { return AllFormed(); }));
    for (const int seconds : {0, 5, 30}) {  // at once, while it is remembered, and later
      time.Run(base::Seconds(seconds));
      for (auto& machine : machines) {
        EXPECT_EQ(Refused(*machine), "");
        EXPECT_EQ(Phase(*machine), RunPhase::kServing) << machine->node().WaitingFor();
        EXPECT_FALSE(machine->node().healing().InDoubt()) << machine->name;
      }
    }
    for (auto& machine : machines) EXPECT_EQ(machine->node().WaitingFor(), "");
    EXPECT_TRUE(Put(*machines[1], "w"));
  }
};

TEST_F(HealthyTest, KilledAndStartedAgainAtOnceAndAgain) {
  ThreeWithData();
  for (int i = 0; i < 6; ++i) {
    Kill(*machines[1]);
    const base::Instant start = time.Now();
    machines[1]->Start();
    ASSERT_TRUE(time.RunUntil([&] { return machines[1]->Formed(); }));
    EXPECT_LT(time.Now() - start, base::Millis(1000)) << "it waits for nobody to be silent";
    ASSERT_TRUE(PutKey(*machines[0], "other", "new"));
  }
  AllServeWithoutAlarm();
}

TEST_F(HealthyTest, AllAtOnce) {
  ThreeWithData();
  for (auto& machine : machines) Kill(*machine);
  for (auto& machine : machines) machine->Start();
  AllServeWithoutAlarm();
}

TEST_F(HealthyTest, AllAtOnceAtEachOthersAddresses) {
  ThreeWithData();
  for (auto& machine : machines) Kill(*machine);
  for (size_t i = 0; i < 3; ++i) machines[i]->address = Address(1 + (i + 1) % 3);
  for (auto& machine : machines) machine->Start();
  AllServeWithoutAlarm();
}

TEST_F(HealthyTest, AtAnotherAddressAtOnceWhileTheOldOneIsRemembered) {
  ThreeWithData();
  for (uint64_t i = 1; i <= 4; ++i) {
    Kill(*machines[1]);
    machines[1]->address = Address(i % 2 == 1 ? 100 + i : 2);
    machines[1]->Start();
    ASSERT_TRUE(time.RunUntil([&] { return machines[1]->Formed(); }));
    EXPECT_EQ(Phase(*machines[1]), RunPhase::kServing) << i;
  }
  AllServeWithoutAlarm();
}

// The end of the log is lost with the power, as `durability periodic` allows.
TEST_F(HealthyTest, ThePowerTakesWhatWasNotSynced) {
  ThreeWithData();
  for (auto& machine : machines) machine->plan.hold_syncs = true;
  (void)PutKey(*machines[1], "other", "new");
  time.Run(base::Seconds(5));
  for (auto& machine : machines) {
    Kill(*machine);
    machine->plan.Drop();
  }
  for (auto& machine : machines) machine->Start();
  AllServeWithoutAlarm();
}

TEST_F(HealthyTest, TheClockWasSetBackAndTheGenerationIsLost) {
  ThreeWithData();
  for (int i = 0; i < 4; ++i) {
    Kill(*machines[1]);
    storage::WriteBatch batch;
    batch.Remove(Space::kMeta, "generation");
    ASSERT_TRUE(machines[1]->engine.Write(batch));
    time.wall_offset_ms -= 3'600'000;
    machines[1]->Start();
    ASSERT_TRUE(time.RunUntil([&] { return machines[1]->Formed(); }));
  }
  AllServeWithoutAlarm();
}

// It stood still for long, as a virtual machine does while it is moved.
TEST_F(HealthyTest, OutOfReachForLong) {
  ThreeWithData();
  machines[1]->CutOff();
  time.Run(base::Seconds(60));
  machines[1]->Mend();
  time.Run(base::Seconds(10));
  AllServeWithoutAlarm();
}

TEST_F(HealthyTest, ABuildThatTellsNothingOfRuns) {
  ThreeWithData();
  wire::Hello hello = machines[1]->shard().MakeHello();
  hello.peer_address = "elsewhere:1";
  hello.run = 0;
  hello.base = {};
  hello.phase = {};
  const wire::HelloReply reply = machines[0]->shard().OnHello(hello);
  EXPECT_TRUE(reply.outcome.ok()) << reply.outcome.error;
  wire::HelloReply old;
  old.node = hello.node;
  Past& past = machines[0]->node().past();
  EXPECT_TRUE(past.OnHelloReply(Address(2), old));
  EXPECT_FALSE(past.pasts().Known(hello.node.high, 0).written == 0) << "and nothing is forgotten";
  AllServeWithoutAlarm();
}

}  // namespace
}  // namespace lariat::node
